"""Legs of swaps: their XML, last payment and the past fixings that they need."""

import datetime
import itertools
from dataclasses import dataclass
from functools import lru_cache

from xva_engine.data import IndexData
from xva_engine.generate.dates import add_business_days, fixing_dates, schedule
from xva_engine.generate.xml import Element, leaves, node


@dataclass(frozen=True)
class LegSpan:
    """When a leg runs, and in which steps."""

    calendar: str
    start: datetime.date
    end: datetime.date
    tenor: str
    payment_lag: int
    single_payment: bool = False

    def accruals(self) -> list[tuple[datetime.date, datetime.date]]:
        """Start and end of every coupon."""
        if self.single_payment:
            return [(add_business_days(self.calendar, self.start, 0), add_business_days(self.calendar, self.end, 0))]
        dates = schedule(self.calendar, self.start, self.end, self.tenor)
        return list(itertools.pairwise(dates))

    def payment(self, end: datetime.date) -> datetime.date:
        """When a coupon that accrues to `end` is paid."""
        return add_business_days(self.calendar, end, self.payment_lag) if self.payment_lag else end


@dataclass(frozen=True)
class Amount:
    """A constant notional, and whether it changes hands."""

    currency: str
    notional: str
    exchanged: bool = False


def fixed_leg(span: LegSpan, amount: Amount, payer: bool, rate: str, day_counter: str) -> Element:
    """A fixed leg; with a single payment, the rate compounds and the notional is not paid."""
    if span.single_payment:
        compounding = leaves(Compounding="Compounded", SubtractNotional="true")
        details = node("ZeroCouponFixedLegData", node("Rates", node("Rate", rate)), *compounding)
        return _leg(
            kind="ZeroCouponFixed", span=span, amount=amount, payer=payer, day_counter=day_counter, details=details
        )
    details = node("FixedLegData", node("Rates", node("Rate", rate)))
    return _leg(kind="Fixed", span=span, amount=amount, payer=payer, day_counter=day_counter, details=details)


def floating_leg(span: LegSpan, amount: Amount, payer: bool, index: IndexData, spread: str) -> Element:
    """A floating leg; overnight indices compound in arrears."""
    details = node(
        "FloatingLegData",
        node("Index", index.name),
        node("Spreads", node("Spread", spread)),
        node("IsInArrears", "true" if index.overnight else "false"),
        node("FixingDays", str(index.fixing_days)),
    )
    return _leg(kind="Floating", span=span, amount=amount, payer=payer, day_counter=index.day_counter, details=details)


def _leg(*, kind: str, span: LegSpan, amount: Amount, payer: bool, day_counter: str, details: Element) -> Element:
    exchanges = node(
        "Exchanges", *leaves(NotionalInitialExchange="true", NotionalFinalExchange="true") if amount.exchanged else ()
    )
    return node(
        "LegData",
        *leaves(LegType=kind, Payer="true" if payer else "false", Currency=amount.currency),
        node("Notionals", node("Notional", amount.notional), exchanges if amount.exchanged else None),
        *leaves(DayCounter=day_counter, PaymentConvention="F" if span.single_payment else "MF"),
        node("PaymentLag", str(span.payment_lag)) if span.payment_lag else None,
        details,
        node("ScheduleData", _dates(span) if span.single_payment else node("Rules", *_rules(span))),
    )


def _dates(span: LegSpan) -> Element:
    days = node("Dates", node("Date", span.start.isoformat()), node("Date", span.end.isoformat()))
    return node("Dates", *leaves(Calendar=span.calendar, Convention="F"), days)


def _rules(span: LegSpan) -> list[Element]:
    return leaves(
        StartDate=span.start.isoformat(),
        EndDate=span.end.isoformat(),
        Tenor=span.tenor,
        Calendar=span.calendar,
        Convention="MF",
        TermConvention="MF",
        Rule="Backward",
    )


@lru_cache(maxsize=65536)
def past_fixings(span: LegSpan, index: IndexData, as_of: datetime.date) -> frozenset[tuple[str, datetime.date]]:
    """Index and day of every fixing before the as-of date that a coupon still to be paid needs."""
    return frozenset(
        (index.name, day)
        for start, end in span.accruals()
        if span.payment(end) > as_of
        for day in fixing_dates(index, start, end, as_of)
    )
