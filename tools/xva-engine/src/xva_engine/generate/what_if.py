"""What-ifs: one netting set as it is and with other trades, side by side on the simulation of the whole request.

Both are in one package, so that they see the same scenarios, and the set as it is has the figures of the whole book's
run to the last digit. What would change the simulation is refused: another factor set draws other scenarios, and the
difference between the two would not be the trade's.
"""

import copy
import datetime
from dataclasses import dataclass, replace

from xva_engine.contracts import FrozenTrade, WhatIf, WhatIfSets
from xva_engine.generate.defects import Defect, Findings
from xva_engine.generate.documents.netting import BookedSet
from xva_engine.generate.documents.portfolio import BookedTrade
from xva_engine.generate.factors import Factors, SetFactors, factors_of
from xva_engine.generate.grid import Grid
from xva_engine.generate.review_sets import is_id

SUFFIX = ".whatif"


@dataclass(frozen=True)
class BookAsItIs:
    """The accepted part of a request, and every id that it names."""

    netting_sets: list[BookedSet]
    trades: list[BookedTrade]
    factors: Factors
    grid: Grid
    known_ids: frozenset[str]


@dataclass(frozen=True)
class Compared:
    """The two netting sets and their trades; fixings are what the trades need."""

    netting_sets: list[BookedSet]
    trades: list[BookedTrade]
    fixings: set[tuple[str, datetime.date]]
    names: WhatIfSets


def frozen_trades(what_if: WhatIf) -> list[FrozenTrade]:
    """The added trades as trades of the netting set."""
    return [
        FrozenTrade(
            trade_id=trade.trade_id,
            netting_set_id=what_if.netting_set_id,
            trade_type=trade.trade_type,
            terms=trade.terms,
        )
        for trade in what_if.add_trades
    ]


def compare(what_if: WhatIf, book: BookAsItIs, added: list[BookedTrade], findings: Findings) -> Compared | None:
    """The two sides, or None when something is refused. `added` are the trades that could be read."""
    set_id = what_if.netting_set_id
    base_set = next((item for item in book.netting_sets if item.id == set_id), None)
    if base_set is None:
        message = f"netting set {set_id!r} of the what-if is not in the request, has no live trade or is refused"
        findings.refuse_package("bad-what-if", set_id, message)
        return None
    before = [trade for trade in book.trades if trade.netting_set_id == set_id]
    removed = set(what_if.remove_trade_ids)
    for trade_id in sorted(removed - {trade.trade_id for trade in before}):
        message = f"trade {trade_id!r}, which the what-if removes, is no live trade of netting set {set_id}"
        findings.refuse_package("bad-what-if", trade_id, message)
    _check_added(book, added, findings)
    with_id = f"{set_id}{SUFFIX}"
    after = [*(trade for trade in before if trade.trade_id not in removed), *added]
    if not after or not (removed or what_if.add_trades):
        what = "removes every trade" if not after else "changes nothing"
        findings.refuse_package("bad-what-if", set_id, f"the what-if of netting set {set_id} {what}")
    copies = [_copied(trade, with_id) for trade in after]
    for name in sorted({with_id, *(trade.trade_id for trade in copies)}):
        if name in book.known_ids or not is_id(name):
            message = f"the what-if needs the id {name}, which is {'taken' if is_id(name) else 'too long'}"
            findings.refuse_package("bad-what-if", name, message)
    if findings.whole:
        return None
    trades = sorted([*before, *copies], key=lambda trade: trade.trade_id)
    return Compared(
        netting_sets=[base_set, replace(base_set, id=with_id)],
        trades=trades,
        fixings={key for trade in trades for key in trade.view.fixings},
        names=WhatIfSets(
            without=set_id,
            with_=with_id,
            added_trade_ids=sorted(trade.trade_id for trade in added),
            removed_trade_ids=sorted(removed),
        ),
    )


def _copied(trade: BookedTrade, with_id: str) -> BookedTrade:
    view = replace(trade.view, data=copy.deepcopy(trade.view.data))  # an XML element has one parent
    return replace(trade, trade_id=f"{trade.trade_id}{SUFFIX}", netting_set_id=with_id, view=view)


def _check_added(book: BookAsItIs, added: list[BookedTrade], findings: Findings) -> None:
    for trade in added:
        name = trade.trade_id
        if name in book.known_ids:
            findings.refuse_package("bad-what-if", name, f"trade {name} of the what-if is in the request already")
        if trade.view.matured:
            findings.refuse_package("bad-what-if", name, f"trade {name} of the what-if {trade.view.matured}")
        elif trade.view.maturity > book.grid.dates[-1]:
            message = (
                f"trade {name} matures on {trade.view.maturity}, after the simulation's last date {book.grid.dates[-1]}"
            )
            findings.refuse_package("beyond-the-grid", name, message)
        netting_set = BookedSet(trade.netting_set_id, trade.counterparty, None)
        for factor in _new_factors(book.factors, factors_of(netting_set, [trade.view])):
            message = f"trade {name} needs {factor}, which the request's simulation does not have"
            findings.whole.add(Defect(name, "new-risk-factor", message))


def _new_factors(frozen: Factors, wanted: SetFactors) -> list[str]:
    codes = {currency.code for currency in frozen.currencies}
    return [
        *(f"the currency {code}" for code in sorted(wanted.currencies - codes)),
        *(f"the index {name}" for name in sorted(wanted.indices - set(frozen.indices))),
        *(f"the FX volatility {one}{two}" for one, two in sorted(wanted.option_pairs - set(frozen.volatility_pairs))),
        *(f"the FX rate {one}{two}" for one, two in sorted(wanted.fx_indices - set(frozen.fx_pairs))),
    ]
