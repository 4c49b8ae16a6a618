"""Trade types: how each one's terms are read."""

from collections.abc import Callable
from typing import Any

from xva_engine.generate.trades import cross_currency_swap, fx_forward, fx_ndf, fx_option, rate_swap, swaption
from xva_engine.generate.trades.base import TradeContext, TradeView

READERS: dict[str, Callable[[Any, TradeContext], TradeView]] = {
    "RateSwap": rate_swap.read,
    "CrossCurrencySwap": cross_currency_swap.read,
    "FxForward": fx_forward.read,
    "FxNdf": fx_ndf.read,
    "FxOption": fx_option.read,
    "Swaption": swaption.read,
}
"""Each takes terms that fit the trade type's contract and raises TermsRefusedError with every fault."""

__all__ = ["READERS", "TradeContext", "TradeView"]
