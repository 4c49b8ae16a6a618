"""What the runner refuses before the engine runs: cheaper and clearer, for the engine is silent on most."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence

from xva_engine.run.acceptance import Defect, Expected, ExpectedSet
from xva_engine.run.errors import BadInputError
from xva_engine.run.package import Package, TradeRef, is_plain_id

_FIELDS_OF_A_QUOTE = 3
_DATE = re.compile(r"[0-9]{8}|[0-9]{4}-[0-9]{2}-[0-9]{2}")


def check_quotes(package: Package) -> None:
    """Market and fixings: three fields a line, finite numbers, one value per date and key, quotes on the as-of date.

    The engine takes the first of two values without a word. Raises BadInputError naming file, line and key.
    """
    as_of = package.setup.as_of.replace("-", "")
    for role in ("market", "fixings"):
        path = package.path_of(role)
        dates = _check_lines(path, package.content[path].decode("utf-8", errors="replace"))
        if role == "market" and as_of not in dates:
            raise BadInputError(f"{path}: no quote of the as-of date {package.setup.as_of}")


def _check_lines(path: str, text: str) -> set[str]:
    seen: dict[tuple[str, str], float] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        words = line.split()
        if len(words) != _FIELDS_OF_A_QUOTE or _DATE.fullmatch(words[0]) is None:
            raise BadInputError(f"{path}: line {number} is not `date key value`: {line.strip()[:80]}")
        key = (words[0].replace("-", ""), words[1])
        try:
            value = float(words[2])
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise BadInputError(f"{path}: line {number}: {words[1]} has the value {words[2]}")
        if seen.setdefault(key, value) != value:
            raise BadInputError(f"{path}: line {number}: {words[1]} has two values on {words[0]}")
    return {date for date, _ in seen}


def check_sets(package: Package, netting_sets: Sequence[str]) -> tuple[Expected, tuple[Defect, ...]]:
    """What is expected of the engine, and what is already known to be wrong with single netting sets.

    Looks at the whole portfolio, so that the same sets are refused however the run is sharded: two netting sets that
    share a trade id are both refused, also when they are in different shards.
    """
    trades_of: dict[str, list[TradeRef]] = defaultdict(list)
    for trade in package.trades:
        trades_of[trade.netting_set_id].append(trade)
    id_count = Counter(trade.trade_id for trade in package.trades)
    defects: list[Defect] = []
    expected: dict[str, ExpectedSet] = {}
    for set_id in sorted(netting_sets):
        trades = trades_of[set_id]
        bad = [
            Defect(set_id, trade.trade_id, code, message)
            for trade in trades
            for code, message in _trade_problems(trade, id_count)
        ]
        parties = sorted({trade.counterparty for trade in trades})
        if len(parties) > 1:
            bad.append(Defect(set_id, None, "several-counterparties", f"trades name {', '.join(parties)}"))
        if set_id not in package.collateralised:
            message = "the netting set has no definition; the engine would treat it as uncollateralised"
            bad.append(Defect(set_id, None, "missing-netting-definition", message))
        defects += sorted(set(bad), key=lambda d: (d.trade_id or "", d.code))
        if not bad:
            ids = tuple(sorted(trade.trade_id for trade in trades))
            expected[set_id] = ExpectedSet(parties[0], package.collateralised[set_id], ids)
    own = {one.counterparty for one in expected.values()}
    foreign = frozenset(trade.counterparty for trade in package.trades) - own
    return Expected(package.setup.as_of, expected, foreign), tuple(defects)


def _trade_problems(trade: TradeRef, id_count: Counter[str]) -> list[tuple[str, str]]:
    problems = []
    if id_count[trade.trade_id] > 1:
        problems.append(("duplicate-trade-id", f"the portfolio has {id_count[trade.trade_id]} trades of this id"))
    if not is_plain_id(trade.trade_id):
        problems.append(("bad-trade-id", "an id is 1 to 64 of A-Z a-z 0-9 _ . -"))
    if not trade.counterparty:
        problems.append(("missing-counterparty", "the trade's envelope names no counterparty"))
    return problems
