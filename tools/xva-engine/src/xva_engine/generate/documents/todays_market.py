"""`todaysmarket.xml`: which curve stands for what."""

from xva_engine.generate.documents.curve_config import default_curve_id
from xva_engine.generate.factors import Factors
from xva_engine.generate.needs import funding_curves
from xva_engine.generate.xml import Element, document, node

CONFIGURATION = "default"


def todays_market(factors: Factors) -> bytes:
    """The document: one configuration, which every context of `ore.xml` names."""
    return document(
        node(
            "TodaysMarket",
            node("Configuration", node("DiscountingCurvesId", CONFIGURATION), id=CONFIGURATION),
            _section("YieldCurves", _funding(factors)),
            _section("DiscountingCurves", _discounting(factors)),
            _section("IndexForwardingCurves", _indices(factors)),
            _section("SwapIndexCurves", _swap_indices(factors)),
            _section("FxSpots", _spots(factors)),
            _section("FxVolatilities", _fx_volatilities(factors)),
            _section("SwaptionVolatilities", _swaption_volatilities(factors)),
            _section("DefaultCurves", _default_curves(factors)),
        )
    )


def _section(tag: str, children: list[Element]) -> Element:
    return node(tag, *children, id=CONFIGURATION)


def _funding(factors: Factors) -> list[Element]:
    names = funding_curves(factors.catalogue, factors.own_name)
    return [node("YieldCurve", f"Yield/{factors.base}/{name}", name=name) for name in names]


def _discounting(factors: Factors) -> list[Element]:
    return [
        node("DiscountingCurve", f"Yield/{currency.code}/{currency.discount.id}", currency=currency.code)
        for currency in factors.currencies
    ]


def _indices(factors: Factors) -> list[Element]:
    found = ((name, *factors.catalogue.indices[name]) for name in factors.indices)
    return [node("Index", f"Yield/{currency.code}/{index.curve}", name=name) for name, currency, index in found]


def _swap_indices(factors: Factors) -> list[Element]:
    return [
        node("SwapIndex", node("Discounting", currency.discount.index), name=name)
        for currency in factors.currencies
        if (surface := currency.swaption_volatility) is not None
        for name in (surface.short_swap_index, surface.swap_index)
    ]


def _spots(factors: Factors) -> list[Element]:
    return [node("FxSpot", f"FX/{first}/{second}", pair=f"{first}{second}") for first, second in factors.base_pairs]


def _fx_volatilities(factors: Factors) -> list[Element]:
    return [
        node("FxVolatility", f"FXVolatility/{first}/{second}/{first}{second}", pair=f"{first}{second}")
        for first, second in factors.volatility_pairs
    ]


def _swaption_volatilities(factors: Factors) -> list[Element]:
    """A currency without a surface is given the base currency's: the engine wants one, its model does not use it."""
    base = factors.currencies[0]
    entries = []
    for currency in factors.currencies:
        owner = currency if currency.swaption_volatility is not None else base
        if owner.swaption_volatility is None:
            raise ValueError(f"base currency {base.code} has no swaption surface")
        spec = f"SwaptionVolatility/{owner.code}/{owner.swaption_volatility.id}"
        entries.append(node("SwaptionVolatility", spec, currency=currency.code))
    return entries


def _default_curves(factors: Factors) -> list[Element]:
    return [
        node("DefaultCurve", f"Default/{factors.base}/{default_curve_id(source.curve_of)}", name=source.name)
        for source in factors.credit
    ]
