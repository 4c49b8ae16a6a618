"""European FX option."""

from decimal import Decimal
from typing import Literal

from xva_engine.contracts import Contract
from xva_engine.contracts.scalars import CurrencyCode, IsoDate, PositiveDecimal
from xva_engine.generate.trades.base import (
    PricingEngine,
    Product,
    TradeContext,
    TradeView,
    date_of,
    longest_maturity_faults,
    refuse_if,
)
from xva_engine.generate.xml import leaves, node


class FxOptionTerms(Contract):
    """European option to buy `bought_amount` against `sold_amount`: Call or Put on the bought currency."""

    bought_currency: CurrencyCode
    bought_amount: PositiveDecimal
    sold_currency: CurrencyCode
    sold_amount: PositiveDecimal
    option_type: Literal["Call", "Put"]
    position: Literal["Long", "Short"]
    expiry_date: IsoDate


def read(terms: FxOptionTerms, context: TradeContext) -> TradeView:
    """Raises TermsRefusedError with every fault.

    Call: the right to buy `boughtAmount` for `soldAmount`; Put: to sell it for that. The difference to that day's spot
    rate is paid at expiry (the engine discounts from there, whatever the settlement is called).
    """
    expiry = date_of(terms.expiry_date)
    faults = context.currency_faults(terms.bought_currency, terms.sold_currency)
    if terms.bought_currency == terms.sold_currency:
        faults.append(("bad-terms", f"boughtCurrency and soldCurrency are both {terms.bought_currency}"))
    refuse_if(faults + longest_maturity_faults(context, expiry, terms.bought_currency, terms.sold_currency))
    option = node(
        "OptionData",
        *leaves(
            LongShort=terms.position,
            OptionType=terms.option_type,
            Style="European",
            Settlement="Cash",
            PayOffAtExpiry="false",
        ),
        node("ExerciseDates", node("ExerciseDate", terms.expiry_date)),
    )
    amounts = leaves(
        BoughtCurrency=terms.bought_currency,
        BoughtAmount=terms.bought_amount,
        SoldCurrency=terms.sold_currency,
        SoldAmount=terms.sold_amount,
    )
    return TradeView(
        engine_type="FxOption",
        data=[node("FxOptionData", option, *amounts)],
        currencies=frozenset({terms.bought_currency, terms.sold_currency}),
        notionals=(
            (terms.bought_currency, Decimal(terms.bought_amount)),
            (terms.sold_currency, Decimal(terms.sold_amount)),
        ),
        maturity=expiry,
        matured=f"expired on {expiry}" if expiry <= context.as_of else "",
        option_pairs=frozenset({context.catalogue.pair(terms.bought_currency, terms.sold_currency)}),
    )


PRODUCT = Product(
    name="FxOption",
    terms=FxOptionTerms,
    read=read,
    cost_nanos=4_000,
    note="Call or Put on the bought currency, settled in cash at expiry; at-the-money volatilities without smile",
    engines=(PricingEngine("FxOption", "GarmanKohlhagen", "AnalyticEuropeanEngine"),),
)
