"""Shapes of the data files; a file with an unknown or missing member is refused when it is loaded."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from xva_engine.contracts.scalars import CurrencyCode, DecimalString, Tenor


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class SegmentData(_Data):
    """Part of a yield curve: `quote` holds `{pillar}`."""

    kind: Literal["OIS", "Deposit", "Swap", "Zero"]
    convention: str
    quote: str
    pillars: list[Tenor] = Field(min_length=1)

    def quote_keys(self) -> list[str]:
        """Quote keys in the order of maturity."""
        return [self.quote.format(pillar=pillar) for pillar in self.pillars]


class CurveData(_Data):
    """A yield curve of a currency."""

    id: str
    segments: list[SegmentData] = Field(min_length=1)

    def quote_keys(self) -> list[str]:
        """Quote keys of all segments."""
        return [key for segment in self.segments for key in segment.quote_keys()]


class DiscountCurveData(CurveData):
    """The curve that discounts a currency; `index` is the overnight index whose rate it holds."""

    index: str


class IndexData(_Data):
    """A floating-rate index; what legs on it look like when the trade says nothing else.

    With `single_payment` both legs of a swap compound and are paid once, at maturity.
    """

    name: str
    curve: str
    calendar: str
    overnight: bool
    single_payment: bool = False
    fixing_days: int
    day_counter: str
    coupon_tenor: Tenor
    payment_lag: int
    fixed_day_counter: str


class OisConvention(_Data):
    """Overnight-indexed swap quotes."""

    id: str
    spot_lag: int
    index: str
    fixed_day_counter: str
    payment_lag: int


class DepositConvention(_Data):
    """Deposit quotes; the index family without its tenor."""

    id: str
    index: str


class SwapConvention(_Data):
    """Swap quotes against a term index."""

    id: str
    fixed_calendar: str
    fixed_frequency: str
    fixed_day_counter: str
    index: str


class ConventionsData(_Data):
    """A currency's quoting conventions by kind."""

    ois: list[OisConvention] = Field(default_factory=list)
    deposit: list[DepositConvention] = Field(default_factory=list)
    swap: list[SwapConvention] = Field(default_factory=list)


class SwaptionVolatilityData(_Data):
    """At-the-money normal volatilities; `quote` holds `{expiry}` and `{term}`."""

    id: str
    quote: str
    expiries: list[Tenor]
    terms: list[Tenor]
    short_swap_index: str
    swap_index: str
    convention: str

    def quote_keys(self) -> list[str]:
        """Quote keys, expiry by expiry."""
        return [self.quote.format(expiry=expiry, term=term) for expiry in self.expiries for term in self.terms]


class RateModelData(_Data):
    """Linear Gauss-Markov parameters; with `calibrated`, the volatility is only where the search starts."""

    calibrated: bool
    reversion: DecimalString
    volatility: DecimalString


class CurrencyData(_Data):
    """One currency. `fx_rank` orders a pair's two currencies: the lower one is named first."""

    code: CurrencyCode
    calendar: str
    fx_rank: int
    longest_maturity: Tenor
    may_be_base: bool
    discount: DiscountCurveData
    forward_curves: list[CurveData] = Field(default_factory=list)
    indices: list[IndexData] = Field(default_factory=list)
    conventions: ConventionsData = Field(default_factory=ConventionsData)
    swaption_volatility: SwaptionVolatilityData | None = None
    model: RateModelData


class FxData(_Data):
    """FX quotes and the FX model's calibration basket."""

    spot_quote: str
    volatility_quote: str
    volatility_expiries: list[Tenor]
    spot_days: int
    initial_volatility: DecimalString
    model_times: list[str]
    calibration_expiries: list[Tenor]


class CreditData(_Data):
    """Default curves in the base currency, as hazard rates or as par CDS spreads (pillars in whole years)."""

    hazard_quote: str
    recovery_quote: str
    pillars: list[Tenor]
    cds_quote: str
    cds_pillars: list[Tenor]


class FundingData(_Data):
    """Our lending and borrowing curves, named after our own default curve."""

    lending_curve: str
    borrowing_curve: str
    quote: str
    pillars: list[Tenor]


class RateModelBasket(_Data):
    """What the rate models are calibrated to."""

    model_times: list[str]
    calibration_expiries: list[Tenor]
    calibration_terms: list[Tenor]
    bootstrap_tolerance: DecimalString


class CorrelationData(_Data):
    """Instantaneous correlations, assumed."""

    rate_rate: DecimalString
    base_rate_fx: DecimalString


class SimulationData(_Data):
    """How scenarios are drawn and which points of the simulated market are kept."""

    sequence: str
    curve_tenors: list[Tenor]
    swaption_expiries: list[Tenor]
    swaption_terms: list[Tenor]
    fx_expiries: list[Tenor]


class GridData(_Data):
    """Exposure dates when the request names none."""

    default: list[Tenor]


class MarketData(_Data):
    """What is not of one currency."""

    fx: FxData
    credit: CreditData
    funding: FundingData
    rate_model: RateModelBasket
    correlations: CorrelationData
    simulation: SimulationData
    grid: GridData
