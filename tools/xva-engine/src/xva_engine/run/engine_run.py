"""One engine run in a fresh folder: what goes in beside the package, what is kept of it."""

import contextlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from xva_engine.run.acceptance import Expected
from xva_engine.run.engine import EngineProcess, EngineResult
from xva_engine.run.package import Package, lay_out
from xva_engine.run.progress import EngineProgressTail
from xva_engine.run.session import Session


@dataclass(frozen=True)
class Layout:
    """How the engine's folder differs from the package: `before` is put into its output folder, `after` kept of it."""

    trades: Sequence[str] = ()
    setup: bytes | None = None
    before: Mapping[str, bytes] = field(default_factory=dict)
    after: Sequence[str] = ()
    logs: Path | None = None
    phase: str | None = None
    """Of the task's progress that the simulation's steps count in, instead of the engine's own phases."""


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
            step = tail.latest()
            if step is not None and (layout.phase is None or step[0] == "simulation"):
                session.progress.advance(layout.phase or step[0], *step[1:])

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
