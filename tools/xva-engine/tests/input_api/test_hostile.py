"""What a caller may send to hurt: each is one 4xx problem with a named reason, and the next honest request is served.

The page that this test writes says what was seen. The server runs as a process, with its generator, so that memory is
that of both.
"""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.trial_book import TrialBook
from xva_engine.sample import frozen_request

KEY = "test-key-0123456789"
MOST_GROWTH_MIB = 192
"""Of server and generator together, over all trials: two copies of the biggest body that is read, and its objects."""
Trial = tuple[str, bytes | Iterator[bytes], dict[str, str]]


@contextmanager
def _api(folder: Path) -> Iterator[tuple[int, str]]:
    command = [sys.executable, "-m", "xva_engine", "input-api", "--port", "0", "--data", str(folder), "--workers", "1"]
    process = subprocess.Popen(
        [*command, "--most-body-mib", "48", "--exit-with-parent"],
        env={**os.environ, "XVA_INPUT_API_KEY": KEY},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process.pid, json.loads(process.stdout.readline())["endpoints"]["http"]
    finally:
        process.kill()
        process.communicate(timeout=10)


def _memory_mib(pid: int) -> int:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    lines = (Path(f"/proc/{one}/status").read_text() for one in (pid, *children))
    return sum(int(text.split("VmRSS:")[1].split()[0]) for text in lines) // 1024


def _with(**changes: object) -> bytes:
    return json.dumps({**frozen_request("small"), **changes}).encode()


def _replaced(old: str, new: str) -> bytes:
    text = json.dumps(frozen_request("small"))
    assert old in text
    return text.replace(old, new, 1).encode()


def _first_trade(**changes: object) -> bytes:
    request = frozen_request("small")
    request["trades"][0] |= changes
    request["settings"]["strict"] = True
    return json.dumps(request).encode()


def _first_set(**changes: object) -> bytes:
    request = frozen_request("small")
    request["nettingSets"][0] |= changes
    request["settings"]["strict"] = True
    return json.dumps(request).encode()


def _many_trades(count: int) -> bytes:
    request = frozen_request("small")
    trade = json.dumps(request["trades"][0])
    text = json.dumps({**request, "trades": []})
    return text.replace('"trades": []', f'"trades": [{",".join([trade] * count)}]').encode()


def _trials() -> list[Trial]:
    nested = '{"a":' * 10_000 + "1" + "}" * 10_000
    plain: dict[str, str] = {}
    gzip = {"content-encoding": "gzip"}
    one = frozen_request("small")["trades"][0]["terms"]
    return [
        ("no body", b"", plain),
        ("no JSON", b"notional=5", plain),
        ("JSON cut short", _with()[:-1], plain),
        ("another document after the first", _with() + b"{}", plain),
        ("invalid UTF-8", _with().replace(b"SMALL", b"\xff\xfe\xfd\xfc\xfb"), plain),
        ("UTF-16", json.dumps(frozen_request("small")).encode("utf-16"), plain),
        ("a byte order mark", b"\xef\xbb\xbf" + _with(), plain),
        ("100,000 opening brackets", b"[" * 100_000, plain),
        ("terms 10,000 deep", _replaced('"terms": {', f'"terms": {{"deep": {nested}, '), plain),
        ("NaN for a number", _replaced('"samples": 50', '"samples": NaN'), plain),
        ("Infinity for a number", _replaced('"samples": 50', '"samples": -Infinity'), plain),
        ("1e999 for a number", _replaced('"samples": 50', '"samples": 1e999'), plain),
        ("a number of 5,000 digits", _replaced('"samples": 50', f'"samples": {"9" * 5000}'), plain),
        ("2**63 samples", _replaced('"samples": 50', f'"samples": {2**63}'), plain),
        ("a fraction of a sample", _replaced('"samples": 50', '"samples": 50.5'), plain),
        ("text for a number", _replaced('"samples": 50', '"samples": "50"'), plain),
        ("a member twice in the settings", _replaced('"samples": 50', '"samples": 60, "samples": 50'), plain),
        ("a member twice in a trade's terms", _replaced('"terms": {', '"terms": {"notional": "1", '), plain),
        ("a lone surrogate", _replaced('"SMALL"', '"\\ud800"'), plain),
        ("a NUL in an id", _first_trade(tradeId="T\u00001"), plain),
        ("XML in a trade id", _first_trade(tradeId="<x/>&\"'"), plain),
        ("XML in a counterparty", _first_set(counterparty="A</CounterParty><Hack/>"), plain),
        ("a path for a netting set", _first_set(id="../../etc/passwd"), plain),
        ("a look-alike letter in an id", _first_trade(tradeId="\u0422RADE"), plain),
        ("a line break in an id", _first_trade(tradeId="T1\nT2"), plain),
        ("a number of 10,000 digits as text", _first_trade(terms={**one, "boughtAmount": "9" * 10_000}), plain),
        ("digits of another script", _first_trade(terms={**one, "boughtAmount": "\u0661\u0662"}), plain),
        ("`__proto__` as a member", _with(__proto__={"x": 1}), plain),
        ("a member that is not known", _with(callback="http://169.254.169.254/"), plain),
        ("a snapshot outside its folder", _with(marketSnapshot={"name": "../../secret"}), plain),
        ("a snapshot that is not there", _with(marketSnapshot={"name": "EOD"}), plain),
        ("a CSA of 20,001 characters", _first_set(csa={"raw": "x" * 20_001}), plain),
        ("a CSA that is JSON, 5,000 deep", _first_set(csa={"raw": "[" * 5000}), plain),
        ("a request of the next major version", _with(schemaVersion="2.0"), plain),
        ("100,000 trades", _many_trades(100_000), plain),
        ("30,000 trades, their keys escaped", _many_trades(30_000).replace(b'"tradeId"', b'"trade\\u0049d"'), plain),
        (
            "600,000 quotes",
            _with(quotes=[]).replace(
                b'"quotes": []', b'"quotes": [' + b'{"key":"A","value":"1"},' * 600_000 + b'{"key":"A","value":"1"}]'
            ),
            plain,
        ),
        ("a body above the limit", b" " * (48 * 2**20 + 1), plain),
        ("a body above the limit, length not told", (b" " * 2**20 for _ in range(49)), plain),
        ("a gzip bomb", b"\x1f\x8b" + b"\x00" * 1000, gzip),
    ]


def _seen(response: httpx.Response) -> str:
    body: dict[str, Any] = response.json()
    assert response.headers["content-type"] == "application/problem+json"
    assert "Traceback" not in response.text
    if "errors" not in body:
        return f"{response.status_code} `{body['code']}`"
    codes = sorted({error["code"] for error in body["errors"]})
    first = min(body["errors"], key=lambda error: (error["code"], error["subject"]))
    shown = first["subject"].encode("unicode_escape").decode("ascii")
    shown = shown if len(shown) <= 40 else f"{shown[:37]}..."
    return f"{response.status_code} `{body['code']}`: {', '.join(f'`{code}`' for code in codes)} at `{shown}`"


def _slow_body(url: str) -> str:
    """A body that never comes must not hold up anybody else."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        head = f"POST /v1/packages HTTP/1.1\r\nhost: x\r\nx-api-key: {KEY}\r\ncontent-length: 1000\r\n\r\n{{"
        connection.sendall(head.encode())
        answer = httpx.post(f"{url}/v1/packages", content=_with(), headers={"x-api-key": KEY}, timeout=60)
        return f"another caller gets {answer.status_code} meanwhile"


def test_hostile_requests_are_refused_by_name_and_hurt_nobody(tmp_path: Path) -> None:
    book = TrialBook(
        "Hostile requests to the input API",
        "docs/trials/input-api.md",
        "tools/xva-engine/tests/input_api/test_hostile.py",
    )
    slowest = 0.0
    with _api(tmp_path) as (pid, url):
        client = httpx.Client(base_url=url, headers={"x-api-key": KEY}, timeout=60)
        assert client.post("/v1/packages", content=_with()).status_code == 200
        before = _memory_mib(pid)
        for name, content, headers in _trials():
            started = time.monotonic()
            response = client.post("/v1/packages", content=content, headers=headers)
            slowest = max(slowest, time.monotonic() - started)
            assert 400 <= response.status_code < 500, (name, response.text[:500])
            book.record("Bodies", name, _seen(response))
            assert client.get("/healthz").status_code == 200, name
        book.record("Connections", "a body that never comes", _slow_body(url))
        for name, path in (
            ("a path out of the cache", "/v1/packages/..%2f..%2fetc/objects/passwd"),
            ("a NUL in a path", f"/v1/packages/{'0' * 64}/objects/%00"),
            ("10,000 characters of path", f"/v1/packages/{'a' * 10_000}/objects/{'b' * 64}"),
            ("a snapshot's path out of its folder", "/v1/market-snapshots/2026-09-30/..%2f..%2fx"),
            ("a snapshot of a date that does not exist", "/v1/market-snapshots/2026-02-30/EOD"),
        ):
            book.record("Paths", name, _seen(client.get(path)))
        assert client.post("/v1/packages", content=_with()).status_code == 200
        growth = _memory_mib(pid) - before
        assert growth < MOST_GROWTH_MIB, f"{growth} MiB more than before; the slowest answer took {slowest:.1f} s"
        print(f"memory +{growth} MiB; the slowest answer took {slowest:.2f} s")
    book.close()
