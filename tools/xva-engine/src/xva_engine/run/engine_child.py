"""The engine's own process: imports ORE, waits for the word to go, runs one package, hands its reports over.

Started with its standard input open: one JSON line says where to run; end of file means that nobody waits any more.
Only ORE and the standard library are imported here; what this process costs is what the bare engine costs.
"""

import contextlib
import ctypes
import json
import math
import os
import signal
import sys
import time
from typing import Any

EXIT_ENGINE_RAISED = 3
EXIT_NO_MEMORY = 4
EXIT_OS_ERROR = 5

HANDED_OVER = ("npv", "xva", "pricingstats")
HANDED_OVER_PREFIXES = ("exposure_trade_", "exposure_nettingset_", "colva_nettingset_")
_NULL_REAL = 3.4028234663852886e38
"""QuantLib's Null<Real>; prints as `#N/A`."""
_NULL_INTEGER = 2**31 - 1
_PR_SET_PDEATHSIG = 1


def main() -> int:
    """Runs one package and returns the process's exit code."""
    _die_with_parent()
    started = time.monotonic()
    try:
        import ORE  # noqa: PLC0415
    except (MemoryError, ImportError) as error:
        print(error, file=sys.stderr)
        no_room = isinstance(error, MemoryError) or "failed to map" in str(error) or "allocate" in str(error)
        return EXIT_NO_MEMORY if no_room else EXIT_ENGINE_RAISED
    imported = time.monotonic() - started
    word = sys.stdin.readline()
    if not word:
        return 0
    job = json.loads(word)
    try:
        os.chdir(job["directory"])
        outcome = _run(ORE, job["setup"])
        outcome["timings"]["import"] = imported
        with open("reports.json", "w", encoding="ascii") as out:  # noqa: PTH123
            json.dump(outcome.pop("reports"), out, separators=(",", ":"), allow_nan=False)
        with open("outcome.json", "w", encoding="ascii") as out:  # noqa: PTH123
            json.dump(outcome, out)
    except MemoryError as error:
        print(f"out of memory: {error}", file=sys.stderr)
        return EXIT_NO_MEMORY
    except OSError as error:
        print(error, file=sys.stderr)
        return EXIT_OS_ERROR
    except RuntimeError as error:
        print(f"the engine raised: {error}", file=sys.stderr)
        return EXIT_NO_MEMORY if "bad_alloc" in str(error) else EXIT_ENGINE_RAISED
    return 0


def _run(ore: Any, setup: str) -> dict[str, Any]:  # noqa: ANN401
    started = time.monotonic()
    parameters = ore.Parameters()
    parameters.fromFile(setup)
    app = ore.OREApp(parameters)
    app.run()
    ran = time.monotonic()
    # An engine that failed before its first analytic has no report names, and says so by raising.
    names: list[str] = []
    with contextlib.suppress(RuntimeError):
        names = list(app.getReportNames())
    wanted = [name for name in names if name in HANDED_OVER or name.startswith(HANDED_OVER_PREFIXES)]
    reports = {name: _columns(app.getReport(name)) for name in wanted}
    usage = os.times()
    return {
        "version": app.version(),
        "reports": reports,
        "timings": {"run": ran - started, "reports": time.monotonic() - ran, "cpu": usage.user + usage.system},
    }


def _columns(report: Any) -> dict[str, list[Any]]:  # noqa: ANN401
    """All columns of a report; kinds are the engine's: 0 size, 1 real, 2 text, 3 date, 4 period."""
    columns: dict[str, list[Any]] = {}
    for index in range(report.columns()):
        kind = report.columnType(index)
        cells: list[Any]
        if kind == 1:
            cells = [_real(value) for value in report.dataAsReal(index)]
        elif kind == 0:
            cells = [None if value >= _NULL_INTEGER else int(value) for value in report.dataAsSize(index)]
        elif kind == 3:
            cells = [_date(value) for value in report.dataAsDate(index)]
        elif kind == 2:
            cells = [str(value) for value in report.dataAsString(index)]
        else:
            cells = [str(value) for value in report.dataAsPeriod(index)]
        columns[report.header(index)] = cells
    return columns


def _real(value: float) -> float | None:
    return value if math.isfinite(value) and abs(value) < _NULL_REAL else None


def _date(value: Any) -> str | None:  # noqa: ANN401
    return str(value.ISO()) if value.serialNumber() > 0 else None


def _die_with_parent() -> None:
    """A runner that is killed with -9 must leave no engine behind (Linux: prctl(2), PR_SET_PDEATHSIG)."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    limit = next((int(word.removeprefix("--memory-limit-mb=")) for word in sys.argv[1:]), 0)
    if limit:
        import resource  # noqa: PLC0415

        # Private writable memory, not address space: the engine's libraries alone map a third of a gigabyte.
        resource.setrlimit(resource.RLIMIT_DATA, (limit * 2**20, limit * 2**20))


if __name__ == "__main__":
    sys.exit(main())
