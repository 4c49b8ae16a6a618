"""Checks of trades: each is read on its own, and a bad one refuses its netting set."""

import datetime
from collections import defaultdict

from pydantic import ValidationError

from xva_engine.contracts import FrozenTrade
from xva_engine.data import Catalogue
from xva_engine.generate.defects import Findings, TermsRefusedError, sentence_of
from xva_engine.generate.documents.netting import BookedSet
from xva_engine.generate.documents.portfolio import BookedTrade
from xva_engine.generate.review_sets import is_id
from xva_engine.generate.trades import PRODUCTS, TradeContext, TradeView
from xva_engine.generate.trades.base import Fault, refuse_if

MOST_NOTIONAL = 10**13
"""More is a slip of the keyboard, and sums of more would not fit the contract's decimals."""
_RULE = "must be 1 to 64 of A-Z a-z 0-9 _ . -"


def review_trades(
    catalogue: Catalogue,
    as_of: datetime.date,
    trades: list[FrozenTrade],
    netting_sets: dict[str, BookedSet],
    findings: Findings,
) -> list[BookedTrade]:
    """The trades that could be read, matured ones too; whatever is wrong with one is noted."""
    holders: dict[str, list[str]] = defaultdict(list)
    for trade in trades:
        holders[trade.trade_id].append(trade.netting_set_id)
    booked = []
    for trade in trades:
        _review_ids(trade, holders[trade.trade_id], netting_sets, findings)
        found = _read(catalogue, as_of, trade, netting_sets, findings)
        if found is not None:
            booked.append(found)
    return sorted(booked, key=lambda item: (item.trade_id, item.netting_set_id))


def _review_ids(trade: FrozenTrade, holders: list[str], netting_sets: dict[str, BookedSet], findings: Findings) -> None:
    if not is_id(trade.trade_id):
        _refuse(findings, trade, "bad-trade-id", f"trade id {trade.trade_id!r} {_RULE}")
    if len(holders) > 1:
        places = ", ".join(sorted(set(holders)))
        message = f"trade {trade.trade_id} is there {len(holders)} times (netting sets: {places})"
        _refuse(findings, trade, "duplicate-trade-id", message)
    if trade.netting_set_id not in netting_sets:
        message = f"trade {trade.trade_id} is in netting set {trade.netting_set_id!r}, which is not defined"
        _refuse(findings, trade, "unknown-netting-set", message)


def _read(
    catalogue: Catalogue,
    as_of: datetime.date,
    trade: FrozenTrade,
    netting_sets: dict[str, BookedSet],
    findings: Findings,
) -> BookedTrade | None:
    product = PRODUCTS.get(trade.trade_type)
    if product is None:
        known = ", ".join(PRODUCTS)
        message = f"trade {trade.trade_id} has the unknown type {trade.trade_type!r}; known are {known}"
        _refuse(findings, trade, "unknown-trade-type", message)
        return None
    if set(trade.terms) == {"raw"} and isinstance(trade.terms["raw"], str):
        shown = trade.terms["raw"][:80]
        message = f"trade {trade.trade_id}: terms are no JSON object with decimals as text (they are {shown!r})"
        _refuse(findings, trade, "bad-terms", message)
        return None
    try:
        view = product.read(product.terms.model_validate(trade.terms), TradeContext(catalogue, as_of, product))
        refuse_if(_notional_faults(view))
    except ValidationError as error:
        for fault in error.errors(include_url=False, include_context=False):
            place = ".".join(str(step) for step in fault["loc"])
            message = f"trade {trade.trade_id}: {place}: {sentence_of(fault['type'], fault['msg'], fault['input'])}"
            _refuse(findings, trade, "bad-terms", message)
        return None
    except TermsRefusedError as error:
        for code, message in error.faults:
            _refuse(findings, trade, code, f"trade {trade.trade_id}: {message}")
        return None
    netting_set = netting_sets.get(trade.netting_set_id)
    counterparty = netting_set.counterparty if netting_set is not None else ""
    return BookedTrade(trade.trade_id, trade.netting_set_id, counterparty, trade.trade_type, view)


def _notional_faults(view: TradeView) -> list[Fault]:
    return [
        ("notional-out-of-range", f"an amount of {amount:f} {currency} is above {MOST_NOTIONAL}")
        for currency, amount in view.notionals
        if amount > MOST_NOTIONAL
    ]


def _refuse(findings: Findings, trade: FrozenTrade, code: str, message: str) -> None:
    findings.refuse_set(trade.netting_set_id, code, trade.trade_id, message, trade_id=trade.trade_id)
