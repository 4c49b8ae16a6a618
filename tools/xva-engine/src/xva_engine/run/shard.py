"""One shard from verified package to written bundle."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from xva_engine.contracts import Bundle, ContractWarning, MergeSpec, Rejection, ShardSpec
from xva_engine.run.acceptance import Defect, Expected, Notice, Verdict, accept
from xva_engine.run.bundle_file import describe, write_bundle
from xva_engine.run.cube import CUBE_FILE, SCENARIO_FILE
from xva_engine.run.engine import EngineProcess
from xva_engine.run.engine_info import engine_info
from xva_engine.run.engine_run import Layout, run_engine
from xva_engine.run.errors import BadInputError, ModelFailureError
from xva_engine.run.package import Package, load_package
from xva_engine.run.prechecks import check_quotes, check_sets
from xva_engine.run.rerun import bars_of_rerun, half_cube, judge_cube, told
from xva_engine.run.session import Session, ignore_signals
from xva_engine.run.stages import simulation_only
from xva_engine.run.table_specs import PRICING_STATS, tables_for
from xva_engine.run.tables import Row, build_rows, pricing_rows, rejection_rows


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
    notices = verdict.notices
    if verdict.accepted and (half := package.on_half_the_samples()) is not None:
        bars = bars_of_rerun(session, engine, half, expected.only(verdict.accepted), rows["xva_netting_set"])
        rows["error_bars"] = bars.rows
        notices = (*notices, *bars.notices)
        clock.lap("errorBars")
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
        warnings=contract_warnings(notices),
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
    verdict = _nothing_ran(early) if result is None else judge_cube(result, cut)
    defects = tuple(sorted({*early, *verdict.defects}, key=lambda d: (d.netting_set_id, d.trade_id or "", d.code)))
    session.rejections = rejections_of(defects)
    if verdict.failures:
        raise ModelFailureError(told(verdict.failures))
    clock.lap("accept")
    accepted = list(spec.netting_sets) if not defects else []
    files: dict[str, bytes] = {}
    counts: dict[str, int] = {}
    notices = verdict.notices
    if accepted and result is not None:
        files = {f"cube/{name}": data for name, data in result.files.items()}
        if result.files and (half := package.on_half_the_samples()) is not None:
            coarse, more = half_cube(session, engine, half, cut, spec.trades)
            files |= coarse
            notices = (*notices, *more)
            clock.lap("errorBars")
        set_of_trade = dict.fromkeys(spec.trades, spec.netting_sets[0])
        provenance = {"runId": spec.run_id, "taskId": spec.task_id}
        pricing = [{**row, **provenance} for row in pricing_rows(result.reports.get("pricingstats"), set_of_trade)]
        files[PRICING_STATS.path] = encode(to_arrow(PRICING_STATS, pricing))
        counts[PRICING_STATS.path] = len(pricing)
    session.progress.advance("writing")
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
        warnings=contract_warnings(notices),
        engine=engine_info(result.version if result else None),
        files=describe(files, counts),
        inputs=[],
        timings=timings,
    )
    ignore_signals()
    path = write_bundle(session.out, info, files)
    session.bundle_written = True
    return f"{len(spec.trades)} trades of {spec.netting_sets[0]} simulated: {path.name}"


def _nothing_ran(early: Sequence[Defect]) -> Verdict:
    return Verdict(accepted=(), defects=tuple(early), notices=(), failures=())


def _tables(rows: Mapping[str, Sequence[Row]], spec: ShardSpec) -> tuple[dict[str, bytes], dict[str, int]]:
    from xva_engine.run.parquet import encode, to_arrow  # noqa: PLC0415

    provenance = {"runId": spec.run_id, "taskId": spec.task_id}
    files: dict[str, bytes] = {}
    counts: dict[str, int] = {}
    for table in tables_for(spec.parts):
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
