"""Non-deliverable FX forward: the difference is paid in one currency on an FX fixing."""

from xva_engine.contracts import FxNdfTerms
from xva_engine.generate.dates import add_business_days, is_business_day, joint_calendar
from xva_engine.generate.trades.base import Fault, TradeContext, TradeView, date_of, refuse_if
from xva_engine.generate.trades.fx_forward import forward_amounts, forward_faults, forward_notionals
from xva_engine.generate.xml import leaves, node


def _faults(terms: FxNdfTerms, context: TradeContext) -> list[Fault]:
    faults = forward_faults(terms, context)
    pair = {terms.bought_currency, terms.sold_currency}
    if terms.settlement_currency not in pair:
        faults.append(("bad-terms", f"settlementCurrency {terms.settlement_currency} is neither bought nor sold"))
    if set(terms.fx_index.split("-")[2:]) != pair:
        faults.append(("bad-terms", f"fxIndex {terms.fx_index} is not of {' and '.join(sorted(pair))}"))
    if faults:
        return faults
    calendar, fixing = fixing_calendar(terms, context), date_of(terms.fixing_date)
    if not is_business_day(calendar, fixing):
        return [("bad-terms", f"fixingDate {terms.fixing_date} is no business day of {calendar}")]
    spot = add_business_days(calendar, fixing, context.catalogue.market.fx.spot_days)
    if date_of(terms.value_date) < spot:
        return [("bad-terms", f"valueDate {terms.value_date} is before {spot}, the spot date of fixingDate")]
    return []


def fixing_calendar(terms: FxNdfTerms, context: TradeContext) -> str:
    """Both currencies' business days."""
    currencies = context.catalogue.currencies
    return joint_calendar(currencies[terms.bought_currency].calendar, currencies[terms.sold_currency].calendar)


def read(terms: FxNdfTerms, context: TradeContext) -> TradeView:
    """Raises TermsRefusedError with every fault.

    The engine derives the fixing date from its own `ValueDate`, going back by the pair's spot days; so that date is
    the fixing's spot date, and the payment has a date of its own.
    """
    refuse_if(_faults(terms, context))
    fixing, payment = date_of(terms.fixing_date), date_of(terms.value_date)
    spot = add_business_days(fixing_calendar(terms, context), fixing, context.catalogue.market.fx.spot_days)
    settlement = leaves(Currency=terms.settlement_currency, FXIndex=terms.fx_index, Date=terms.value_date)
    return TradeView(
        engine_type="FxForward",
        data=[
            node(
                "FxForwardData",
                node("ValueDate", spot.isoformat()),
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
