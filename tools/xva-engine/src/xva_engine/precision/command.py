"""`xva-engine error-bars`: each netting set's error bars, of a result that has them or of a package run for it."""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from xva_engine.contracts import EXIT_CODES

Rows = list[dict[str, Any]]


class ErrorBarsError(RuntimeError):
    """Thrown when there are no error bars to be had; `code` is the exit code that says why."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps the type private
    """Adds the verb."""
    parser = subparsers.add_parser("error-bars", help="standard errors of a run's figures, per netting set")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--package", type=Path, metavar="DIR", help="with Input/ and manifest.json: is run")
    source.add_argument("--result", type=Path, metavar="BUNDLE", help="of a run that was asked for them")
    parser.add_argument("--netting-sets", default="all", help="of the package: ids with commas between, or `all`")
    parser.add_argument("--format", choices=("table", "json"), default="table")


def execute(args: argparse.Namespace) -> int:
    """Prints the bars; 10 for a package or result that has none, else the failed run's code."""
    try:
        bars = read(args.result) if args.result is not None else compute(args.package, args.netting_sets)
    except ErrorBarsError as error:
        sys.stderr.write(f"xva-engine error-bars: {error}\n")
        return error.code
    if args.format == "json":
        sys.stdout.write(json.dumps(bars, indent=1) + "\n")
    else:
        for bar in bars:
            sys.stdout.write(
                f"{bar['nettingSetId']:<24} {bar['measure']:<10} {bar['value']:>18,.2f} ± {bar['standardError']:,.2f} "
                f"{bar['baseCurrency']}\n"
            )
    return EXIT_CODES["success"]


def compute(package: Path, netting_sets: str) -> Rows:
    """Runs these netting sets of a package; raises ErrorBarsError."""
    with tempfile.TemporaryDirectory(prefix="xva-error-bars-") as folder:
        task, out = str(Path(folder) / "task.json"), Path(folder) / "out"
        plan = ["plan-task", "--manifest", str(package / "manifest.json"), "--netting-sets", netting_sets]
        _verb([*plan, "--out", task])
        roles = [part["role"] for part in json.loads(Path(task).read_bytes())["parts"]]
        if "error-bar-setup" not in roles:
            message = "the package has no error-bar-setup: ask for it with `errorBars` in the request's settings"
            raise ErrorBarsError(EXIT_CODES["badInput"], message)
        _verb(["run", "--task", task, "--root", str(package), "--out", str(out)])
        return read(out)


def read(bundle: Path) -> Rows:
    """Rows of the table `error_bars`; raises ErrorBarsError."""
    said = _verb(["table", "--bundle", str(bundle), "--table", "error_bars", "--format", "json"])
    return [{name: cell for name, cell in row.items() if name not in ("runId", "taskId")} for row in json.loads(said)]


def _verb(arguments: list[str]) -> str:
    answer = subprocess.run(
        [sys.executable, "-m", "xva_engine", *arguments], capture_output=True, text=True, check=False
    )
    if answer.returncode != 0:
        said = (answer.stderr or answer.stdout).strip()[-1000:]
        raise ErrorBarsError(answer.returncode, f"{arguments[0]} ended with {answer.returncode}: {said}")
    return answer.stdout
