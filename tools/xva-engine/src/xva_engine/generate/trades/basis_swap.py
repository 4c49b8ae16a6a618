"""Basis swap: floating against floating in one currency."""

from decimal import Decimal

from xva_engine.contracts import Contract
from xva_engine.contracts.scalars import CurrencyCode, DecimalString, IsoDate, PositiveDecimal
from xva_engine.generate.trades.base import (
    Fault,
    IndexName,
    PricingEngine,
    Product,
    TradeContext,
    TradeView,
    date_of,
    fraction_faults,
    longest_maturity_faults,
    refuse_if,
)
from xva_engine.generate.trades.legs import Amount, LegSpan, floating_leg, past_fixings
from xva_engine.generate.xml import node


class BasisSwapTerms(Contract):
    """Floating against floating in one currency."""

    currency: CurrencyCode
    notional: PositiveDecimal
    pay_index: IndexName
    pay_spread: DecimalString
    receive_index: IndexName
    receive_spread: DecimalString
    start_date: IsoDate
    maturity_date: IsoDate


def _faults(terms: BasisSwapTerms, context: TradeContext) -> list[Fault]:
    faults = context.currency_faults(terms.currency)
    faults += context.index_faults("payIndex", terms.pay_index, terms.currency)
    faults += context.index_faults("receiveIndex", terms.receive_index, terms.currency)
    if terms.pay_index == terms.receive_index:
        faults.append(("bad-terms", f"payIndex and receiveIndex are both {terms.pay_index}"))
    if terms.start_date >= terms.maturity_date:
        faults.append(("bad-terms", f"startDate {terms.start_date} is not before maturityDate {terms.maturity_date}"))
    faults += fraction_faults(paySpread=terms.pay_spread, receiveSpread=terms.receive_spread)
    return faults + longest_maturity_faults(context, date_of(terms.maturity_date), terms.currency)


def read(terms: BasisSwapTerms, context: TradeContext) -> TradeView:
    """Raises TermsRefusedError with every fault. Each leg has the coupons, calendar and payment lag of its index."""
    refuse_if(_faults(terms, context))
    start, end = date_of(terms.start_date), date_of(terms.maturity_date)
    sides = [
        (context.catalogue.indices[name][1], spread, payer)
        for name, spread, payer in (
            (terms.pay_index, terms.pay_spread, True),
            (terms.receive_index, terms.receive_spread, False),
        )
    ]
    amount = Amount(terms.currency, terms.notional)
    spans = [LegSpan(index.calendar, start, end, index.coupon_tenor, index.payment_lag) for index, _, _ in sides]
    maturity = max(span.payment(span.accruals()[-1][1]) for span in spans)
    legs = [
        floating_leg(span, amount, payer, index, spread)
        for span, (index, spread, payer) in zip(spans, sides, strict=True)
    ]
    fixings = [past_fixings(span, side[0], context.as_of) for span, side in zip(spans, sides, strict=True)]
    return TradeView(
        engine_type="Swap",
        data=[node("SwapData", *legs)],
        currencies=frozenset({terms.currency}),
        notionals=((terms.currency, Decimal(terms.notional)),),
        maturity=maturity,
        matured=f"the last payment was on {maturity}" if maturity <= context.as_of else "",
        indices=frozenset(index.name for index, _, _ in sides),
        fixings=frozenset().union(*fixings),
    )


PRODUCT = Product(
    name="BasisSwap",
    terms=BasisSwapTerms,
    read=read,
    cost_nanos=28_000,
    note="two indices of one currency, each with its own coupons; only a currency with two indices has it",
    engines=(PricingEngine("Swap", "DiscountedCashflows", "DiscountingSwapEngine"),),
    requires=frozenset({"coupons", "two-indices"}),
)
