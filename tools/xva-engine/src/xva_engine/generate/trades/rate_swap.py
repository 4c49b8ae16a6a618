"""Rate swap: fixed against floating in one currency."""

from decimal import Decimal
from typing import Literal

from xva_engine.contracts import Contract
from xva_engine.contracts.scalars import CurrencyCode, DecimalString, IsoDate, PositiveDecimal, Tenor
from xva_engine.generate.dates import add_period
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
from xva_engine.generate.trades.legs import Amount, LegSpan, fixed_leg, floating_leg, past_fixings
from xva_engine.generate.xml import Element, node


class RateSwapTerms(Contract):
    """Fixed against floating; `fixed_leg` is our side of the fixed leg."""

    currency: CurrencyCode
    notional: PositiveDecimal
    fixed_leg: Literal["Pay", "Receive"]
    fixed_rate: DecimalString
    fixed_tenor: Tenor
    float_index: IndexName
    float_spread: DecimalString
    start_date: IsoDate
    maturity_date: IsoDate


FIXED_TENORS = ("1M", "3M", "6M", "1Y", "12M")


def swap_faults(terms: RateSwapTerms, context: TradeContext) -> list[Fault]:
    """What is wrong with a swap, or with the underlying of a swaption."""
    faults = context.currency_faults(terms.currency)
    found = context.catalogue.indices.get(terms.float_index)
    if found is None:
        faults.append(("unknown-index", f"floatIndex {terms.float_index} is not known"))
    elif found[0].code != terms.currency:
        faults.append(("bad-terms", f"floatIndex {terms.float_index} is not in {terms.currency}"))
    elif found[1].single_payment:
        faults += _single_payment_faults(terms)
    if terms.fixed_tenor not in FIXED_TENORS and not (found is not None and found[1].single_payment):
        faults.append(("bad-terms", f"fixedTenor {terms.fixed_tenor} is none of {', '.join(FIXED_TENORS)}"))
    if terms.start_date >= terms.maturity_date:
        faults.append(("bad-terms", f"startDate {terms.start_date} is not before maturityDate {terms.maturity_date}"))
    faults += fraction_faults(fixedRate=terms.fixed_rate, floatSpread=terms.float_spread)
    return faults + longest_maturity_faults(context, date_of(terms.maturity_date), terms.currency)


def _single_payment_faults(terms: RateSwapTerms) -> list[Fault]:
    faults: list[Fault] = []
    if add_period(date_of(terms.start_date), terms.fixed_tenor) < date_of(terms.maturity_date):
        message = (
            f"fixedTenor {terms.fixed_tenor} is shorter than the swap, which {terms.float_index} pays once, at the end"
        )
        faults.append(("bad-terms", message))
    if Decimal(terms.float_spread) != 0:
        faults.append(("bad-terms", f"floatSpread {terms.float_spread} is not supported over {terms.float_index}"))
    return faults


def swap_spans(terms: RateSwapTerms, context: TradeContext) -> tuple[LegSpan, LegSpan]:
    """The fixed and the floating leg's dates."""
    _, index = context.catalogue.indices[terms.float_index]
    start, end = date_of(terms.start_date), date_of(terms.maturity_date)
    return (
        LegSpan(index.calendar, start, end, terms.fixed_tenor, index.payment_lag, index.single_payment),
        LegSpan(index.calendar, start, end, index.coupon_tenor, index.payment_lag, index.single_payment),
    )


def swap_legs(terms: RateSwapTerms, context: TradeContext, we_pay_fixed: bool) -> list[Element]:
    """The fixed and the floating leg."""
    _, index = context.catalogue.indices[terms.float_index]
    fixed, floating = swap_spans(terms, context)
    amount = Amount(terms.currency, terms.notional)
    return [
        fixed_leg(fixed, amount, we_pay_fixed, terms.fixed_rate, index.fixed_day_counter),
        floating_leg(floating, amount, not we_pay_fixed, index, terms.float_spread),
    ]


def read(terms: RateSwapTerms, context: TradeContext) -> TradeView:
    """Raises TermsRefusedError with every fault."""
    refuse_if(swap_faults(terms, context))
    _, index = context.catalogue.indices[terms.float_index]
    spans = swap_spans(terms, context)
    maturity = max(span.payment(span.accruals()[-1][1]) for span in spans)
    matured = maturity <= context.as_of
    return TradeView(
        engine_type="Swap",
        data=[node("SwapData", *swap_legs(terms, context, terms.fixed_leg == "Pay"))],
        currencies=frozenset({terms.currency}),
        notionals=((terms.currency, Decimal(terms.notional)),),
        maturity=maturity,
        matured=f"the last payment was on {maturity}" if matured else "",
        indices=frozenset({index.name}),
        fixings=frozenset(past_fixings(spans[1], index, context.as_of)),
    )


PRODUCT = Product(
    name="RateSwap",
    terms=RateSwapTerms,
    read=read,
    cost_nanos=23_000,
    note=("fixed against a term or overnight index of the same currency; BRL is pré × CDI, paid once, no spread"),
    engines=(PricingEngine("Swap", "DiscountedCashflows", "DiscountingSwapEngine"),),
)
