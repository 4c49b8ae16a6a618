"""The rerun on half the samples, by the same rule of acceptance; it can cost the error bars, never the numbers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from xva_engine.precision import error_bars
from xva_engine.run.acceptance import MATURED, Expected, Notice, Verdict, accept, accept_cube
from xva_engine.run.cube import CUBE_FILE, SCENARIO_FILE, trades_of
from xva_engine.run.engine import EngineProcess, EngineResult
from xva_engine.run.engine_run import Layout, run_engine
from xva_engine.run.errors import ModelFailureError
from xva_engine.run.package import Package
from xva_engine.run.session import Session
from xva_engine.run.stages import simulation_only
from xva_engine.run.tables import Row, build_rows

HALF_CUBE = f"half-cube/{CUBE_FILE}"
HALF_SCENARIOS = f"half-cube/{SCENARIO_FILE}"
_MOST_FAILURES_TOLD = 3
_LONGEST_FAILURE = 240


@dataclass(frozen=True)
class Bars:
    """Rows of the table `error_bars`, and a notice for each netting set that has none."""

    rows: list[Row]
    notices: tuple[Notice, ...]


def bars_of_rerun(
    session: Session, engine: EngineProcess, half: Package, expected: Expected, whole: Sequence[Row]
) -> Bars:
    """Runs the accepted netting sets once more.

    :param expected: cut to them
    :param whole: their rows of `xva_netting_set`
    Raises the TaskErrors of a crash or a machine that failed, which a retry may cure.
    """
    logs = half_logs(session.logs)
    with engine.another(logs) as second:
        try:
            result = run_engine(session, second, half, expected, Layout(logs=logs, phase="accepting"))
        except ModelFailureError as error:
            return Bars([], without_bars(expected.netting_sets, str(error)))
    return bars_of(result, expected, whole)


def bars_of(result: EngineResult, expected: Expected, whole: Sequence[Row]) -> Bars:
    """The bars of those netting sets whose rerun is accepted too."""
    verdict = accept(result.reports, result.log, expected)
    if verdict.failures:
        return Bars([], without_bars(expected.netting_sets, told(verdict.failures)))
    coarse = build_rows(result.reports, verdict, expected, ())["xva_netting_set"]
    currency = {row["nettingSetId"]: row["baseCurrency"] for row in whole}
    rows: list[Row] = [
        {
            "nettingSetId": bar.netting_set_id,
            "measure": bar.measure,
            "baseCurrency": currency[bar.netting_set_id],
            "value": bar.value,
            "halfSampleValue": bar.half_sample_value,
            "standardError": bar.standard_error,
        }
        for bar in error_bars(whole, coarse)
    ]
    defects = {defect.netting_set_id: defect.message for defect in reversed(verdict.defects)}
    lost = [notice for set_id, said in defects.items() for notice in without_bars([set_id], said)]
    return Bars(rows, tuple(lost))


def half_cube(
    session: Session, engine: EngineProcess, half: Package, expected: Expected, trades: Sequence[str]
) -> tuple[dict[str, bytes], tuple[Notice, ...]]:
    """The same trades simulated on half the samples: files of the bundle, or a notice why there are none."""
    logs = half_logs(session.logs)
    layout = Layout(
        trades,
        simulation_only(half.setup_tree),
        after=(CUBE_FILE, SCENARIO_FILE),
        logs=logs,
        phase="accepting",
    )
    with engine.another(logs) as second:
        try:
            result = run_engine(session, second, half, expected, layout)
        except ModelFailureError as error:
            return {}, without_bars(expected.netting_sets, str(error))
    verdict = judge_cube(result, expected)
    if wrong := [*verdict.failures, *(defect.message for defect in verdict.defects)]:
        return {}, without_bars(expected.netting_sets, told(wrong))
    return {f"half-cube/{name}": data for name, data in result.files.items()}, ()


def half_logs(logs: Path) -> Path:
    """Where the rerun's logs go."""
    folder = logs / "half-samples"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def without_bars(set_ids: Iterable[str], reason: str) -> tuple[Notice, ...]:
    """Numbers without error bars, and why."""
    said = f"no error bars: the rerun on half the samples was not accepted: {reason}"
    return tuple(Notice("no-error-bars", set_id, said) for set_id in sorted(set_ids))


def judge_cube(result: EngineResult, expected: Expected) -> Verdict:
    """Of trades that have all matured the engine makes no cube, and calls that an error."""
    asked = {trade for one in expected.netting_sets.values() for trade in one.trade_ids}
    matured = {line.fields.get("tradeId", "") for line in result.log if line.message.startswith(MATURED)}
    if asked <= matured:
        notices = tuple(Notice("trade-matured", trade, MATURED) for trade in sorted(asked))
        return Verdict(tuple(expected.netting_sets), (), notices, (), frozenset(asked))
    data = result.files.get(CUBE_FILE)
    verdict = accept_cube(result.reports, result.log, expected, trades_of(CUBE_FILE, data) if data else ())
    lacking = [name for name in (CUBE_FILE, SCENARIO_FILE) if name not in result.files]
    if lacking and not verdict.failures and not verdict.defects:
        return replace(verdict, failures=(f"the engine wrote no {lacking[0]}",))
    return verdict


def told(failures: Sequence[str]) -> str:
    """The first failures in one line."""
    words = "; ".join(_short(one) for one in failures[:_MOST_FAILURES_TOLD])
    more = len(failures) - _MOST_FAILURES_TOLD
    return f"{words}; and {more} more (see log_structured.json)" if more > 0 else words


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_FAILURE else f"{text[:_LONGEST_FAILURE]}…"
