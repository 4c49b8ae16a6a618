"""Non-deliverable FX forward: the difference is paid in one currency on an FX fixing."""

from typing import Annotated

from pydantic import StringConstraints

from xva_engine.contracts.scalars import CurrencyCode, IsoDate
from xva_engine.generate.dates import is_business_day
from xva_engine.generate.trades.base import Fault, PricingEngine, Product, TradeContext, TradeView, date_of, refuse_if
from xva_engine.generate.trades.fx_forward import FxForwardTerms, forward_amounts, forward_faults, forward_notionals
from xva_engine.generate.xml import leaves, node

FxIndexName = Annotated[str, StringConstraints(pattern=r"^FX-[A-Z0-9]+-[A-Z]{3}-[A-Z]{3}$")]


class FxNdfTerms(FxForwardTerms):
    """Non-deliverable forward: the difference is settled in `settlement_currency` on the fixing of `fx_index`."""

    settlement_currency: CurrencyCode
    fixing_date: IsoDate
    fx_index: FxIndexName


def _faults(terms: FxNdfTerms, context: TradeContext) -> list[Fault]:
    faults = forward_faults(terms, context)
    pair = {terms.bought_currency, terms.sold_currency}
    if terms.settlement_currency not in pair:
        faults.append(("bad-terms", f"settlementCurrency {terms.settlement_currency} is neither bought nor sold"))
    if set(terms.fx_index.split("-")[2:]) != pair:
        faults.append(("bad-terms", f"fxIndex {terms.fx_index} is not of {' and '.join(sorted(pair))}"))
    if faults:
        return faults
    if terms.value_date < terms.fixing_date:
        faults.append(("bad-terms", f"valueDate {terms.value_date} is before fixingDate {terms.fixing_date}"))
    calendars = [context.catalogue.currencies[code].calendar for code in sorted(pair)]
    if not any(is_business_day(calendar, date_of(terms.fixing_date)) for calendar in calendars):
        # The engine takes any day, and forecasts a fixing that nobody will publish.
        message = f"fixingDate {terms.fixing_date} is a business day of neither {' nor '.join(calendars)}"
        faults.append(("bad-terms", message))
    return faults


def read(terms: FxNdfTerms, context: TradeContext) -> TradeView:
    """Raises TermsRefusedError with every fault.

    The engine's `ValueDate` of a forward that settles in cash is the day of the fixing, and it forecasts the rate for
    that day's spot date (found by prices that are a forward's only so); the payment has a date of its own.
    """
    refuse_if(_faults(terms, context))
    fixing, payment = date_of(terms.fixing_date), date_of(terms.value_date)
    settlement = leaves(Currency=terms.settlement_currency, FXIndex=terms.fx_index, Date=terms.value_date)
    return TradeView(
        engine_type="FxForward",
        data=[
            node(
                "FxForwardData",
                node("ValueDate", terms.fixing_date),
                *forward_amounts(terms),
                node("Settlement", "Cash"),
                node("SettlementData", *settlement),
            )
        ],
        currencies=frozenset({terms.bought_currency, terms.sold_currency}),
        notionals=forward_notionals(terms),
        maturity=payment,
        matured=f"was settled on {payment}" if payment <= context.as_of else "",
        fx_indices=frozenset({context.catalogue.pair(terms.bought_currency, terms.sold_currency)}),
        fixings=frozenset({(terms.fx_index, fixing)} if fixing < context.as_of else ()),
    )


PRODUCT = Product(
    name="FxNdf",
    terms=FxNdfTerms,
    read=read,
    cost_nanos=4_000,
    note="settled in one of its two currencies; the past fixing is required from the fixing date on",
    engines=(PricingEngine("FxForward", "DiscountedCashflows", "DiscountingFxForwardEngine"),),
)
