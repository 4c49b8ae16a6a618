"""Cross-currency swap: floating against floating, notionals exchanged at start and end."""

from decimal import Decimal

from xva_engine.contracts import Contract
from xva_engine.contracts.scalars import CurrencyCode, DecimalString, IsoDate, PositiveDecimal
from xva_engine.generate.dates import joint_calendar
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


class CrossCurrencySwapTerms(Contract):
    """Floating against floating in two currencies, notionals exchanged at start and end."""

    pay_currency: CurrencyCode
    pay_notional: PositiveDecimal
    pay_index: IndexName
    pay_spread: DecimalString
    receive_currency: CurrencyCode
    receive_notional: PositiveDecimal
    receive_index: IndexName
    receive_spread: DecimalString
    start_date: IsoDate
    maturity_date: IsoDate


def _faults(terms: CrossCurrencySwapTerms, context: TradeContext) -> list[Fault]:
    faults = context.currency_faults(terms.pay_currency, terms.receive_currency)
    if terms.pay_currency == terms.receive_currency:
        faults.append(("bad-terms", f"payCurrency and receiveCurrency are both {terms.pay_currency}"))
    for member, name, currency in (
        ("payIndex", terms.pay_index, terms.pay_currency),
        ("receiveIndex", terms.receive_index, terms.receive_currency),
    ):
        faults += context.index_faults(member, name, currency)
    if terms.start_date >= terms.maturity_date:
        faults.append(("bad-terms", f"startDate {terms.start_date} is not before maturityDate {terms.maturity_date}"))
    faults += fraction_faults(paySpread=terms.pay_spread, receiveSpread=terms.receive_spread)
    maturity = date_of(terms.maturity_date)
    return faults + longest_maturity_faults(context, maturity, terms.pay_currency, terms.receive_currency)


def read(terms: CrossCurrencySwapTerms, context: TradeContext) -> TradeView:
    """Raises TermsRefusedError with every fault."""
    refuse_if(_faults(terms, context))
    indices = context.catalogue.indices
    _, pay = indices[terms.pay_index]
    _, receive = indices[terms.receive_index]
    calendar = joint_calendar(pay.calendar, receive.calendar)
    start, end = date_of(terms.start_date), date_of(terms.maturity_date)
    # Both legs pay on one day, whatever their indices do alone.
    lag = max(pay.payment_lag, receive.payment_lag)
    pay_span = LegSpan(calendar, start, end, pay.coupon_tenor, lag)
    receive_span = LegSpan(calendar, start, end, receive.coupon_tenor, lag)
    maturity = max(span.payment(span.accruals()[-1][1]) for span in (pay_span, receive_span))
    return TradeView(
        engine_type="CrossCurrencySwap",
        data=[
            node(
                "CrossCurrencySwapData",
                floating_leg(
                    pay_span, Amount(terms.pay_currency, terms.pay_notional, True), True, pay, terms.pay_spread
                ),
                floating_leg(
                    receive_span,
                    Amount(terms.receive_currency, terms.receive_notional, True),
                    False,
                    receive,
                    terms.receive_spread,
                ),
            )
        ],
        currencies=frozenset({terms.pay_currency, terms.receive_currency}),
        notionals=(
            (terms.pay_currency, Decimal(terms.pay_notional)),
            (terms.receive_currency, Decimal(terms.receive_notional)),
        ),
        maturity=maturity,
        matured=f"the last payment was on {maturity}" if maturity <= context.as_of else "",
        indices=frozenset({pay.name, receive.name}),
        fixings=frozenset(
            past_fixings(pay_span, pay, context.as_of) | past_fixings(receive_span, receive, context.as_of)
        ),
    )


PRODUCT = Product(
    name="CrossCurrencySwap",
    terms=CrossCurrencySwapTerms,
    read=read,
    cost_nanos=45_000,
    note="notionals are not reset; each leg is discounted on its own currency's curve (no cross-currency basis)",
    engines=(PricingEngine("CrossCurrencySwap", "DiscountedCashflows", "DiscountingCrossCurrencySwapEngine"),),
    requires=frozenset({"coupons"}),
)
