"""The whole request looked at before anything is written: what can be computed, what is refused, and why."""

import datetime
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Decimal, localcontext

from xva_engine.contracts import FrozenRequest, WhatIf, WhatIfSets
from xva_engine.data import Catalogue
from xva_engine.generate.credit import CreditBook
from xva_engine.generate.dates import FIRST_DAY, LAST_DAY, add_period, is_business_day
from xva_engine.generate.defects import Findings
from xva_engine.generate.documents.netting import BookedSet
from xva_engine.generate.documents.portfolio import BookedTrade
from xva_engine.generate.documents.simulation import simulation_calendar
from xva_engine.generate.factors import Factors, SetFactors, factors_of, union
from xva_engine.generate.grid import Grid, choose_grid, grid_dates, is_increasing
from xva_engine.generate.needs import (
    Need,
    QuoteBook,
    currency_need,
    funding_need,
    index_need,
    option_need,
    spot_key,
)
from xva_engine.generate.past import FixingBook
from xva_engine.generate.review_sets import review_netting_sets
from xva_engine.generate.review_trades import review_trades
from xva_engine.generate.what_if import BookAsItIs, compare, frozen_trades

CENT = Decimal("0.01")
MOST_COARSE = 4
"""Fewer samples cannot be halved in a meaningful way."""


@dataclass(frozen=True)
class Accepted:
    """What goes into the package."""

    netting_sets: list[BookedSet]
    trades: list[BookedTrade]
    factors: Factors
    grid: Grid
    quotes: dict[str, str]
    fixings: dict[tuple[str, datetime.date], str]
    what_if: WhatIfSets | None = None


@dataclass(frozen=True)
class Review:
    """The outcome: `accepted` is None when nothing is left or the package as a whole is refused."""

    findings: Findings
    accepted: Accepted | None
    refused: dict[str, tuple[int, Decimal | None]]
    """Trades and gross notional of each refused netting set."""
    gross: dict[str, Decimal]
    """Gross notional of each accepted netting set."""


def review(catalogue: Catalogue, request: FrozenRequest) -> Review:
    """Looks at everything, however much is wrong."""
    return _Reviewer(catalogue, request).run()


class _Reviewer:
    def __init__(self, catalogue: Catalogue, request: FrozenRequest) -> None:
        self.catalogue = catalogue
        self.request = request
        self.base = request.settings.base_currency
        self.as_of = datetime.date.fromisoformat(request.request_key.as_of)
        self.quotes = QuoteBook(request.quotes)
        self.fixings = FixingBook(request.fixings)
        self.credit = CreditBook(catalogue, self.base, self.quotes, request.credit_proxies or [])
        self.findings = Findings()
        self.counts = Counter(trade.netting_set_id for trade in request.trades)

    def run(self) -> Review:
        if not FIRST_DAY <= self.as_of <= LAST_DAY:
            message = f"as-of date {self.as_of} is not between {FIRST_DAY} and {LAST_DAY}"
            self.findings.refuse_package("bad-as-of", self.as_of.isoformat(), message)
            return Review(self.findings, None, {}, {})
        known_base = self._review_settings()
        sets = review_netting_sets(self.catalogue, self.request.netting_sets, self.findings)
        trades = review_trades(self.catalogue, self.as_of, self.request.trades, sets, self.findings)
        live = self._live(trades, sets)
        parts = {set_id: factors_of(sets[set_id], (trade.view for trade in found)) for set_id, found in live.items()}
        needs = {set_id: self._needs(part) for set_id, part in parts.items()} if known_base else {}
        common = self._common_needs() if known_base else []
        self.findings.whole.update(defect for need in common for defect in self.quotes.defects(need))
        if known_base:
            self.findings.whole.update(self.credit.defects(self.request.settings.dva_name))
        for set_id, found in needs.items():
            self._review_market(set_id, found, live[set_id])
            for defect in self.credit.defects(sets[set_id].counterparty):
                self.findings.refuse_set(set_id, defect.code, defect.subject, defect.message)
        remaining = sorted(set(live) - self.findings.refused_sets)
        if not remaining and not self.findings.whole:
            message = "no netting set is left to compute" if live else "no netting set has a live trade"
            self.findings.refuse_package("no-netting-set", self.request.request_key.book, message)
        refused = self._refused(trades)
        blocked = self.findings.whole or (self.request.settings.strict and refused)
        if blocked:
            return Review(self.findings, None, refused, {})
        accepted = self._accept([(sets[set_id], live[set_id], parts[set_id]) for set_id in remaining])
        wanted = [*common, *(need for set_id in remaining for need in needs[set_id])]
        wanted += [self.credit.need(source.name) for source in accepted.factors.credit]
        accepted.quotes.update(self._texts(wanted))
        if self.request.what_if is not None:
            return self._what_if(self.request.what_if, accepted, sets)
        return Review(self.findings, accepted, refused, self._gross_of(accepted))

    def _what_if(self, what_if: WhatIf, book: Accepted, sets: dict[str, BookedSet]) -> Review:
        """The book narrowed to one netting set, and that set with other trades; any defect refuses the request."""
        found = Findings()
        added = review_trades(self.catalogue, self.as_of, frozen_trades(what_if), sets, found)
        self.findings.whole.update(item.defect for item in found.sets)
        keys = {key for trade in added for key in trade.view.fixings}
        self.findings.whole.update(self.fixings.defects(keys))
        known = frozenset({*sets, *(trade.trade_id for trade in self.request.trades)})
        as_it_is = BookAsItIs(book.netting_sets, book.trades, book.factors, book.grid, known)
        compared = compare(what_if, as_it_is, added, self.findings)
        if compared is None or self.findings.whole:
            return Review(self.findings, None, {}, {})
        self.findings.sets.clear()  # of other netting sets, which are not in the package
        accepted = replace(
            book,
            netting_sets=compared.netting_sets,
            trades=compared.trades,
            fixings=book.fixings | {key: self.fixings.text(key) for key in compared.fixings},
            what_if=compared.names,
        )
        return Review(self.findings, accepted, {}, self._gross_of(accepted))

    def _gross_of(self, accepted: Accepted) -> dict[str, Decimal]:
        trades: dict[str, list[BookedTrade]] = defaultdict(list)
        for trade in accepted.trades:
            trades[trade.netting_set_id].append(trade)
        return {set_id: self._gross(found) or Decimal(0) for set_id, found in trades.items()}

    def _review_settings(self) -> bool:
        """Notes what spoils the package; True if the market can be looked at."""
        settings, refuse = self.request.settings, self.findings.refuse_package
        currency = self.catalogue.currencies.get(self.base)
        if currency is None or not currency.may_be_base:
            known = ", ".join(sorted(code for code, item in self.catalogue.currencies.items() if item.may_be_base))
            refuse("unsupported-base-currency", self.base, f"base currency {self.base} is none of {known}")
        elif not is_business_day(currency.calendar, self.as_of):
            message = f"as-of date {self.as_of} ({self.as_of:%A}) is no business day of {currency.calendar}"
            refuse("as-of-not-business-day", self.as_of.isoformat(), message)
        if settings.error_bars and settings.samples < MOST_COARSE:
            message = f"error bars need at least {MOST_COARSE} samples, not {settings.samples}"
            refuse("bad-error-bars", "samples", message)
        if not 0 < Decimal(settings.quantile) < 1:
            refuse("bad-quantile", "quantile", f"quantile {settings.quantile} is not between 0 and 1")
        last = max((add_period(self.as_of, tenor) for tenor in settings.grid), default=self.as_of)
        if last >= LAST_DAY or not is_increasing(grid_dates(self.as_of, settings.grid, "WeekendsOnly")):
            refuse("bad-grid", "grid", f"grid dates do not increase, or end too late: {','.join(settings.grid)}"[:300])
        return currency is not None and currency.may_be_base

    def _live(self, trades: list[BookedTrade], sets: dict[str, BookedSet]) -> dict[str, list[BookedTrade]]:
        live: dict[str, list[BookedTrade]] = defaultdict(list)
        for trade in trades:
            if trade.view.matured:
                message = f"trade {trade.trade_id} of netting set {trade.netting_set_id} {trade.view.matured}"
                self.findings.warn("matured-trade", trade.trade_id, message)
            elif trade.netting_set_id in sets:
                live[trade.netting_set_id].append(trade)
        for set_id in sorted(set(sets) - set(live) - self.findings.refused_sets):
            self.findings.warn("no-live-trade", set_id, f"netting set {set_id} has no live trade")
        return dict(sorted(live.items()))

    def _common_needs(self) -> list[Need]:
        own, base = self.request.settings.dva_name, self.base
        return [
            currency_need(self.catalogue, base, base),
            funding_need(self.catalogue, base, own),
        ]

    def _needs(self, part: SetFactors) -> list[Need]:
        catalogue, base = self.catalogue, self.base
        currencies = sorted(part.currencies & set(catalogue.currencies) - {base})
        return [
            *(currency_need(catalogue, base, code) for code in currencies),
            *(index_need(catalogue, name) for name in sorted(part.indices)),
            *(option_need(catalogue, pair) for pair in sorted(part.option_pairs)),
        ]

    def _review_market(self, set_id: str, needs: list[Need], trades: list[BookedTrade]) -> None:
        for need in needs:
            for defect in self.quotes.defects(need):
                self.findings.refuse_set(set_id, defect.code, defect.subject, defect.message)
        keys = {key for trade in trades for key in trade.view.fixings}
        for defect in self.fixings.defects(keys):
            self.findings.refuse_set(set_id, defect.code, defect.subject, defect.message)

    def _refused(self, trades: list[BookedTrade]) -> dict[str, tuple[int, Decimal | None]]:
        """How much each refused netting set held; the notional only if every trade of it could be read."""
        read: dict[str, list[BookedTrade]] = defaultdict(list)
        for trade in trades:
            read[trade.netting_set_id].append(trade)
        return {
            set_id: (count, self._gross(read[set_id]) if len(read[set_id]) == count else None)
            for set_id in sorted(self.findings.refused_sets)
            for count in [self.counts[set_id]]
        }

    def _gross(self, trades: list[BookedTrade]) -> Decimal | None:
        """Sum of absolute notionals of live trades in base currency, None if a rate for it is missing."""
        total = Decimal(0)
        for trade in trades:
            if trade.view.matured:
                continue
            amounts = [self._in_base(currency, amount) for currency, amount in trade.view.notionals]
            if None in amounts:
                return None
            total += max(amount for amount in amounts if amount is not None)
        return total

    def _in_base(self, currency: str, amount: Decimal) -> Decimal | None:
        if currency == self.base:
            return amount.quantize(CENT, ROUND_HALF_EVEN)
        if self.base not in self.catalogue.currencies:
            return None
        pair = self.catalogue.pair(self.base, currency)
        spot = self.quotes.number(spot_key(self.catalogue, pair))
        if spot is None or spot <= 0:
            return None
        with localcontext() as context:
            context.prec = 60
            value = amount / spot if pair[0] == self.base else amount * spot
            return value.quantize(CENT, ROUND_HALF_EVEN)

    def _accept(self, found: list[tuple[BookedSet, list[BookedTrade], SetFactors]]) -> Accepted:
        factors = union(
            self.catalogue, self.base, self.request.settings.dva_name, (part for _, _, part in found), self.credit
        )
        trades = sorted((trade for _, live, _ in found for trade in live), key=lambda trade: trade.trade_id)
        longest = max(trade.view.maturity for trade in trades)
        calendar = simulation_calendar(factors)
        grid = choose_grid(self.catalogue, self.request.settings.grid, self.as_of, calendar, longest)
        self._warn(factors, grid, trades, longest)
        self._warn_of_credit(factors)
        fixings = {key for trade in trades for key in trade.view.fixings}
        return Accepted(
            netting_sets=[item for item, _, _ in found],
            trades=trades,
            factors=factors,
            grid=grid,
            quotes={},
            fixings={key: self.fixings.text(key) for key in fixings},
        )

    def _texts(self, needs: list[Need]) -> dict[str, str]:
        keys = {key for need in needs for key, _ in need.quotes}
        self._warn_of_unused(keys)
        return {key: self.quotes.text(key) for key in keys}

    def _warn_of_credit(self, factors: Factors) -> None:
        for source in factors.credit:
            if source.curve_of != source.name:
                message = f"{source.name} has the default curve and recovery rate of {source.curve_of}: {source.reason}"
                self.findings.warn("credit-proxy", source.name, message)
        for name in sorted(self.credit.proxied - {source.name for source in factors.credit}):
            self.findings.warn("unused-credit-proxy", name, f"{name} has a credit proxy, but nothing here needs it")

    def _warn(self, factors: Factors, grid: Grid, trades: list[BookedTrade], longest: datetime.date) -> None:
        for currency in factors.currencies:
            if not currency.model.calibrated:
                message = (
                    f"the {currency.code} rate model is not calibrated: volatility {currency.model.volatility}, "
                    f"reversion {currency.model.reversion}"
                )
                self.findings.warn("uncalibrated-model", f"IR:{currency.code}", message)
        for trade in trades:
            if trade.view.maturity < grid.dates[0]:
                message = (
                    f"trade {trade.trade_id} matures on {trade.view.maturity}, before the first exposure date "
                    f"{grid.dates[0]}: its XVA is zero"
                )
                self.findings.warn("matures-before-grid", trade.trade_id, message)
        if longest > grid.dates[-1]:
            message = f"the last exposure date {grid.dates[-1]} is before the longest maturity {longest}"
            self.findings.warn("grid-too-short", grid.tenors[-1], message)

    def _warn_of_unused(self, used: set[str]) -> None:
        contradictions = self.quotes.contradictions() - used
        for key in sorted(contradictions):
            self.findings.warn("duplicate-quote", key, f"quote {key} has several values; nothing here needs it")
        unused = len(self.quotes) - len(used)
        if unused:
            self.findings.warn("unused-quotes", "quotes", f"{unused} quotes are not needed and are left out")
