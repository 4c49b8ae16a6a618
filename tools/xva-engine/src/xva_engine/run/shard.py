"""One shard from verified package to written bundle."""

import contextlib
import shutil
import time
from collections.abc import Mapping, Sequence

from xva_engine.contracts import Bundle, ContractWarning, MergeSpec, Rejection, ShardSpec
from xva_engine.run.acceptance import Defect, Expected, Notice, Verdict, accept
from xva_engine.run.bundle_file import describe, write_bundle
from xva_engine.run.engine import EngineProcess, EngineResult
from xva_engine.run.engine_info import engine_info
from xva_engine.run.errors import BadInputError, ModelFailureError
from xva_engine.run.package import Package, lay_out, load_package
from xva_engine.run.prechecks import check_quotes, check_sets
from xva_engine.run.progress import EngineProgressTail
from xva_engine.run.session import Session, ignore_signals
from xva_engine.run.table_specs import TABLES
from xva_engine.run.tables import Row, build_rows, rejection_rows

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
    result = _run_engine(session, engine, package, expected) if expected.netting_sets else None
    clock.lap("engine")
    session.progress.advance("accepting")
    if result is None:
        verdict, rows, version = _nothing_ran(early), {}, None
    else:
        verdict = accept(result.reports, result.log, expected)
        version = result.version
    defects = tuple(sorted({*early, *verdict.defects}, key=lambda d: (d.netting_set_id, d.trade_id or "", d.code)))
    session.rejections = _rejections(defects)
    if verdict.failures:
        raise ModelFailureError(_told(verdict.failures))
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
        warnings=_warnings(verdict.notices),
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


def _run_engine(session: Session, engine: EngineProcess, package: Package, expected: Expected) -> EngineResult:
    """Runs the engine in a fresh folder, which is gone afterwards; its logs stay in `out/logs`."""
    scratch = session.root / f".scratch-{session.bundle_id}"
    output = scratch / package.setup.output_path
    try:
        lay_out(package, scratch, sorted(expected.netting_sets))
        tail = EngineProgressTail(output / "log_progress.json")
        engine.go(scratch.resolve(), package.setup.path)
        import pyarrow.parquet  # noqa: F401, PLC0415 - while the engine works, instead of after it

        def look() -> None:
            if (step := tail.latest()) is not None:
                session.progress.advance(*step)

        code = engine.wait(look)
        look()
        return engine.result(code, scratch, package.setup.output_path)
    finally:
        kept = {package.setup.log_file: "ore.log", "log_structured.json": "log_structured.json"}
        for name, keep in kept.items():
            with contextlib.suppress(OSError):
                shutil.move(output / name, session.logs / keep)
        shutil.rmtree(scratch, ignore_errors=True)


def _nothing_ran(early: Sequence[Defect]) -> Verdict:
    return Verdict(accepted=(), defects=tuple(early), notices=(), failures=())


def _told(failures: Sequence[str]) -> str:
    told = "; ".join(_short(one) for one in failures[:_MOST_FAILURES_TOLD])
    more = len(failures) - _MOST_FAILURES_TOLD
    return f"{told}; and {more} more (see log_structured.json)" if more > 0 else told


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


def _rejections(defects: Sequence[Defect]) -> list[Rejection]:
    return [
        Rejection(netting_set_id=d.netting_set_id, trade_id=d.trade_id, code=d.code, message=d.message) for d in defects
    ]


def _warnings(notices: Sequence[Notice]) -> list[ContractWarning]:
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
