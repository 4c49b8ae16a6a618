"""`out/progress.json`: replaced atomically, never going back."""

import datetime
import json
import time
from collections.abc import Callable
from pathlib import Path

_ORDER = ("starting", "market", "simulation", "xva", "accepting", "writing", "merging", "done")
_MIN_INTERVAL_SECONDS = 0.5


class ProgressFile:
    """Writes the task-progress message; a step back (in phase or in count) is dropped, so readers see it only rise."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._state = (-1, 0, 0)
        self._written_at = -1.0

    def advance(self, phase: str, done: int = 0, total: int = 0) -> None:
        """Steps within a phase are written at most twice a second; a new phase at once."""
        rank = _ORDER.index(phase)
        old_rank, old_done, old_total = self._state
        if rank < old_rank or (rank == old_rank and done <= old_done):
            return
        if rank == old_rank and old_total:
            total = old_total
        now = self._clock()
        state = (rank, min(done, total) if total else done, total)
        if rank == old_rank and done < total and now - self._written_at < _MIN_INTERVAL_SECONDS:
            return
        self._state = state
        self._written_at = now
        stamp = datetime.datetime.fromtimestamp(now, datetime.UTC).isoformat(timespec="milliseconds")
        message = {
            "schemaVersion": "1.0",
            "phase": phase,
            "done": state[1],
            "total": total,
            "updatedAt": stamp.replace("+00:00", "Z"),
        }
        temporary = self._path.with_name(f".{self._path.name}.tmp")
        temporary.write_text(json.dumps(message))
        temporary.replace(self._path)


def engine_step(line: str) -> tuple[str, int, int] | None:
    """Phase, steps done and in all, of one line of the engine's progress log; None for a line of another kind."""
    try:
        raw = json.loads(line)
        key, done, total = str(raw["key"]), int(raw["progress"]), int(raw["total"])
    except (ValueError, KeyError, TypeError):
        return None
    if "Market" in key or "Portfolio" in key:
        return ("market", done, total)
    if "Building cube" in key:
        return ("simulation", done, total)
    if "Aggregation" in key or "Reports" in key:
        return ("xva", 0, 0)
    return None


class EngineProgressTail:
    """Reads what the engine appended to its progress log since the last look."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def latest(self) -> tuple[str, int, int] | None:
        """The last step among the new complete lines."""
        try:
            with self._path.open("rb") as log:
                log.seek(self._offset)
                data = log.read()
        except FileNotFoundError:
            return None
        end = data.rfind(b"\n") + 1
        self._offset += end
        for line in reversed(data[:end].splitlines()):
            if (step := engine_step(line.decode("utf-8", errors="replace"))) is not None:
                return step
        return None
