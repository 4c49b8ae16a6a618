"""FX swap: two exchanges of the same two currencies, the far one backwards."""

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
from xva_engine.generate.xml import leaves, node


class FxSwapTerms(Contract):
    """What is bought on the near date is sold again on the far one."""

    near_date: IsoDate
    near_bought_currency: CurrencyCode
    near_bought_amount: PositiveDecimal
    near_sold_currency: CurrencyCode
    near_sold_amount: PositiveDecimal
    far_date: IsoDate
    far_bought_amount: PositiveDecimal
    far_sold_amount: PositiveDecimal


def _faults(terms: FxSwapTerms, context: TradeContext) -> list[Fault]:
    faults = context.currency_faults(terms.near_bought_currency, terms.near_sold_currency)
    if terms.near_bought_currency == terms.near_sold_currency:
        faults.append(("bad-terms", f"nearBoughtCurrency and nearSoldCurrency are both {terms.near_sold_currency}"))
    if terms.near_date >= terms.far_date:
        faults.append(("bad-terms", f"nearDate {terms.near_date} is not before farDate {terms.far_date}"))
    far = date_of(terms.far_date)
    return faults + longest_maturity_faults(context, far, terms.near_bought_currency, terms.near_sold_currency)


def read(terms: FxSwapTerms, context: TradeContext) -> TradeView:
    """Raises TermsRefusedError with every fault. A near date that is past leaves the far exchange."""
    refuse_if(_faults(terms, context))
    maturity = date_of(terms.far_date)
    date_of(terms.near_date)
    data = leaves(
        NearDate=terms.near_date,
        NearBoughtCurrency=terms.near_bought_currency,
        NearBoughtAmount=terms.near_bought_amount,
        NearSoldCurrency=terms.near_sold_currency,
        NearSoldAmount=terms.near_sold_amount,
        FarDate=terms.far_date,
        FarBoughtAmount=terms.far_bought_amount,
        FarSoldAmount=terms.far_sold_amount,
    )
    return TradeView(
        engine_type="FxSwap",
        data=[node("FxSwapData", *data)],
        currencies=frozenset({terms.near_bought_currency, terms.near_sold_currency}),
        notionals=(
            (terms.near_bought_currency, max(Decimal(terms.near_bought_amount), Decimal(terms.far_sold_amount))),
            (terms.near_sold_currency, max(Decimal(terms.near_sold_amount), Decimal(terms.far_bought_amount))),
        ),
        maturity=maturity,
        matured=f"was settled on {maturity}" if maturity <= context.as_of else "",
    )


PRODUCT = Product(
    name="FxSwap",
    terms=FxSwapTerms,
    read=read,
    cost_nanos=8_000,
    note="deliverable; what is bought on the near date is sold on the far one, at the far amounts",
    engines=(PricingEngine("FxForward", "DiscountedCashflows", "DiscountingFxForwardEngine"),),
)
