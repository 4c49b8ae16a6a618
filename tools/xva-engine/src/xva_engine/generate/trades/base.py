"""What the generator needs to know of a trade, whatever its type."""

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import StringConstraints

from xva_engine.contracts import Contract
from xva_engine.data import Catalogue, CurrencyData
from xva_engine.generate.dates import FIRST_DAY, LAST_DAY, add_period
from xva_engine.generate.defects import TermsRefusedError
from xva_engine.generate.xml import Element

Fault = tuple[str, str]
"""Code and message."""
IndexName = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}-[A-Z0-9-]{2,30}$")]
Requirement = Literal["coupons", "two-indices", "swaption-surface"]
"""`coupons`: a floating-rate index with coupons of its own; `two-indices`: more than one; `swaption-surface`: quoted
swaption volatilities."""


@dataclass(frozen=True)
class PricingEngine:
    """Which engine prices a product of the engine's."""

    product: str
    model: str
    engine: str


@dataclass(frozen=True)
class Product:
    """A trade type: what its file says of it.

    `terms` has the rules of the schema of the same name in `libs/xva-contracts/src/run-event/trade-terms.ts`; `read`
    takes terms that fit it and raises TermsRefusedError with every fault. `cost_nanos` is one pricing on one path and
    date, in nanoseconds of one core.
    """

    name: str
    terms: type[Contract]
    read: "Callable[[Any, TradeContext], TradeView]"
    cost_nanos: int
    note: str
    engines: tuple[PricingEngine, ...]
    requires: frozenset[Requirement] = frozenset()

    def supports(self, currency: CurrencyData) -> bool:
        """Whether the currency has what the product requires."""
        has: dict[Requirement, bool] = {
            "coupons": any(not index.single_payment for index in currency.indices),
            "two-indices": len(currency.indices) > 1,
            "swaption-surface": currency.swaption_volatility is not None,
        }
        return all(has[requirement] for requirement in self.requires)


@dataclass(frozen=True)
class TradeView:
    """A trade in the engine's words. `matured` says why it is not packaged; `fixings` are what the past must supply."""

    engine_type: str
    data: list[Element]
    currencies: frozenset[str]
    notionals: tuple[tuple[str, Decimal], ...]
    """What gross notional is the largest of, in currency."""
    maturity: datetime.date
    matured: str = ""
    indices: frozenset[str] = frozenset()
    option_pairs: frozenset[tuple[str, str]] = frozenset()
    fx_indices: frozenset[tuple[str, str]] = frozenset()
    """Pairs whose FX convention the engine needs to read a fixing."""
    fixings: frozenset[tuple[str, datetime.date]] = frozenset()


@dataclass(frozen=True)
class TradeContext:
    """What a trade is read against."""

    catalogue: Catalogue
    as_of: datetime.date
    product: Product

    def currency_faults(self, *codes: str) -> list[Fault]:
        """A fault for every currency that is unknown, or that this product is not proven in."""
        faults = []
        for code in dict.fromkeys(codes):
            if code not in self.catalogue.currencies:
                faults.append(("unknown-currency", f"currency {code} is not known"))
            elif not self.product.supports(self.catalogue.currencies[code]):
                faults.append(("unsupported-currency", f"{self.product.name} is not supported in {code}"))
        return faults

    def index_faults(self, member: str, name: str, currency: str) -> list[Fault]:
        """A fault if the index is unknown or of another currency."""
        found = self.catalogue.indices.get(name)
        if found is None:
            return [("unknown-index", f"{member} {name} is not known")]
        return [] if found[0].code == currency else [("bad-terms", f"{member} {name} is not in {currency}")]


def date_of(text: str) -> datetime.date:
    """A date that the contract has already checked; raises TermsRefusedError for one that the engine cannot hold."""
    day = datetime.date.fromisoformat(text)
    if not FIRST_DAY <= day <= LAST_DAY:
        raise TermsRefusedError([("bad-terms", f"date {text} is not between {FIRST_DAY} and {LAST_DAY}")])
    return day


def refuse_if(faults: list[Fault]) -> None:
    """Raises TermsRefusedError when there is any fault."""
    if faults:
        raise TermsRefusedError(faults)


def fraction_faults(**rates: str) -> list[Fault]:
    """Rates and spreads by member; a percentage where a fraction is meant would be priced without a word."""
    return [
        ("bad-terms", f"{name} {text} is {Decimal(text) * 100:f} %: it is a fraction, such as 0.0231 for 2.31 %")
        for name, text in rates.items()
        if abs(Decimal(text)) > 1
    ]


def longest_maturity_faults(context: TradeContext, maturity: datetime.date, *codes: str) -> list[Fault]:
    """A fault for every currency whose curve ends before the trade does."""
    faults = []
    for code in dict.fromkeys(codes):
        currency = context.catalogue.currencies.get(code)
        if currency is not None and maturity > add_period(context.as_of, currency.longest_maturity):
            faults.append(
                ("maturity-out-of-range", f"matures {maturity}, beyond the {currency.longest_maturity} that {code} has")
            )
    return faults
