"""The input API as a process: ready line, log, signals, and nothing left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from xva_engine.sample import frozen_request

KEY = "test-key-0123456789"


@contextmanager
def _api(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-m", "xva_engine", "input-api", "--port", "0", "--data", str(folder), "--workers", "1"]
    process = subprocess.Popen(
        [*command, *options],
        env={**os.environ, "XVA_INPUT_API_KEY": KEY},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert ready["ready"] is True
        assert ready["name"] == "input-api"
        yield process, ready["endpoints"]["http"]
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=10)


def _children(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text().split()]


def _wait_until_gone(pids: list[int]) -> None:
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < deadline, "a generator process is left"
        time.sleep(0.02)


def test_serves_logs_and_stops_on_sigterm(tmp_path: Path) -> None:
    request = frozen_request("small")
    with _api(tmp_path) as (process, url):
        children = _children(process.pid)
        assert len(children) == 1
        trace = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"
        headers = {"x-api-key": KEY, "traceparent": trace}
        response = httpx.post(f"{url}/v1/packages", json=request, headers=headers, timeout=30)
        assert response.status_code == 200
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=15)
        assert process.returncode == 0
    entries = [json.loads(line) for line in errors.splitlines()]
    assert [entry["msg"] for entry in entries] == ["request"]
    assert entries[0]["eventId"] == request["eventId"]
    assert entries[0]["packageId"] == response.headers["etag"].strip('"')
    assert entries[0]["traceparent"] == trace
    assert entries[0]["status"] == 200
    assert KEY not in errors
    _wait_until_gone(children)


def test_stops_with_its_parent(tmp_path: Path) -> None:
    with _api(tmp_path, "--exit-with-parent") as (process, _):
        children = _children(process.pid)
        assert process.stdin is not None
        process.stdin.close()
        process.stdin = None
        assert process.wait(timeout=15) == 0
    _wait_until_gone(children)


def test_generators_end_when_it_is_killed(tmp_path: Path) -> None:
    with _api(tmp_path) as (process, _):
        children = _children(process.pid)
        process.kill()
        process.wait(timeout=10)
        _wait_until_gone(children)


@pytest.mark.parametrize(
    ("key", "options", "words"),
    [
        ("", [], ["XVA_INPUT_API_KEY"]),
        (
            KEY,
            ["--workers", "0", "--most-body-mib", "-1", "--port", "70000"],
            ["--workers", "--most-body-mib", "--port"],
        ),
    ],
)
def test_every_bad_setting_is_named(key: str, options: list[str], words: list[str], tmp_path: Path) -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "xva_engine", "input-api", "--data", str(tmp_path), *options],
        env={**os.environ, "XVA_INPUT_API_KEY": key},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert answer.returncode == 2
    for word in words:
        assert word in answer.stderr
