"""The engine's process as the runner sees it: started early, told to go, watched, always ended."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from xva_engine.run.engine_child import EXIT_NO_MEMORY, EXIT_OS_ERROR
from xva_engine.run.errors import (
    BadInputError,
    EngineCrashError,
    EngineMemoryError,
    InfrastructureError,
    ModelFailureError,
)
from xva_engine.run.reports import LogLine, Report, read_reports, read_structured_log

_PASSED_ON = ("PATH", "HOME", "TZ", "TMPDIR", "LD_LIBRARY_PATH")
_LOOK_SECONDS = 0.25


@dataclass(frozen=True)
class EngineResult:
    """What one engine run left behind, still to be judged."""

    reports: dict[str, Report]
    log: list[LogLine]
    version: str
    timings: dict[str, float] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    """What was kept of its output folder, by name."""


class EngineProcess:
    """One fresh engine in a process group of its own. Use as a context manager: leaving it kills what is left of it.

    The process is started before the package is verified, so that importing the engine (0.3 s) overlaps with that; it
    waits on its standard input and ends by itself when that closes. The environment is a short list, so that nothing
    like OVERWRITE_SCENARIOGENERATOR_SAMPLES reaches the engine.
    """

    def __init__(self, logs: Path, memory_limit_mb: int | None = None) -> None:
        self._memory_limit_mb = memory_limit_mb
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        limit = [f"--memory-limit-mb={memory_limit_mb}"] if memory_limit_mb else []
        self._stderr_path = logs / "engine-stderr.txt"
        with (logs / "engine-stdout.txt").open("wb") as out, self._stderr_path.open("wb") as err:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-m", "xva_engine.run.engine_child", *limit],
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=err,
                env={**environment, "LC_ALL": "C.UTF-8"},
                process_group=0,
            )

    def another(self, logs: Path) -> "EngineProcess":
        """One more fresh engine under the same limit; `logs` must exist."""
        return EngineProcess(logs, self._memory_limit_mb)

    @property
    def pid(self) -> int:
        return self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def go(self, directory: Path, setup: str) -> None:
        """Tells the engine to run the package that lies in `directory`."""
        stdin = self._process.stdin
        assert stdin is not None  # noqa: S101
        with contextlib.suppress(BrokenPipeError):
            stdin.write(json.dumps({"directory": str(directory), "setup": setup}).encode() + b"\n")
            stdin.flush()

    def wait(self, look: Callable[[], None]) -> int:
        """Waits for the end, calling `look` four times a second; returns the exit code (negative: the signal)."""
        pidfd = os.pidfd_open(self._process.pid)
        try:
            poll = select.poll()
            poll.register(pidfd, select.POLLIN)
            while not poll.poll(_LOOK_SECONDS * 1000):
                look()
        finally:
            os.close(pidfd)
        return self._process.wait()

    def result(self, code: int, directory: Path, output_path: str) -> EngineResult:
        """What the ended engine left, or the class of failure that its end stands for."""
        log = read_structured_log(directory / output_path / "log_structured.json")
        stderr = self._stderr_path.read_text(errors="replace").strip()
        said = stderr.splitlines()[-1][:500] if stderr else "nothing on its standard error"
        if code == EXIT_NO_MEMORY or "bad_alloc" in stderr or any("bad_alloc" in line.message for line in log):
            raise EngineMemoryError("the engine ran out of memory")
        if code == -signal.SIGKILL:
            raise EngineMemoryError("the engine was killed with SIGKILL, as the kernel does when memory runs out")
        if code == EXIT_OS_ERROR:
            raise InfrastructureError(f"the engine's process could not write its reports: {said}")
        if code < 0:
            raise EngineCrashError(f"the engine ended by {signal.Signals(-code).name}: {said}")
        if code != 0:
            raised = next((line for line in reversed(stderr.splitlines()) if "the engine raised: " in line), None)
            if raised is not None:
                raise _raised(raised)
            raise EngineCrashError(f"the engine's process ended with code {code}: {said}")
        outcome = _read_outcome(directory / "outcome.json")
        return EngineResult(read_reports(directory / "reports.json"), log, outcome["version"], outcome["timings"])


def _raised(said: str) -> BadInputError | ModelFailureError:
    """The engine raises for an ore.xml that it cannot read, and for little else."""
    parsing = "RapidXML" in said or "parsing failed" in said
    return BadInputError(said[:500]) if parsing else ModelFailureError(said[:500])


def _read_outcome(path: Path) -> dict[str, Any]:
    try:
        outcome: dict[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise EngineCrashError("the engine's process ended without handing over its reports") from None
    return outcome
