"""Running shards for real."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.run.packages import spec_of, write_task
from xva_engine.cli import main
from xva_engine.contracts import TaskReport
from xva_engine.run.bundle_file import OpenBundle, read_bundle
from xva_engine.run.parquet import decode
from xva_engine.run.table_specs import TABLES_BY_NAME
from xva_engine.run.tables import Row

SETS = ("NS_ALDER", "NS_BALTIC", "NS_CARIOCA", "NS_DANUBE", "NS_ELBE", "NS_FJORD")


@dataclass(frozen=True)
class Ran:
    """How a task ended and what it left."""

    code: int
    out: Path
    report: TaskReport

    @property
    def bundle(self) -> OpenBundle:
        return read_bundle(self.out)

    def table(self, name: str) -> list[Row]:
        spec = TABLES_BY_NAME[name]
        rows: list[Row] = decode(spec, self.bundle.files[spec.path]).to_pylist()
        return rows


def copy_of(book: Path, root: Path, *edits: tuple[str, str, str], samples: int = 10) -> Path:
    """A copy of the package with fewer samples and with edits (file, pattern, replacement), each of which must bite."""
    shutil.copytree(book / "Input", root / "Input")
    for name, pattern, new in (("simulation.xml", "<Samples>[0-9]+<", f"<Samples>{samples}<"), *edits):
        path = root / "Input" / name
        old = path.read_text()
        text = re.sub(pattern, new, old, flags=re.DOTALL)
        assert text != old, f"{pattern} is not in {name}"
        path.write_text(text)
    return root


def run(root: Path, *sets: str, more: tuple[str, ...] = ()) -> Ran:
    """Runs these netting sets of the package in `root` as it is now."""
    task = write_task(root, spec_of(root, sets))
    return run_task(root, task, root / "out", *more)


def run_task(root: Path, task: Path, out: Path, *more: str) -> Ran:
    """Runs a spec."""
    code = main(["run", "--task", str(task), "--root", str(root), "--out", str(out), *more])
    (path,) = out.glob("report-*.json")
    assert list(root.glob(".scratch-*")) == [], "the engine's folder is gone"
    return Ran(code, out, TaskReport.model_validate_json(path.read_bytes()))
