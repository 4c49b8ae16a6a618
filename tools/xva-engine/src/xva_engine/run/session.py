"""What every task does around its work: signals, the report, one message and one exit code, however it ends."""

import errno
import json
import os
import signal
import sys
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from pydantic import ValidationError

from xva_engine.contracts import EXIT_CODES, MergeSpec, Rejection, ShardSpec, TaskReport, parse_task_spec
from xva_engine.run.errors import BadInputError, InfrastructureError, TaskCancelledError, TaskError, is_infrastructure
from xva_engine.run.progress import ProgressFile


@dataclass
class Session:
    """One execution of one task; its bundle id makes it differ from every other execution of the same task."""

    root: Path
    out: Path
    bundle_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    rejections: Sequence[Rejection] = ()
    bundle_written: bool = False

    def __post_init__(self) -> None:
        self.progress = ProgressFile(self.out / "progress.json")

    @property
    def logs(self) -> Path:
        return self.out / "logs"


def read_spec(path: Path) -> ShardSpec | MergeSpec:
    """Reads task.json; raises BadInputError naming every fault."""
    try:
        return parse_task_spec(path.read_bytes())
    except FileNotFoundError:
        raise BadInputError(f"{path}: the task's spec is missing") from None
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'spec'}: {e['msg']}" for e in error.errors())
        raise BadInputError(f"{path.name}: {faults}") from None


def run_session(session: Session, task_path: Path, work: Callable[[Session, ShardSpec | MergeSpec], str]) -> int:
    """Runs `work` and returns the exit code of the class of its end.

    Writes `report-<bundleId>.json` also on failure (all but an unreadable spec, which leaves nobody to report on), and
    exactly one line on standard output (success) or standard error (failure). SIGTERM and SIGINT cancel.
    """
    spec: ShardSpec | MergeSpec | None = None
    restore = _cancel_on_signal()
    try:
        session.out.mkdir(parents=True, exist_ok=True)
        session.logs.mkdir(exist_ok=True)
        session.progress.advance("starting")
        spec = read_spec(task_path)
        message, exit_class = work(session, spec), "success"
        ignore_signals()
        session.progress.advance("done", 1, 1)
        _write_report(session, spec, exit_class, message)
    except BaseException as error:
        ignore_signals()
        exit_class, message = _classify(error)
        _try_report(session, spec, exit_class, message)
        if not isinstance(error, Exception):
            raise
    finally:
        restore()
    print(f"{exit_class}: {message}", file=sys.stdout if exit_class == "success" else sys.stderr)
    return EXIT_CODES[exit_class]


def ignore_signals() -> None:
    """From here on the task ends as it has been decided; the batch service's SIGKILL remains."""
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, signal.SIG_IGN)


def _cancel_on_signal() -> Callable[[], None]:
    def cancel(number: int, _frame: FrameType | None) -> None:
        ignore_signals()
        raise TaskCancelledError(f"cancelled by {signal.Signals(number).name}")

    before = {one: signal.signal(one, cancel) for one in (signal.SIGTERM, signal.SIGINT)}

    def restore() -> None:
        for one, handler in before.items():
            signal.signal(one, handler)

    return restore


def _classify(error: BaseException) -> tuple[str, str]:
    if isinstance(error, TaskError):
        return error.exit_class, str(error)
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return "outOfMemory", "the runner itself ran out of memory"
    if isinstance(error, OSError) and is_infrastructure(error):
        return InfrastructureError.exit_class, f"the machine failed the task: {error}"
    import traceback  # noqa: PLC0415

    traceback.print_exception(error)
    return "internal", f"{type(error).__name__}: {error}"


def _try_report(session: Session, spec: ShardSpec | MergeSpec | None, exit_class: str, message: str) -> None:
    """On a full disk there may be no report; the exit code and the message on standard error remain."""
    if spec is None:
        return
    try:
        _write_report(session, spec, exit_class, message)
    except OSError as error:
        print(f"the report could not be written: {error}", file=sys.stderr)


def _write_report(session: Session, spec: ShardSpec | MergeSpec, exit_class: str, message: str) -> None:
    report = TaskReport(
        schema_version="1.0",
        run_id=spec.run_id,
        attempt=spec.attempt,
        task_id=spec.task_id,
        exit_code=EXIT_CODES[exit_class],
        exit_class=exit_class,
        message=message,
        rejections=list(session.rejections),
        bundle_id=session.bundle_id if session.bundle_written else None,
    )
    final = session.out / f"report-{session.bundle_id}.json"
    temporary = final.with_name(f".{final.name}.tmp")
    try:
        temporary.write_text(json.dumps(report.to_json(), indent=1))
        os.replace(temporary, final)  # noqa: PTH105
    finally:
        temporary.unlink(missing_ok=True)
