"""The acceptance rule: which netting sets' numbers may leave this task. Pure; the engine's exit code has no say.

The engine reports success in nearly every failure: broken trades vanish or count as zero, missing fixings give a zero
XVA, a missing CSA means "uncollateralised". So every id that was asked for must be in every report, every measure must
be a number, and the structured log must be free of errors. What is wrong and belongs to a trade or netting set rejects
that netting set; what is wrong and belongs to none fails the shard.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from xva_engine.run.reports import LogLine, MissingColumnError, Report

NPV_MEASURES = ("NPV", "NPV(Base)")
XVA_MEASURES = (
    *("CVA", "DVA", "FBA", "FCA", "FBAexOwnSP", "FCAexOwnSP", "FBAexAllSP", "FCAexAllSP"),
    *("BaselEPE", "BaselEEPE"),
)
PROFILE_MEASURES = ("EPE", "ENE", "PFE", "BaselEE", "BaselEEE", "TimeWeightedBaselEPE", "TimeWeightedBaselEEPE")
MATURED = "Trade is Matured"

_DEFAULT_CURVE = re.compile(r"DefaultCurve\(([A-Za-z0-9_.-]+),")
_NAMED_SET = re.compile(r"[Nn]etting set ([A-Za-z0-9_.-]+?)(?: is|:|,|$)")


@dataclass(frozen=True)
class ExpectedSet:
    """A netting set that was given to the engine, as portfolio.xml and netting.xml say it."""

    counterparty: str
    collateralised: bool
    trade_ids: tuple[str, ...]


@dataclass(frozen=True)
class Expected:
    """What was asked for; `foreign_counterparties` appear in the package only with netting sets of other shards."""

    as_of: str
    netting_sets: Mapping[str, ExpectedSet]
    foreign_counterparties: frozenset[str] = frozenset()

    def only(self, set_ids: Iterable[str]) -> "Expected":
        """Cut to these netting sets; the counterparties of the others are foreign then."""
        kept = {set_id: self.netting_sets[set_id] for set_id in set_ids}
        here = {one.counterparty for one in kept.values()}
        gone = {one.counterparty for one in self.netting_sets.values()}
        return Expected(self.as_of, kept, (self.foreign_counterparties | gone) - here)


@dataclass(frozen=True)
class Defect:
    """Something wrong with one netting set."""

    netting_set_id: str
    trade_id: str | None
    code: str
    message: str


@dataclass(frozen=True)
class Notice:
    """Something that a reader of accepted numbers should know."""

    code: str
    subject: str
    message: str


@dataclass(frozen=True)
class Verdict:
    """With `failures` no number may be used; without, `accepted` sets may, and `defects` name the rest."""

    accepted: tuple[str, ...]
    defects: tuple[Defect, ...]
    notices: tuple[Notice, ...]
    failures: tuple[str, ...]
    matured: frozenset[str] = frozenset()


@dataclass
class _Findings:
    expected: Expected
    set_of_trade: dict[str, str]
    defects: set[Defect] = field(default_factory=set)
    notices: set[Notice] = field(default_factory=set)
    failures: list[str] = field(default_factory=list)
    matured: set[str] = field(default_factory=set)

    def trade(self, trade_id: str, code: str, message: str) -> None:
        self.defects.add(Defect(self.set_of_trade[trade_id], trade_id, code, message))

    def netting_set(self, set_id: str, code: str, message: str) -> None:
        self.defects.add(Defect(set_id, None, code, message))

    def fail(self, message: str) -> None:
        if message not in self.failures:
            self.failures.append(message)


def accept(reports: Mapping[str, Report], log: Sequence[LogLine], expected: Expected) -> Verdict:
    """Applies the rule to what one engine run left behind.

    :param reports: `npv`, `xva`, `exposure_trade_<id>`, `exposure_nettingset_<id>` under the engine's names
    :param log: the whole structured log of this run and no other
    """
    found = _findings(reports, log, expected, ("npv", "xva"))
    if "npv" in reports and "xva" in reports:
        try:
            _judge_npv(reports["npv"], found)
            _judge_xva(reports["xva"], found)
            _judge_profiles(reports, found)
            _judge_presence(reports, found)
            _note_short_trades(reports, found)
        except MissingColumnError as error:
            found.fail(str(error))
    return _verdict(found)


def accept_cube(
    reports: Mapping[str, Report], log: Sequence[LogLine], expected: Expected, ids: Sequence[str]
) -> Verdict:
    """The rule for a run that simulated some trades and computed no value adjustments.

    :param expected: one netting set, cut to the trades that were given
    :param ids: the trades that the cube lists
    """
    found = _findings(reports, log, expected, ("npv",))
    if "npv" in reports:
        try:
            _judge_npv(reports["npv"], found)
            valued = set(reports["npv"].texts("TradeId"))
        except MissingColumnError as error:
            found.fail(str(error))
            valued = set()
        for trade_id in sorted(found.set_of_trade):
            places = [place for place, there in (("npv", valued), ("the cube", set(ids))) if trade_id not in there]
            if places and not (trade_id in found.matured and len(places) == 2):
                found.trade(trade_id, "trade-missing", f"the engine left the trade out of {', '.join(places)}")
        if odd := sorted(set(ids) - set(found.set_of_trade)):
            found.fail(f"the cube has trade {odd[0]}, which was not asked for")
    return _verdict(found)


def _findings(
    reports: Mapping[str, Report], log: Sequence[LogLine], expected: Expected, needed: Sequence[str]
) -> _Findings:
    set_of_trade = {trade: set_id for set_id, one in expected.netting_sets.items() for trade in one.trade_ids}
    found = _Findings(expected, set_of_trade)
    for name in needed:
        if name not in reports:
            found.fail(f"the engine wrote no {name} report")
    for line in log:
        _judge_line(line, found)
    return found


def _verdict(found: _Findings) -> Verdict:
    expected = found.expected
    rejected = {defect.netting_set_id for defect in found.defects}
    return Verdict(
        accepted=tuple(sorted(set(expected.netting_sets) - rejected)) if not found.failures else (),
        defects=tuple(sorted(found.defects, key=lambda d: (d.netting_set_id, d.trade_id or "", d.code, d.message))),
        notices=tuple(sorted(found.notices, key=lambda n: (n.code, n.subject, n.message))),
        failures=tuple(found.failures),
        matured=frozenset(found.matured),
    )


def _judge_line(line: LogLine, found: _Findings) -> None:
    trade_id = line.fields.get("tradeId", "")
    if not line.is_error:
        if line.message.startswith(MATURED) and trade_id in found.set_of_trade:
            found.matured.add(trade_id)
            found.notices.add(Notice("trade-matured", trade_id, line.message))
        else:
            subject = trade_id or line.fields.get("nettingSetId") or line.fields.get("curveId") or line.group
            found.notices.add(Notice("engine-warning", subject, line.message))
        return
    if trade_id in found.set_of_trade:
        found.trade(trade_id, "engine-error", _with_type(line))
        return
    sets = _sets_named_by(line, found.expected)
    for set_id in sets:
        found.netting_set(set_id, "engine-error", _with_type(line))
    if sets:
        return
    curve = _DEFAULT_CURVE.search(line.fields.get("curveId", ""))
    if curve is not None and curve.group(1) in found.expected.foreign_counterparties:
        found.notices.add(Notice("other-shards-curve", curve.group(1), line.message))
        return
    found.fail(f"engine error ({line.group}): {_with_type(line)}")


def _sets_named_by(line: LogLine, expected: Expected) -> list[str]:
    set_id = line.fields.get("nettingSetId", "")
    if set_id in expected.netting_sets:
        return [set_id]
    curve = _DEFAULT_CURVE.search(line.fields.get("curveId", ""))
    if curve is not None:
        name = curve.group(1)
        return [set_id for set_id, one in expected.netting_sets.items() if one.counterparty == name]
    named = _NAMED_SET.search(line.message)
    return [named.group(1)] if named is not None and named.group(1) in expected.netting_sets else []


def _with_type(line: LogLine) -> str:
    kind = line.fields.get("exceptionType", "").rstrip(".")
    return f"{kind}: {line.message}" if kind else line.message


def _judge_npv(npv: Report, found: _Findings) -> None:
    ids = npv.texts("TradeId")
    _refuse_repeats(ids, "npv", found)
    types, sets, parties = npv.texts("TradeType"), npv.texts("NettingSet"), npv.texts("CounterParty")
    for row, trade_id in enumerate(ids):
        set_id = found.set_of_trade.get(trade_id)
        if set_id is None:
            found.fail(f"report npv has trade {trade_id}, which was not asked for")
            continue
        if types[row] == "Failed":
            found.trade(trade_id, "trade-failed", "the engine could not read the trade and valued it at zero")
            continue
        if (sets[row], parties[row]) != (set_id, found.expected.netting_sets[set_id].counterparty):
            found.trade(trade_id, "wrong-netting-set", f"the engine put the trade in {sets[row]} / {parties[row]}")
        for header in NPV_MEASURES:
            if npv.column(header)[row] is None:
                found.trade(trade_id, "value-missing", f"npv has no {header}")


def _judge_xva(xva: Report, found: _Findings) -> None:
    trades, sets = xva.texts("TradeId"), xva.texts("NettingSetId")
    _refuse_repeats([trade for trade in trades if trade], "xva", found)
    for set_id, count in Counter(s for t, s in zip(trades, sets, strict=True) if not t).items():
        if set_id not in found.expected.netting_sets:
            found.fail(f"report xva has netting set {set_id}, which was not asked for")
        elif count > 1:
            found.netting_set(set_id, "duplicate-row", f"xva has {count} rows of the netting set")
    for row, (trade_id, set_id) in enumerate(zip(trades, sets, strict=True)):
        gone = [header for header in XVA_MEASURES if xva.column(header)[row] is None]
        if trade_id:
            if trade_id not in found.set_of_trade:
                found.fail(f"report xva has trade {trade_id}, which was not asked for")
                continue
            if set_id != found.set_of_trade[trade_id]:
                found.trade(trade_id, "wrong-netting-set", f"the engine put the trade in {set_id}")
            if gone:
                found.trade(trade_id, "value-missing", f"xva has no {', '.join(gone)}")
        elif set_id in found.expected.netting_sets:
            if found.expected.netting_sets[set_id].collateralised and xva.column("COLVA")[row] is None:
                gone.append("COLVA")
            if gone:
                found.netting_set(set_id, "value-missing", f"xva has no {', '.join(gone)}")


def _judge_profiles(reports: Mapping[str, Report], found: _Findings) -> None:
    for name, report in reports.items():
        if name.startswith("exposure_trade_"):
            trade_id = name.removeprefix("exposure_trade_")
            if trade_id not in found.set_of_trade:
                found.fail(f"report {name} is of a trade that was not asked for")
            elif problem := _profile_problem(report, (*PROFILE_MEASURES, "Time", "Date")):
                found.trade(trade_id, "value-missing", f"the exposure profile {problem}")
        elif name.startswith("exposure_nettingset_"):
            set_id = name.removeprefix("exposure_nettingset_")
            if set_id not in found.expected.netting_sets:
                found.fail(f"report {name} is of a netting set that was not asked for")
            elif problem := _profile_problem(report, (*PROFILE_MEASURES, "ExpectedCollateral", "Time", "Date")):
                found.netting_set(set_id, "value-missing", f"the exposure profile {problem}")


def _profile_problem(report: Report, headers: Iterable[str]) -> str | None:
    if report.rows == 0:
        return "is empty"
    gone = [header for header in headers if any(cell is None for cell in report.column(header))]
    if gone:
        return f"has no {', '.join(gone)} on some date"
    dates = report.texts("Date")
    return None if dates == sorted(set(dates)) else "repeats a date"


def _judge_presence(reports: Mapping[str, Report], found: _Findings) -> None:
    """Every trade alive is in npv, xva and the profiles; every set with a live trade is in xva and the profiles."""
    trades_in = {
        "npv": set(reports["npv"].texts("TradeId")),
        "xva": set(reports["xva"].texts("TradeId")),
        "exposure profiles": {n.removeprefix("exposure_trade_") for n in reports if n.startswith("exposure_trade_")},
    }
    rows = zip(reports["xva"].texts("TradeId"), reports["xva"].texts("NettingSetId"), strict=True)
    sets_in = {
        "xva": {set_id for trade_id, set_id in rows if not trade_id},
        "exposure profiles": {
            n.removeprefix("exposure_nettingset_") for n in reports if n.startswith("exposure_nettingset_")
        },
    }
    absent: dict[str, list[str]] = defaultdict(list)
    for trade_id in found.set_of_trade:
        places = [place for place, ids in trades_in.items() if trade_id not in ids]
        if places and not (trade_id in found.matured and len(places) == len(trades_in)):
            absent[trade_id] = places
    for trade_id, places in absent.items():
        found.trade(trade_id, "trade-missing", f"the engine left the trade out of {', '.join(places)}")
    for set_id, one in found.expected.netting_sets.items():
        if all(trade_id in found.matured and trade_id not in absent for trade_id in one.trade_ids):
            found.netting_set(set_id, "no-live-trades", "every trade has matured; the engine gives no numbers")
            continue
        for place, ids in sets_in.items():
            if set_id not in ids:
                found.netting_set(set_id, "netting-set-missing", f"the engine left the netting set out of {place}")


def _note_short_trades(reports: Mapping[str, Report], found: _Findings) -> None:
    """A trade that ends before the first simulated date has zero XVA and the engine says nothing of it."""
    dates = {
        str(cell)
        for name, report in reports.items()
        if name.startswith("exposure_nettingset_")
        for cell in report.column("Date")
        if cell is not None and str(cell) > found.expected.as_of
    }
    if not dates:
        return
    first = min(dates)
    npv = reports["npv"]
    for trade_id, maturity in zip(npv.texts("TradeId"), npv.texts("Maturity"), strict=True):
        if trade_id in found.set_of_trade and found.expected.as_of < maturity < first:
            message = f"matures on {maturity}, before the first simulated date {first}: its XVA is zero"
            found.notices.add(Notice("matures-before-first-grid-date", trade_id, message))


def _refuse_repeats(ids: Iterable[str], report: str, found: _Findings) -> None:
    for trade_id, count in Counter(ids).items():
        if count > 1 and trade_id in found.set_of_trade:
            found.trade(trade_id, "duplicate-row", f"{report} has {count} rows of the trade")
