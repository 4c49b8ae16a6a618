"""European swaption, physically settled."""

from decimal import Decimal
from typing import Literal

from xva_engine.contracts.scalars import IsoDate
from xva_engine.generate.dates import is_business_day
from xva_engine.generate.trades.base import PricingEngine, Product, TradeContext, TradeView, date_of, refuse_if
from xva_engine.generate.trades.rate_swap import RateSwapTerms, swap_faults, swap_legs, swap_spans
from xva_engine.generate.xml import leaves, node


class SwaptionTerms(RateSwapTerms):
    """European swaption, physically settled; `fixed_leg` is the holder's side of the underlying's fixed leg."""

    position: Literal["Long", "Short"]
    exercise_date: IsoDate


def read(terms: SwaptionTerms, context: TradeContext) -> TradeView:
    """Raises TermsRefusedError with every fault.

    `fixedLeg` is our side of the underlying swap, as it is for a swap. The engine's legs are the option holder's side,
    so they are turned around when we are short.
    """
    faults = swap_faults(terms, context)
    exercise = date_of(terms.exercise_date)
    if terms.exercise_date > terms.start_date:
        faults.append(("bad-terms", f"exerciseDate {terms.exercise_date} is after startDate {terms.start_date}"))
    refuse_if(faults)
    _, index = context.catalogue.indices[terms.float_index]
    if not is_business_day(index.calendar, exercise):
        refuse_if([("bad-terms", f"exerciseDate {terms.exercise_date} is no business day of {index.calendar}")])
    option = node(
        "OptionData",
        *leaves(LongShort=terms.position, OptionType="Call", Style="European", Settlement="Physical"),
        node("ExerciseDates", node("ExerciseDate", terms.exercise_date)),
    )
    holder_pays_fixed = (terms.fixed_leg == "Pay") == (terms.position == "Long")
    maturity = max(span.payment(span.accruals()[-1][1]) for span in swap_spans(terms, context))
    return TradeView(
        engine_type="Swaption",
        data=[node("SwaptionData", option, *swap_legs(terms, context, holder_pays_fixed))],
        currencies=frozenset({terms.currency}),
        notionals=((terms.currency, Decimal(terms.notional)),),
        maturity=maturity,
        matured=f"expired on {exercise}" if exercise <= context.as_of else "",
        indices=frozenset({index.name}),
    )


PRODUCT = Product(
    name="Swaption",
    terms=SwaptionTerms,
    read=read,
    cost_nanos=4_000,
    note=(
        "normal volatilities at the money, without smile; `fixedLeg` is our side of the underlying swap, long or short"
    ),
    engines=(PricingEngine("EuropeanSwaption", "BlackBachelier", "BlackBachelierSwaptionEngine"),),
    requires=frozenset({"swaption-surface"}),
)
