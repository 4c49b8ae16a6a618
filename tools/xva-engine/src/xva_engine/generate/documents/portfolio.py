"""`portfolio.xml`: the trades."""

from collections.abc import Iterable
from dataclasses import dataclass

from xva_engine.generate.trades import TradeView
from xva_engine.generate.xml import Element, document, leaves, node


@dataclass(frozen=True)
class BookedTrade:
    """A trade that goes into the package."""

    trade_id: str
    netting_set_id: str
    counterparty: str
    trade_type: str
    view: TradeView


def portfolio(trades: Iterable[BookedTrade]) -> bytes:
    """The document, sorted by trade id."""
    return document(node("Portfolio", *(_trade(trade) for trade in sorted(trades, key=lambda item: item.trade_id))))


def _trade(trade: BookedTrade) -> Element:
    envelope = node(
        "Envelope",
        *leaves(CounterParty=trade.counterparty, NettingSetId=trade.netting_set_id, AdditionalFields=""),
    )
    return node("Trade", node("TradeType", trade.view.engine_type), envelope, *trade.view.data, id=trade.trade_id)
