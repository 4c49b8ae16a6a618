"""Ends that come from outside: signals, memory, disk. Nothing is left running; the exit code says what it was."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.run.engine_runs import copy_of, run
from tests.run.packages import spec_of, write_task
from xva_engine.cli import main
from xva_engine.contracts import TaskProgress, TaskReport

PATIENCE_SECONDS = 60.0


def eventually(what: str, condition: Callable[[], bool]) -> None:
    """Waits for a condition, not for a time."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < end, f"never: {what}"
        time.sleep(0.01)


@dataclass
class Live:
    """A runner at work on a shard that would take minutes."""

    process: "subprocess.Popen[str]"
    out: Path

    def phase(self) -> str:
        try:
            return TaskProgress.model_validate_json((self.out / "progress.json").read_bytes()).phase
        except FileNotFoundError:
            return ""

    def engine_pid(self) -> int:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        (pid,) = children
        return int(pid)

    def ended(self) -> tuple[int, TaskReport, str]:
        _, error = self.process.communicate(timeout=PATIENCE_SECONDS)
        (path,) = self.out.glob("report-*.json")
        return self.process.returncode, TaskReport.model_validate_json(path.read_bytes()), error


def is_gone(pid: int) -> bool:
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.fixture
def live(book: Path, tmp_path: Path) -> Iterator[Live]:
    root = copy_of(book, tmp_path, samples=200_000)
    task = write_task(root, spec_of(root, ["NS_ALDER", "NS_BALTIC"]))
    out = root / "out"
    command = [sys.executable, "-m", "xva_engine", "run", "--task", str(task), "--root", str(root), "--out", str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        one = Live(process, out)
        try:
            eventually("simulation", lambda: one.phase() == "simulation")
            yield one
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("number", "code", "exit_class"),
    [
        (signal.SIGKILL, 40, "outOfMemory"),
        (signal.SIGSEGV, 30, "engineCrash"),
        (signal.SIGABRT, 30, "engineCrash"),
    ],
)
def test_an_engine_that_dies(live: Live, number: signal.Signals, code: int, exit_class: str) -> None:
    os.kill(live.engine_pid(), number)
    ended, report, error = live.ended()
    assert (ended, report.exit_code, report.exit_class) == (code, code, exit_class)
    assert number.name in report.message
    assert error.splitlines() == [f"{exit_class}: {report.message}"]
    assert list(live.out.glob("bundle-*")) == []
    assert list(live.out.parent.glob(".scratch-*")) == []
    assert (live.out / "logs" / "ore.log").stat().st_size > 0, "the engine's log is kept"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_cancelled_task_leaves_no_process(live: Live, number: signal.Signals) -> None:
    engine = live.engine_pid()
    live.process.send_signal(number)
    code, report, _ = live.ended()
    assert (code, report.exit_class, report.message) == (50, "cancelled", f"cancelled by {number.name}")
    assert is_gone(engine)
    assert list(live.out.parent.glob(".scratch-*")) == []


def test_a_runner_that_is_killed_takes_its_engine_along(live: Live) -> None:
    engine = live.engine_pid()
    live.process.kill()
    live.process.wait()
    eventually("the engine's end", lambda: is_gone(engine))


def test_the_progress_file_follows_the_engine(live: Live) -> None:
    seen: list[tuple[int, int]] = []

    def look() -> bool:
        progress = TaskProgress.model_validate_json((live.out / "progress.json").read_bytes())
        seen.append((progress.done, progress.total))
        return progress.done > seen[0][0]

    eventually("more samples", look)
    assert seen == sorted(seen)
    assert {total for _, total in seen} == {seen[0][1]}
    assert seen[0][1] > 0


def test_a_memory_limit_ends_as_out_of_memory(book: Path, tmp_path: Path) -> None:
    ran = run(copy_of(book, tmp_path), "NS_CARIOCA", more=("--memory-limit-mb", "60"))
    assert (ran.code, ran.report.exit_class) == (40, "outOfMemory"), ran.report.message


def test_a_file_that_can_not_grow_ends_as_infrastructure(book: Path, tmp_path: Path) -> None:
    root = copy_of(book, tmp_path)
    task = write_task(root, spec_of(root, ["NS_CARIOCA"]))
    arguments = ["run", "--task", str(task), "--root", str(root), "--out", str(root / "out")]

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))

    command = [sys.executable, "-m", "xva_engine", *arguments]
    ended = subprocess.run(command, preexec_fn=limit, capture_output=True, text=True, check=False)
    assert ended.returncode == 60, ended.stderr
    assert ended.stderr.startswith("infrastructure: ")
    (path,) = (root / "out").glob("report-*.json")
    assert json.loads(path.read_text())["exitClass"] == "infrastructure"


def test_an_out_folder_that_can_not_be_is_infrastructure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out").write_text("a file")
    assert main(["run", "--task", "task.json", "--root", str(tmp_path), "--out", str(tmp_path / "out")]) == 60
    assert capsys.readouterr().err.startswith("infrastructure: ")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "task's spec is missing"),
        ("{", "task.json"),
        ('{"kind": "shard"}', "shard.runId: Field required"),
        ('{"kind": "what"}', "what"),
    ],
)
def test_a_spec_that_can_not_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None, told: str
) -> None:
    task = tmp_path / "task.json"
    if text is not None:
        task.write_text(text)
    assert main(["run", "--task", str(task), "--root", str(tmp_path), "--out", str(tmp_path / "out")]) == 10
    error = capsys.readouterr().err
    assert error.startswith("badInput: ")
    assert told in error
    assert list((tmp_path / "out").glob("report-*")) == []
