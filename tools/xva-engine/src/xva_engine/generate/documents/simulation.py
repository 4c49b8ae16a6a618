"""`simulation.xml`: the joint model and what is simulated.

It is the run's, never a shard's: the order and number of its factors decide the scenarios.
"""

from xva_engine.contracts import RunSettings
from xva_engine.data import CurrencyData
from xva_engine.data.models import RateModelBasket
from xva_engine.generate.dates import joint_calendar
from xva_engine.generate.factors import Factors
from xva_engine.generate.grid import Grid
from xva_engine.generate.xml import Element, document, leaves, node


def simulation(factors: Factors, settings: RunSettings, grid: Grid) -> bytes:
    """The document for a run's factors, samples and grid."""
    return document(
        node("Simulation", _parameters(factors, settings, grid), _cross_asset_model(factors), _market(factors))
    )


def simulation_calendar(factors: Factors) -> str:
    """Exposure dates are business days of every currency."""
    return joint_calendar(*(currency.calendar for currency in factors.currencies))


def _parameters(factors: Factors, settings: RunSettings, grid: Grid) -> Element:
    return node(
        "Parameters",
        *leaves(
            Discretization="Exact",
            Grid=",".join(grid.tenors),
            Calendar=simulation_calendar(factors),
            Sequence=factors.catalogue.market.simulation.sequence,
            Scenario="Simple",
            Seed=str(settings.seed),
            Samples=str(settings.samples),
            Ordering="Steps",
            DirectionIntegers="JoeKuoD7",
        ),
    )


def _currencies(tag: str, factors: Factors) -> Element:
    return node(tag, *(node("Currency", currency.code) for currency in factors.currencies))


def _cross_asset_model(factors: Factors) -> Element:
    basket = factors.catalogue.market.rate_model
    return node(
        "CrossAssetModel",
        node("DomesticCcy", factors.base),
        _currencies("Currencies", factors),
        node("BootstrapTolerance", basket.bootstrap_tolerance),
        node("InterestRateModels", *(_rate_model(basket, currency) for currency in factors.currencies)),
        node("ForeignExchangeModels", *(_fx_model(factors, currency.code) for currency in factors.foreign)),
        node("InstantaneousCorrelations", *_correlations(factors)),
    )


def _rate_model(basket: RateModelBasket, currency: CurrencyData) -> Element:
    model = currency.model
    pieces = len(basket.model_times) + 1 if model.calibrated else 1
    volatility = leaves(
        Calibrate="Y" if model.calibrated else "N",
        VolatilityType="Hagan",
        ParamType="Piecewise" if model.calibrated else "Constant",
        TimeGrid=",".join(basket.model_times) if model.calibrated else "",
        InitialValue=",".join([model.volatility] * pieces),
    )
    reversion = leaves(
        Calibrate="N", ReversionType="HullWhite", ParamType="Constant", TimeGrid="", InitialValue=model.reversion
    )
    swaptions = leaves(
        Expiries=",".join(basket.calibration_expiries), Terms=",".join(basket.calibration_terms), Strikes=""
    )
    return node(
        "LGM",
        node("CalibrationType", "Bootstrap" if model.calibrated else "None"),
        node("Volatility", *volatility),
        node("Reversion", *reversion),
        node("CalibrationSwaptions", *swaptions),
        node("ParameterTransformation", *leaves(ShiftHorizon="0.0", Scaling="1.0")),
        ccy=currency.code,
    )


def _fx_model(factors: Factors, code: str) -> Element:
    fx = factors.catalogue.market.fx
    sigma = leaves(
        Calibrate="Y",
        ParamType="Piecewise",
        TimeGrid=",".join(fx.model_times),
        InitialValue=",".join([fx.initial_volatility] * (len(fx.model_times) + 1)),
    )
    return node(
        "CrossCcyLGM",
        node("DomesticCcy", factors.base),
        node("CalibrationType", "Bootstrap"),
        node("Sigma", *sigma),
        node("CalibrationOptions", *leaves(Expiries=",".join(fx.calibration_expiries), Strikes="")),
        foreignCcy=code,
    )


def _correlations(factors: Factors) -> list[Element]:
    values = factors.catalogue.market.correlations
    rates = [
        node("Correlation", values.rate_rate, factor1=f"IR:{one.code}", factor2=f"IR:{other.code}")
        for index, one in enumerate(factors.with_surface)
        for other in factors.with_surface[index + 1 :]
    ]
    spots = [
        node("Correlation", values.base_rate_fx, factor1=f"IR:{factors.base}", factor2=f"FX:{code}{factors.base}")
        for code in (currency.code for currency in factors.foreign)
    ]
    return rates + spots


def _market(factors: Factors) -> Element:
    points = factors.catalogue.market.simulation
    curve = leaves(Tenors=",".join(points.curve_tenors), Interpolation="LogLinear", Extrapolation="Y")
    surfaces = node("Currencies", *(node("Currency", currency.code) for currency in factors.with_surface))
    pairs = node("CurrencyPairs", *(node("CurrencyPair", "".join(pair)) for pair in factors.volatility_pairs))
    volatility = {"Simulate": "false", "ReactionToTimeDecay": "ForwardVariance"}
    return node(
        "Market",
        node("BaseCurrency", factors.base),
        _currencies("Currencies", factors),
        node("YieldCurves", node("Configuration", *curve)),
        node("Indices", *(node("Index", name) for name in factors.indices)),
        node("SwapIndices", *_swap_indices(factors)),
        node("DefaultCurves", node("Names"), node("Tenors", "6M,1Y,2Y")),
        node(
            "SwaptionVolatilities",
            *leaves(**volatility),
            surfaces,
            *leaves(Expiries=",".join(points.swaption_expiries), Terms=",".join(points.swaption_terms)),
        ),
        node("FxVolatilities", *leaves(**volatility), pairs, node("Expiries", ",".join(points.fx_expiries)))
        if factors.volatility_pairs
        else None,
        _currencies("AggregationScenarioDataCurrencies", factors),
        node("AggregationScenarioDataIndices", *(node("Index", name) for name in factors.collateral_indices)),
    )


def _swap_indices(factors: Factors) -> list[Element]:
    return [
        node("SwapIndex", *leaves(Name=name, DiscountingIndex=currency.discount.index))
        for currency in factors.with_surface
        if (surface := currency.swaption_volatility) is not None
        for name in (surface.short_swap_index, surface.swap_index)
    ]
