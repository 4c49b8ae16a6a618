"""`curveconfig.xml`: how curves are built from quotes."""

from xva_engine.data import CurveData, SegmentData
from xva_engine.data.models import SwaptionVolatilityData
from xva_engine.generate.factors import Factors
from xva_engine.generate.needs import cds_keys, funding_curves, funding_keys, hazard_keys, recovery_key
from xva_engine.generate.xml import Element, document, leaves, node


def curve_config(factors: Factors) -> bytes:
    """The document for a run's factors; every quote of every curve is mandatory."""
    return document(
        node(
            "CurveConfiguration",
            node("FXVolatilities", *(_fx_volatility(factors, pair) for pair in factors.volatility_pairs)),
            node("SwaptionVolatilities", *_swaption_volatilities(factors)),
            node("DefaultCurves", *(_default_curve(factors, name, cds) for name, cds in _credit_curves(factors))),
            node("YieldCurves", *_yield_curves(factors)),
        )
    )


def default_curve_id(name: str) -> str:
    """Id of a name's senior default curve."""
    return f"{name}_SR"


def _fx_volatility(factors: Factors, pair: tuple[str, str]) -> Element:
    return node(
        "FXVolatility",
        *leaves(
            CurveId="".join(pair),
            CurveDescription="",
            Dimension="ATM",
            Expiries=",".join(factors.catalogue.market.fx.volatility_expiries),
            FXSpotID=f"FX/{pair[0]}/{pair[1]}",
        ),
    )


def _swaption_volatilities(factors: Factors) -> list[Element]:
    return [
        _swaption_volatility(currency.swaption_volatility, currency.calendar)
        for currency in factors.currencies
        if currency.swaption_volatility is not None
    ]


def _swaption_volatility(surface: SwaptionVolatilityData, calendar: str) -> Element:
    return node(
        "SwaptionVolatility",
        *leaves(
            CurveId=surface.id,
            CurveDescription="",
            Dimension="ATM",
            VolatilityType="Normal",
            Extrapolation="Flat",
            DayCounter="A365",
            Calendar=calendar,
            BusinessDayConvention="Following",
            OptionTenors=",".join(surface.expiries),
            SwapTenors=",".join(surface.terms),
            ShortSwapIndexBase=surface.short_swap_index,
            SwapIndexBase=surface.swap_index,
        ),
    )


def _credit_curves(factors: Factors) -> list[tuple[str, bool]]:
    """Names with a curve of their own, and whether it is of CDS spreads."""
    return sorted({(source.curve_of, source.kind == "cds-spreads") for source in factors.credit})


def _default_curve(factors: Factors, name: str, cds: bool) -> Element:
    keys = (cds_keys if cds else hazard_keys)(factors.catalogue, factors.base, name)
    recovery = recovery_key(factors.catalogue, factors.base, name)
    return node(
        "DefaultCurve",
        *leaves(
            CurveId=default_curve_id(name),
            CurveDescription="",
            Currency=factors.base,
            Type="SpreadCDS" if cds else "HazardRate",
            DiscountCurve=f"Yield/{factors.base}/{factors.currencies[0].discount.id}" if cds else "",
            DayCounter="A365",
            RecoveryRate=recovery,
        ),
        node("Quotes", *(node("Quote", key) for key in keys)),
        node("Conventions", "CDS-STD"),
    )


def _yield_curves(factors: Factors) -> list[Element]:
    used = {factors.catalogue.indices[name][1].curve for name in factors.indices}
    curves: list[Element] = []
    for currency in factors.currencies:
        discount = currency.discount
        curves.append(_yield_curve(currency.code, discount, discount.id))
        curves += [
            _yield_curve(currency.code, curve, discount.id) for curve in currency.forward_curves if curve.id in used
        ]
    for name in funding_curves(factors.catalogue, factors.own_name):
        keys = funding_keys(factors.catalogue, factors.base, name)
        curves.append(_zero_curve(factors.base, name, keys, "ZERO-A365"))
    return curves


def _yield_curve(currency: str, curve: CurveData, discount_id: str) -> Element:
    if all(segment.kind == "Zero" for segment in curve.segments):
        return _zero_curve(currency, curve.id, curve.quote_keys(), curve.segments[0].convention)
    return node(
        "YieldCurve",
        *leaves(CurveId=curve.id, CurveDescription="", Currency=currency, DiscountCurve=discount_id),
        node("Segments", *(_segment(curve, segment, discount_id) for segment in curve.segments)),
        *leaves(
            InterpolationVariable="Discount",
            InterpolationMethod="LogLinear",
            YieldCurveDayCounter="A365",
            Tolerance="0.000000000001",
        ),
    )


def _segment(curve: CurveData, segment: SegmentData, discount_id: str) -> Element:
    return node(
        "Simple",
        node("Type", segment.kind),
        node("Quotes", *(node("Quote", key) for key in segment.quote_keys())),
        node("Conventions", segment.convention),
        node("ProjectionCurve", curve.id) if curve.id != discount_id else None,
    )


def _zero_curve(currency: str, curve_id: str, keys: list[str], convention: str) -> Element:
    segment = node(
        "Direct",
        node("Type", "Zero"),
        node("Quotes", *(node("Quote", key) for key in keys)),
        node("Conventions", convention),
    )
    return node(
        "YieldCurve",
        *leaves(CurveId=curve_id, CurveDescription="", Currency=currency, DiscountCurve=""),
        node("Segments", segment),
        *leaves(InterpolationVariable="Discount", InterpolationMethod="LogLinear", YieldCurveDayCounter="A365"),
    )
