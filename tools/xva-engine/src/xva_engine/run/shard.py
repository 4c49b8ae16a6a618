"""One shard from verified package to written bundle."""

import contextlib
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from xva_engine.contracts import Bundle, ContractWarning, MergeSpec, Rejection, ShardSpec
from xva_engine.run.acceptance import MATURED, Defect, Expected, Notice, Verdict, accept, accept_cube
from xva_engine.run.bundle_file import describe, write_bundle
from xva_engine.run.cube import CUBE_FILE, SCENARIO_FILE, trades_of
from xva_engine.run.engine import EngineProcess, EngineResult
from xva_engine.run.engine_info import engine_info
from xva_engine.run.errors import BadInputError, ModelFailureError
from xva_engine.run.package import Package, lay_out, load_package
from xva_engine.run.prechecks import check_quotes, check_sets
from xva_engine.run.progress import EngineProgressTail
from xva_engine.run.session import Session, ignore_signals
from xva_engine.run.stages import simulation_only
from xva_engine.run.table_specs import PRICING_STATS, TABLES
from xva_engine.run.tables import Row, build_rows, pricing_rows, rejection_rows

_MOST_FAILURES_TOLD = 3
_LONGEST_FAILURE = 240


def run_shard(session: Session, spec: ShardSpec | MergeSpec, engine: EngineProcess) -> str:
    """Verifies, runs, judges, writes; returns the line that says what came out.

    :param engine: started already and waiting for its package; ending it is the caller's
    Raises a TaskError for every end without a bundle. A shard whose every netting set is rejected still has a bundle:
    it says why, and the merge publishes the rest.
    """
    if not isinstance(spec, ShardSpec):
        raise BadInputError(f"task {spec.task_id} is a merge: use `xva-engine merge`")
    clock = _Clock()
    package = load_package(session.root, spec)
    check_quotes(package)
    expected, early = check_sets(package, spec.netting_sets)
    clock.lap("verify")
    if spec.trades:
        return run_cube(session, spec, engine, package, expected=expected, early=early, clock=clock)
    result = run_engine(session, engine, package, expected, Layout()) if expected.netting_sets else None
    clock.lap("engine")
    session.progress.advance("accepting")
    if result is None:
        verdict, rows, version = _nothing_ran(early), {}, None
    else:
        verdict = accept(result.reports, result.log, expected)
        version = result.version
    defects = tuple(sorted({*early, *verdict.defects}, key=lambda d: (d.netting_set_id, d.trade_id or "", d.code)))
    session.rejections = rejections_of(defects)
    if verdict.failures:
        raise ModelFailureError(told(verdict.failures))
    if result is not None:
        rows = build_rows(result.reports, verdict, expected, defects)
    else:
        rows = {"rejections": rejection_rows(defects)}
    clock.lap("accept")
    session.progress.advance("writing")
    files, counts = _tables(rows, spec)
    clock.lap("write")
    timings = {**clock.laps, **({f"engine.{k}": v for k, v in result.timings.items()} if result else {})}
    info = Bundle(
        schema_version="1.0",
        bundle_id=session.bundle_id,
        kind="shard",
        run_id=spec.run_id,
        event_id=spec.event_id,
        attempt=spec.attempt,
        task_id=spec.task_id,
        package_id=spec.package_id,
        shared_input_hash=spec.shared_input_hash,
        netting_sets=list(verdict.accepted),
        rejections=list(session.rejections),
        warnings=contract_warnings(verdict.notices),
        engine=engine_info(version),
        files=describe(files, counts),
        inputs=[],
        timings=timings,
    )
    ignore_signals()
    path = write_bundle(session.out, info, files)
    session.bundle_written = True
    rejected = len({defect.netting_set_id for defect in defects})
    return f"{len(verdict.accepted)} netting sets accepted, {rejected} rejected: {path.name}"


@dataclass(frozen=True)
class Layout:
    """How the engine's folder differs from the package: `before` is put into its output folder, `after` kept of it."""

    trades: Sequence[str] = ()
    setup: bytes | None = None
    before: Mapping[str, bytes] = field(default_factory=dict)
    after: Sequence[str] = ()
    logs: Path | None = None


def run_engine(
    session: Session, engine: EngineProcess, package: Package, expected: Expected, layout: Layout
) -> EngineResult:
    """Runs the engine in a fresh folder, which is gone afterwards; its logs stay in `out/logs`."""
    scratch = session.root / f".scratch-{session.bundle_id}"
    output = scratch / package.setup.output_path
    logs = layout.logs or session.logs
    try:
        lay_out(package, scratch, sorted(expected.netting_sets), trades=layout.trades, setup=layout.setup)
        for name, data in layout.before.items():
            (output / name).write_bytes(data)
        tail = EngineProgressTail(output / "log_progress.json")
        engine.go(scratch.resolve(), package.setup.path)
        import pyarrow.parquet  # noqa: F401, PLC0415 - while the engine works, instead of after it

        def look() -> None:
            if (step := tail.latest()) is not None:
                session.progress.advance(*step)

        code = engine.wait(look)
        look()
        result = engine.result(code, scratch, package.setup.output_path)
        there = [name for name in layout.after if (output / name).is_file()]
        return replace(result, files={name: (output / name).read_bytes() for name in there})
    finally:
        kept = {package.setup.log_file: "ore.log", "log_structured.json": "log_structured.json"}
        for name, keep in kept.items():
            with contextlib.suppress(OSError):
                shutil.move(output / name, logs / keep)
        shutil.rmtree(scratch, ignore_errors=True)


def run_cube(
    session: Session,
    spec: ShardSpec,
    engine: EngineProcess,
    package: Package,
    *,
    expected: Expected,
    early: tuple[Defect, ...],
    clock: "_Clock",
) -> str:
    """Some trades of one netting set: simulates them and writes the cube, for the merge to compute the numbers from.

    When the set is rejected, or every one of these trades has matured, the bundle says so and has no cube.
    """
    from xva_engine.run.parquet import encode, to_arrow  # noqa: PLC0415

    chosen = {
        set_id: replace(one, trade_ids=tuple(sorted(spec.trades))) for set_id, one in expected.netting_sets.items()
    }
    cut = replace(expected, netting_sets=chosen)
    result = None
    if chosen:
        layout = Layout(spec.trades, simulation_only(package.setup_tree), after=(CUBE_FILE, SCENARIO_FILE))
        result = run_engine(session, engine, package, cut, layout)
    clock.lap("engine")
    session.progress.advance("accepting")
    verdict = _nothing_ran(early) if result is None else _judge_cube(result, cut)
    defects = tuple(sorted({*early, *verdict.defects}, key=lambda d: (d.netting_set_id, d.trade_id or "", d.code)))
    session.rejections = rejections_of(defects)
    if verdict.failures:
        raise ModelFailureError(told(verdict.failures))
    clock.lap("accept")
    session.progress.advance("writing")
    accepted = list(spec.netting_sets) if not defects else []
    files: dict[str, bytes] = {}
    counts: dict[str, int] = {}
    if accepted and result is not None:
        files = {f"cube/{name}": data for name, data in result.files.items()}
        set_of_trade = dict.fromkeys(spec.trades, spec.netting_sets[0])
        provenance = {"runId": spec.run_id, "taskId": spec.task_id}
        pricing = [{**row, **provenance} for row in pricing_rows(result.reports.get("pricingstats"), set_of_trade)]
        files[PRICING_STATS.path] = encode(to_arrow(PRICING_STATS, pricing))
        counts[PRICING_STATS.path] = len(pricing)
    clock.lap("write")
    timings = {**clock.laps, **({f"engine.{k}": v for k, v in result.timings.items()} if result else {})}
    info = Bundle(
        schema_version="1.0",
        bundle_id=session.bundle_id,
        kind="cube",
        run_id=spec.run_id,
        event_id=spec.event_id,
        attempt=spec.attempt,
        task_id=spec.task_id,
        package_id=spec.package_id,
        shared_input_hash=spec.shared_input_hash,
        netting_sets=accepted,
        trades=sorted(spec.trades),
        rejections=list(session.rejections),
        warnings=contract_warnings(verdict.notices),
        engine=engine_info(result.version if result else None),
        files=describe(files, counts),
        inputs=[],
        timings=timings,
    )
    ignore_signals()
    path = write_bundle(session.out, info, files)
    session.bundle_written = True
    return f"{len(spec.trades)} trades of {spec.netting_sets[0]} simulated: {path.name}"


def _judge_cube(result: EngineResult, expected: Expected) -> Verdict:
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


def _nothing_ran(early: Sequence[Defect]) -> Verdict:
    return Verdict(accepted=(), defects=tuple(early), notices=(), failures=())


def told(failures: Sequence[str]) -> str:
    """The first failures in one line."""
    words = "; ".join(_short(one) for one in failures[:_MOST_FAILURES_TOLD])
    more = len(failures) - _MOST_FAILURES_TOLD
    return f"{words}; and {more} more (see log_structured.json)" if more > 0 else words


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_FAILURE else f"{text[:_LONGEST_FAILURE]}…"


def _tables(rows: Mapping[str, Sequence[Row]], spec: ShardSpec) -> tuple[dict[str, bytes], dict[str, int]]:
    from xva_engine.run.parquet import encode, to_arrow  # noqa: PLC0415

    provenance = {"runId": spec.run_id, "taskId": spec.task_id}
    files: dict[str, bytes] = {}
    counts: dict[str, int] = {}
    for table in TABLES:
        cells = [{**row, **provenance} for row in rows.get(table.name, [])]
        files[table.path] = encode(to_arrow(table, cells))
        counts[table.path] = len(cells)
    return files, counts


def rejections_of(defects: Sequence[Defect]) -> list[Rejection]:
    """Defects as the bundle tells them."""
    return [
        Rejection(netting_set_id=d.netting_set_id, trade_id=d.trade_id, code=d.code, message=d.message) for d in defects
    ]


def contract_warnings(notices: Sequence[Notice]) -> list[ContractWarning]:
    """Notices as the bundle tells them."""
    return [ContractWarning(code=n.code, subject=n.subject, message=n.message) for n in notices]


class _Clock:
    """Seconds of wall clock by phase."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.monotonic()

    def lap(self, name: str) -> None:
        now = time.monotonic()
        self.laps[name] = round(now - self._last, 6)
        self._last = now
