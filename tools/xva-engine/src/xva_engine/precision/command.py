"""`xva-engine error-bars`: runs a package on all its samples and on half of them; prints each netting set's bars."""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from xva_engine.contracts import EXIT_CODES, Manifest, sha256_hex, shared_input_hash_of
from xva_engine.precision.error_bars import ErrorBar, error_bars

Rows = list[dict[str, Any]]


class ErrorBarsError(RuntimeError):
    """Thrown when there are no error bars to be had; `code` is the exit code that says why."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps the type private
    """Adds the verb."""
    parser = subparsers.add_parser("error-bars", help="standard errors of a package's figures, per netting set")
    parser.add_argument("--package", type=Path, required=True, metavar="DIR", help="with Input/ and manifest.json")
    parser.add_argument("--netting-sets", default="all", help="ids with commas between, or `all`")
    parser.add_argument("--result", type=Path, metavar="BUNDLE", help="of the run on all samples, if it is there")
    parser.add_argument("--format", choices=("table", "json"), default="table")


def execute(args: argparse.Namespace) -> int:
    """Prints the bars; 10 for a package that cannot give any, else the failed run's code."""
    try:
        bars = compute(args.package, args.netting_sets, args.result)
    except ErrorBarsError as error:
        sys.stderr.write(f"xva-engine error-bars: {error}\n")
        return error.code
    if args.format == "json":
        sys.stdout.write(json.dumps([asdict(bar) for bar in bars], indent=1) + "\n")
    else:
        for bar in bars:
            sys.stdout.write(
                f"{bar.netting_set_id:<24} {bar.measure:<10} {bar.value:>18,.2f} ± {bar.standard_error:,.2f}\n"
            )
    return EXIT_CODES["success"]


def compute(package: Path, netting_sets: str, result: Path | None = None) -> list[ErrorBar]:
    """Runs what is not there yet; raises ErrorBarsError."""
    try:
        manifest = Manifest.model_validate_json((package / "manifest.json").read_bytes())
    except (OSError, ValueError) as error:
        raise ErrorBarsError(EXIT_CODES["badInput"], f"{package} has no manifest.json that is one: {error}") from error
    paths: dict[str, str] = {part.role: part.path for part in manifest.parts}
    if "error-bar-simulation" not in paths:
        message = "the package has no error-bar-simulation: ask for it with `errorBars` in the request's settings"
        raise ErrorBarsError(EXIT_CODES["badInput"], message)
    with tempfile.TemporaryDirectory(prefix="xva-error-bars-") as folder:
        coarse = Path(folder) / "half"
        _halve(package, manifest, paths, coarse)
        bundle = result if result is not None else _run(package, netting_sets, Path(folder) / "whole-out")
        return error_bars(_table(bundle), _table(_run(coarse, netting_sets, Path(folder) / "half-out")))


def _halve(package: Path, manifest: Manifest, paths: dict[str, str], target: Path) -> None:
    """The same package with the rerun's simulation in place of its own."""
    for part in manifest.parts:
        (target / part.path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(package / part.path, target / part.path)
    content = (package / paths["error-bar-simulation"]).read_bytes()
    (target / paths["simulation"]).write_bytes(content)
    parts = [
        part.model_copy(update={"size": len(content), "sha256": sha256_hex(content)})
        if part.role == "simulation"
        else part
        for part in manifest.parts
    ]
    halved = manifest.model_copy(
        update={"parts": parts, "shared_input_hash": shared_input_hash_of(parts), "samples": manifest.samples // 2}
    )
    (target / "manifest.json").write_bytes(halved.canonical_bytes())


def _run(package: Path, netting_sets: str, out: Path) -> Path:
    out.mkdir()
    task = out / "task.json"
    plan = ["plan-task", "--manifest", str(package / "manifest.json"), "--netting-sets", netting_sets]
    _verb([*plan, "--out", str(task)])
    _verb(["run", "--task", str(task), "--root", str(package), "--out", str(out)])
    return out


def _table(bundle: Path) -> Rows:
    rows: Rows = json.loads(_verb(["table", "--bundle", str(bundle), "--table", "xva_netting_set", "--format", "json"]))
    return rows


def _verb(arguments: list[str]) -> str:
    answer = subprocess.run(
        [sys.executable, "-m", "xva_engine", *arguments], capture_output=True, text=True, check=False
    )
    if answer.returncode != 0:
        said = (answer.stderr or answer.stdout).strip()[-1000:]
        raise ErrorBarsError(answer.returncode, f"{arguments[0]} ended with {answer.returncode}: {said}")
    return answer.stdout
