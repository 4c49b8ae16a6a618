"""Terms of every trade type, the same rules as `libs/xva-contracts/src/run-event/trade-terms.ts`."""

from typing import Annotated, Literal

from pydantic import StringConstraints

from xva_engine.contracts.base import Contract
from xva_engine.contracts.scalars import CurrencyCode, DecimalString, IsoDate, PositiveDecimal, Tenor

IndexName = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}-[A-Z0-9-]{2,30}$")]
FxIndexName = Annotated[str, StringConstraints(pattern=r"^FX-[A-Z0-9]+-[A-Z]{3}-[A-Z]{3}$")]


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


class FxForwardTerms(Contract):
    """Deliverable FX forward."""

    bought_currency: CurrencyCode
    bought_amount: PositiveDecimal
    sold_currency: CurrencyCode
    sold_amount: PositiveDecimal
    value_date: IsoDate


class FxNdfTerms(FxForwardTerms):
    """Non-deliverable forward: the difference is settled in `settlement_currency` on the fixing of `fx_index`."""

    settlement_currency: CurrencyCode
    fixing_date: IsoDate
    fx_index: FxIndexName


class FxOptionTerms(Contract):
    """European option to buy `bought_amount` against `sold_amount`: Call or Put on the bought currency."""

    bought_currency: CurrencyCode
    bought_amount: PositiveDecimal
    sold_currency: CurrencyCode
    sold_amount: PositiveDecimal
    option_type: Literal["Call", "Put"]
    position: Literal["Long", "Short"]
    expiry_date: IsoDate


class SwaptionTerms(RateSwapTerms):
    """European swaption, physically settled; `fixed_leg` is the holder's side of the underlying's fixed leg."""

    position: Literal["Long", "Short"]
    exercise_date: IsoDate


TRADE_TERMS: dict[str, type[Contract]] = {
    "RateSwap": RateSwapTerms,
    "CrossCurrencySwap": CrossCurrencySwapTerms,
    "FxForward": FxForwardTerms,
    "FxNdf": FxNdfTerms,
    "FxOption": FxOptionTerms,
    "Swaption": SwaptionTerms,
}
"""The trade types that the pipeline takes, each with the model of its terms."""
