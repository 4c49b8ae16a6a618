"""What the generator needs to know of a trade, whatever its type."""

import datetime
from dataclasses import dataclass
from decimal import Decimal

from xva_engine.data import Catalogue, CurrencyData, IndexData
from xva_engine.generate.dates import FIRST_DAY, LAST_DAY, add_period
from xva_engine.generate.defects import TermsRefusedError
from xva_engine.generate.xml import Element

Fault = tuple[str, str]
"""Code and message."""


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
    product: str

    def currency_faults(self, *codes: str) -> list[Fault]:
        """A fault for every currency that is unknown, or that this product is not proven in."""
        faults = []
        for code in dict.fromkeys(codes):
            if code not in self.catalogue.currencies:
                faults.append(("unknown-currency", f"currency {code} is not known"))
            elif code not in self.catalogue.products[self.product].currencies:
                faults.append(("unsupported-currency", f"{self.product} is not supported in {code}"))
        return faults

    def index(self, name: str, currency: str) -> tuple[CurrencyData, IndexData]:
        """The index; raises TermsRefusedError if it is unknown or of another currency."""
        found = self.catalogue.indices.get(name)
        if found is None:
            raise TermsRefusedError([("unknown-index", f"index {name} is not known")])
        if found[0].code != currency:
            raise TermsRefusedError([("bad-terms", f"index {name} is not in {currency}")])
        return found


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
