"""FX forward with delivery of both currencies."""

from decimal import Decimal

from xva_engine.contracts import Contract
from xva_engine.contracts.scalars import CurrencyCode, IsoDate, PositiveDecimal
from xva_engine.generate.trades.base import (
    Fault,
    PricingEngine,
    Product,
    TradeContext,
    TradeView,
    date_of,
    longest_maturity_faults,
    refuse_if,
)
from xva_engine.generate.xml import Element, leaves, node


class FxForwardTerms(Contract):
    """Deliverable FX forward."""

    bought_currency: CurrencyCode
    bought_amount: PositiveDecimal
    sold_currency: CurrencyCode
    sold_amount: PositiveDecimal
    value_date: IsoDate


def forward_faults(terms: FxForwardTerms, context: TradeContext) -> list[Fault]:
    """What is wrong with a forward, deliverable or not."""
    faults = context.currency_faults(terms.bought_currency, terms.sold_currency)
    if terms.bought_currency == terms.sold_currency:
        faults.append(("bad-terms", f"boughtCurrency and soldCurrency are both {terms.bought_currency}"))
    value_date = date_of(terms.value_date)
    return faults + longest_maturity_faults(context, value_date, terms.bought_currency, terms.sold_currency)


def forward_amounts(terms: FxForwardTerms) -> list[Element]:
    """What is bought and what is sold."""
    return leaves(
        BoughtCurrency=terms.bought_currency,
        BoughtAmount=terms.bought_amount,
        SoldCurrency=terms.sold_currency,
        SoldAmount=terms.sold_amount,
    )


def forward_notionals(terms: FxForwardTerms) -> tuple[tuple[str, Decimal], ...]:
    """Both amounts."""
    return (
        (terms.bought_currency, Decimal(terms.bought_amount)),
        (terms.sold_currency, Decimal(terms.sold_amount)),
    )


def read(terms: FxForwardTerms, context: TradeContext) -> TradeView:
    """Raises TermsRefusedError with every fault.

    The payment date is given as well: without it the engine takes `ValueDate` for a fixing and pays two days later.
    """
    refuse_if(forward_faults(terms, context))
    maturity = date_of(terms.value_date)
    settlement = [node("Settlement", "Physical"), node("SettlementData", node("Date", terms.value_date))]
    return TradeView(
        engine_type="FxForward",
        data=[node("FxForwardData", node("ValueDate", terms.value_date), *forward_amounts(terms), *settlement)],
        currencies=frozenset({terms.bought_currency, terms.sold_currency}),
        notionals=forward_notionals(terms),
        maturity=maturity,
        matured=f"was settled on {maturity}" if maturity <= context.as_of else "",
    )


PRODUCT = Product(
    name="FxForward",
    terms=FxForwardTerms,
    read=read,
    cost_nanos=4_000,
    note="BRL is not deliverable offshore: booked all the same, if the request says so",
    engines=(PricingEngine("FxForward", "DiscountedCashflows", "DiscountingFxForwardEngine"),),
)
