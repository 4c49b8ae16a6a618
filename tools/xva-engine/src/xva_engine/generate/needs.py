"""Which quotes things need, and what is wrong with the quotes that are there."""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from xva_engine.contracts import Quote
from xva_engine.data import Catalogue
from xva_engine.generate.defects import Defect

Kind = Literal["rate", "spot", "lognormal-volatility", "normal-volatility", "hazard", "spread", "recovery"]

_NUMBER = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,2})?", re.ASCII)
_RANGES: dict[Kind, tuple[Decimal, Decimal]] = {
    "rate": (Decimal("-0.5"), Decimal(1)),
    "spot": (Decimal("1e-4"), Decimal("1e5")),
    "lognormal-volatility": (Decimal(0), Decimal(5)),
    "normal-volatility": (Decimal(0), Decimal("0.2")),
    "hazard": (Decimal("-1e-18"), Decimal(10)),
    "spread": (Decimal(0), Decimal("0.5")),
    "recovery": (Decimal("-1e-18"), Decimal(1)),
}
"""Exclusive bounds. They catch a percentage where a fraction belongs; hazard and recovery may be zero."""


@dataclass(frozen=True)
class Need:
    """Something of the market that a netting set cannot do without."""

    what: str
    quotes: tuple[tuple[str, Kind], ...]


def currency_need(catalogue: Catalogue, base: str, code: str) -> Need:
    """Discount curve, volatilities of the rate model's basket, and spot and volatility against the base currency."""
    currency = catalogue.currencies[code]
    quotes: list[tuple[str, Kind]] = [(key, "rate") for key in currency.discount.quote_keys()]
    if currency.swaption_volatility is not None:
        quotes += [(key, "normal-volatility") for key in currency.swaption_volatility.quote_keys()]
    if code != base:
        pair = catalogue.pair(base, code)
        quotes.append((spot_key(catalogue, pair), "spot"))
        quotes += option_need(catalogue, pair).quotes
    return Need(f"currency {code}", tuple(quotes))


def index_need(catalogue: Catalogue, name: str) -> Need:
    """The index's own curve; nothing when it is the discount curve."""
    currency, index = catalogue.indices[name]
    keys = next((curve.quote_keys() for curve in currency.forward_curves if curve.id == index.curve), [])
    return Need(f"index {name}", tuple((key, "rate") for key in keys))


def option_need(catalogue: Catalogue, pair: tuple[str, str]) -> Need:
    """FX volatilities of a pair."""
    keys = volatility_keys(catalogue, pair)
    return Need(f"FX volatility {''.join(pair)}", tuple((key, "lognormal-volatility") for key in keys))


def credit_need(catalogue: Catalogue, base: str, curve_of: str, name: str, cds: bool) -> Need:
    """Default curve and recovery rate that a name has of its own or of another's."""
    quotes: list[tuple[str, Kind]] = [
        (key, "spread" if cds else "hazard") for key in (cds_keys if cds else hazard_keys)(catalogue, base, curve_of)
    ]
    quotes.append((recovery_key(catalogue, base, curve_of), "recovery"))
    owner = f"default curve of {curve_of}"
    return Need(owner if curve_of == name else f"{owner}, the proxy of {name},", tuple(quotes))


def funding_need(catalogue: Catalogue, base: str, own_name: str) -> Need:
    """Our lending and borrowing curves."""
    keys = (key for curve in funding_curves(catalogue, own_name) for key in funding_keys(catalogue, base, curve))
    return Need(f"funding curves of {own_name}", tuple((key, "rate") for key in keys))


def spot_key(catalogue: Catalogue, pair: tuple[str, str]) -> str:
    """Quote key of a pair's spot rate."""
    return catalogue.market.fx.spot_quote.format(first=pair[0], second=pair[1])


def volatility_keys(catalogue: Catalogue, pair: tuple[str, str]) -> list[str]:
    """Quote keys of a pair's volatilities."""
    fx = catalogue.market.fx
    return [
        fx.volatility_quote.format(first=pair[0], second=pair[1], expiry=expiry) for expiry in fx.volatility_expiries
    ]


def hazard_keys(catalogue: Catalogue, base: str, name: str) -> list[str]:
    """Quote keys of a name's default curve."""
    credit = catalogue.market.credit
    return [credit.hazard_quote.format(name=name, currency=base, pillar=pillar) for pillar in credit.pillars]


def cds_keys(catalogue: Catalogue, base: str, name: str) -> list[str]:
    """Quote keys of a name's CDS spreads, in the order of maturity."""
    credit = catalogue.market.credit
    return [credit.cds_quote.format(name=name, currency=base, pillar=pillar) for pillar in credit.cds_pillars]


def recovery_key(catalogue: Catalogue, base: str, name: str) -> str:
    """Quote key of a name's recovery rate."""
    return catalogue.market.credit.recovery_quote.format(name=name, currency=base)


def funding_curves(catalogue: Catalogue, own_name: str) -> tuple[str, str]:
    """Ids of the lending and the borrowing curve."""
    funding = catalogue.market.funding
    return funding.lending_curve.format(name=own_name), funding.borrowing_curve.format(name=own_name)


def funding_keys(catalogue: Catalogue, base: str, curve: str) -> list[str]:
    """Quote keys of one funding curve."""
    funding = catalogue.market.funding
    return [funding.quote.format(currency=base, curve=curve, pillar=pillar) for pillar in funding.pillars]


def parse_number(text: str) -> Decimal | None:
    """The number that a quote's or fixing's text says, or None: no NaN, no infinity, no thousands separator."""
    return Decimal(text) if _NUMBER.fullmatch(text) else None


class QuoteBook:
    """The request's quotes by key; the order in which they came makes no difference."""

    def __init__(self, quotes: Iterable[Quote]) -> None:
        values: dict[str, set[str]] = defaultdict(set)
        for quote in quotes:
            values[quote.key].add(quote.value)
        self._values = {key: sorted(texts) for key, texts in values.items()}
        self._judged: dict[tuple[str, Kind], Defect | None] = {}

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def text(self, key: str) -> str:
        """The quote as it was given; a value written in several ways is given in the first of their order."""
        return self._values[key][0]

    def number(self, key: str) -> Decimal | None:
        """The quote's value, or None if it is missing, contradictory or no number."""
        numbers = {parse_number(text) for text in self._values.get(key, [])}
        return numbers.pop() if len(numbers) == 1 else None

    def contradictions(self) -> set[str]:
        """Keys that have more than one value."""
        return {key for key, texts in self._values.items() if len(texts) > 1 and self._differ(texts)}

    def defects(self, need: Need) -> list[Defect]:
        """What is wrong with the quotes of a need, in the need's order."""
        return [defect for key, kind in need.quotes if (defect := self._judge(key, kind, need.what)) is not None]

    @staticmethod
    def _differ(texts: list[str]) -> bool:
        return len({parse_number(text) for text in texts}) > 1

    def _judge(self, key: str, kind: Kind, what: str) -> Defect | None:
        if (key, kind) not in self._judged:
            self._judged[key, kind] = self._find(key, kind, what)
        return self._judged[key, kind]

    def _find(self, key: str, kind: Kind, what: str) -> Defect | None:
        texts = self._values.get(key)
        if texts is None:
            code = {
                "hazard": "missing-default-curve",
                "spread": "missing-default-curve",
                "recovery": "missing-recovery",
            }.get(kind, "missing-quote")
            return Defect(key, code, f"quote {key} is missing, which {what} needs")
        if self._differ(texts):
            return Defect(key, "duplicate-quote", f"quote {key} has several values: {', '.join(texts)}")
        number = parse_number(texts[0])
        if number is None:
            return Defect(key, "bad-quote", f"quote {key} is no number: {texts[0]!r}")
        low, high = _RANGES[kind]
        if kind == "hazard" and number < 0:
            return Defect(key, "negative-hazard", f"quote {key} is a negative hazard rate: {texts[0]}")
        if not low < number < high:
            return Defect(key, "quote-out-of-range", f"quote {key} is no plausible {kind}: {texts[0]}")
        return None
