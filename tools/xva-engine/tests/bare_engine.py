"""Runs a package with the bare engine in a child process, and reads what it left."""

import csv
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from xva_engine.generate.package import Package

_CHILD = """
import sys
import ORE
parameters = ORE.Parameters()
parameters.fromFile("Input/ore.xml")
app = ORE.OREApp(parameters, False)
app.run()
print(list(app.getErrors()))
"""
Row = dict[str, str]


@dataclass(frozen=True)
class EngineRun:
    """The engine's reports and the entries of its structured log."""

    folder: Path
    errors: str
    log: list[dict[str, object]]

    def report(self, name: str) -> list[Row]:
        """A report's rows by column."""
        with (self.folder / "Output" / f"{name}.csv").open(newline="") as file:
            lines = list(csv.reader(file))
        header = [name.lstrip("#") for name in lines[0]]
        return [dict(zip(header, line, strict=True)) for line in lines[1:]]

    def npvs(self) -> dict[str, float]:
        """NPV in base currency by trade."""
        return {row["TradeId"]: float(row["NPV(Base)"]) for row in self.report("npv")}

    def xva(self, netting_set: str) -> Row:
        """A netting set's row of the XVA report."""
        return next(row for row in self.report("xva") if row["TradeId"] == "" and row["NettingSetId"] == netting_set)


def run(package: Package, folder: Path) -> EngineRun:
    """Writes the package and runs it; raises if the engine's process fails."""
    for path, content in package.files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    (folder / "Output").mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OVERWRITE_")}
    answer = subprocess.run(
        [sys.executable, "-c", _CHILD],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    log = folder / "Output/log_structured.json"
    entries = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    return EngineRun(folder, answer.stdout.strip().splitlines()[-1], entries)
