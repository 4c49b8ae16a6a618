"""The progress file only rises, and follows the engine's own log."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xva_engine.contracts import TaskProgress
from xva_engine.run.progress import EngineProgressTail, ProgressFile, engine_step

PHASES = ["starting", "market", "simulation", "xva", "accepting", "writing", "merging", "done"]


class Clock:
    """One second a look, unless told otherwise."""

    def __init__(self, step: float = 1.0) -> None:
        self.now, self.step = 1_790_000_000.0, step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


def read(path: Path) -> TaskProgress:
    return TaskProgress.model_validate_json(path.read_bytes())


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PHASES), st.integers(0, 9), st.just(9)), max_size=30))
def test_it_never_goes_back(tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, int]]) -> None:
    path = tmp_path_factory.mktemp("progress") / "progress.json"
    progress = ProgressFile(path, Clock())
    last = (-1, 0)
    for step in steps:
        progress.advance(*step)
        now = read(path)
        here = (PHASES.index(now.phase), now.done)
        assert here >= last
        assert now.done <= now.total
        last = here
    assert list(path.parent.glob(".*")) == []


def test_steps_are_written_at_most_twice_a_second_but_the_last_always(tmp_path: Path) -> None:
    path = tmp_path / "progress.json"
    progress = ProgressFile(path, Clock(step=0.1))
    progress.advance("simulation", 1, 10)
    progress.advance("simulation", 2, 10)
    assert read(path).done == 1
    progress.advance("simulation", 10, 10)
    assert read(path).done == 10


def line(key: str, done: int, total: int) -> str:
    return json.dumps({"@timestamp": "t", "key": key, "progress": done, "total": total})


@pytest.mark.parametrize(
    ("text", "step"),
    [
        (line("XVA: Build Today's Market", 1, 1), ("market", 1, 1)),
        (line("XVA: Build Portfolio", 0, 1), ("market", 0, 1)),
        (line("XVA: Building cube", 40, 4000), ("simulation", 40, 4000)),
        (line("XVA: Aggregation", 1, 1), ("xva", 0, 0)),
        (line("Running XVA Analytic", 0, 1), None),
        ('{"key": "XVA: Building cube"', None),
        ("[]", None),
        ("", None),
    ],
)
def test_the_engines_lines(text: str, step: tuple[str, int, int] | None) -> None:
    assert engine_step(text) == step


def test_the_tail_waits_for_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "log_progress.json"
    tail = EngineProgressTail(path)
    assert tail.latest() is None
    whole = line("XVA: Building cube", 1, 9)
    path.write_text(whole[:20])
    assert tail.latest() is None
    path.write_text(f"{whole}\n{line('XVA: Building cube', 2, 9)}\n{line('Running', 0, 1)}\n")
    assert tail.latest() == ("simulation", 2, 9)
    assert tail.latest() is None
