"""Default curves: from hazard rates or CDS spreads of a name's own, or another name's where the request says so."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from xva_engine.contracts import CreditProxy
from xva_engine.data import Catalogue
from xva_engine.generate.defects import Defect
from xva_engine.generate.needs import Need, QuoteBook, cds_keys, credit_need, hazard_keys

CreditKind = Literal["hazard-rates", "cds-spreads"]


@dataclass(frozen=True)
class CreditSource:
    """Whose curve a name has, and of what kind its quotes are; `reason` is empty for a curve of its own."""

    name: str
    curve_of: str
    kind: CreditKind
    reason: str = ""


class CreditBook:
    """What the request says of default curves: quotes by kind, and who stands for whom."""

    def __init__(self, catalogue: Catalogue, base: str, quotes: QuoteBook, proxies: Iterable[CreditProxy]) -> None:
        self._catalogue, self._base, self._quotes = catalogue, base, quotes
        self._proxies: dict[str, list[CreditProxy]] = defaultdict(list)
        for proxy in sorted(set(proxies), key=lambda item: (item.name, item.proxy, item.reason)):
            self._proxies[proxy.name].append(proxy)

    @property
    def proxied(self) -> set[str]:
        """Names that the request gives a proxy."""
        return set(self._proxies)

    def source(self, name: str) -> CreditSource:
        """Where the name's curve comes from; meaningful when `defects` finds nothing."""
        proxies = self._proxies.get(name, [])
        if proxies:
            return CreditSource(name, proxies[0].proxy, self._kind(proxies[0].proxy), proxies[0].reason)
        return CreditSource(name, name, self._kind(name))

    def need(self, name: str) -> Need:
        """The quotes of the name's curve."""
        source = self.source(name)
        return credit_need(self._catalogue, self._base, source.curve_of, name, source.kind == "cds-spreads")

    def defects(self, name: str) -> list[Defect]:
        """What is wrong with the name's curve, its quotes included."""
        proxies = self._proxies.get(name, [])
        kinds = self._kinds(name)
        if proxies and kinds:
            message = f"{name} has {' and '.join(kinds)} and also the proxy {proxies[0].proxy}"
            return [Defect(name, "ambiguous-credit", message)]
        if len(proxies) > 1:
            named = ", ".join(proxy.proxy for proxy in proxies)
            return [Defect(name, "bad-credit-proxy", f"{name} has several proxies: {named}")]
        source = self.source(name)
        if proxies and source.curve_of in self._proxies:
            message = f"{source.curve_of}, the proxy of {name}, has a proxy itself"
            return [Defect(name, "bad-credit-proxy", message)]
        own = self._kinds(source.curve_of)
        if proxies and not own:
            message = f"{source.curve_of}, the proxy of {name}, has no default curve in {self._base}"
            return [Defect(name, "bad-credit-proxy", message)]
        if len(own) > 1:
            return [Defect(source.curve_of, "ambiguous-credit", f"{source.curve_of} has {' and '.join(own)}")]
        return self._quotes.defects(self.need(name)) or self._arbitrage(source)

    def _kinds(self, name: str) -> list[CreditKind]:
        kinds: list[CreditKind] = []
        if any(key in self._quotes for key in hazard_keys(self._catalogue, self._base, name)):
            kinds.append("hazard-rates")
        if any(key in self._quotes for key in cds_keys(self._catalogue, self._base, name)):
            kinds.append("cds-spreads")
        return kinds

    def _kind(self, name: str) -> CreditKind:
        return next(iter(self._kinds(name)), "hazard-rates")

    def _arbitrage(self, source: CreditSource) -> list[Defect]:
        """Spreads that fall so fast that a hazard rate between two of them would be negative (to first order)."""
        if source.kind != "cds-spreads":
            return []
        before, key_before = Decimal(0), ""
        pillars = self._catalogue.market.credit.cds_pillars
        keys = cds_keys(self._catalogue, self._base, source.curve_of)
        for pillar, key in zip(pillars, keys, strict=True):
            spread = self._quotes.number(key)
            total = (spread or Decimal(0)) * int(pillar[:-1])
            if total < before:
                message = f"quote {key} is so far below {key_before} that the hazard rate between them is negative"
                return [Defect(key, "negative-hazard", message)]
            before, key_before = total, key
        return []
