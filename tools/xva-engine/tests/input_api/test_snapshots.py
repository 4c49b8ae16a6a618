"""Snapshots, what-ifs and limits over HTTP."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from tests.input_api.test_api import KEY, api_settings, expect_problem
from xva_engine.contracts import Manifest
from xva_engine.generate.snapshots import snapshot_file
from xva_engine.input_api.app import create_app
from xva_engine.sample import frozen_request
from xva_engine.sample.market import fixings, quotes

URL = "/v1/market-snapshots/2026-09-30/EOD"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    settings = api_settings(tmp_path_factory.mktemp("api"), workers=1, most_trades=50, most_values=50_000)
    with TestClient(create_app(settings, logging.getLogger("test")), headers={"x-api-key": KEY}) as found:
        yield found


def _request(**changes: object) -> dict[str, Any]:
    return {**frozen_request("small"), **changes}


def test_a_snapshot_is_uploaded_once_and_named_by_requests(client: TestClient) -> None:
    content = snapshot_file(quotes(), fixings())
    first = client.put(URL, content=content)
    assert first.status_code == 201
    described = first.json()
    assert (described["name"], described["asOf"]) == ("EOD", "2026-09-30")
    assert described["quotes"] == len(quotes())
    assert client.put(URL, content=content).status_code == 200
    assert client.get(URL).json() == described
    assert client.get(URL).headers["etag"] == f'"{described["sha256"]}"'
    assert client.get("/v1/market-snapshots/2026-09-30").json() == {"asOf": "2026-09-30", "names": ["EOD"]}
    expect_problem(client.put(URL, content=snapshot_file({"A": "1"}, [])), 409, "snapshot-exists")
    reference = {"name": "EOD", "sha256": described["sha256"]}
    response = client.post("/v1/packages", json=_request(quotes=[], fixings=[], marketSnapshot=reference))
    assert response.status_code == 200
    provenance = Manifest.model_validate_json(response.content).provenance
    assert provenance is not None
    assert provenance.market_snapshot is not None
    assert provenance.market_snapshot.sha256 == described["sha256"]


def test_what_is_no_snapshot_is_a_named_problem(client: TestClient) -> None:
    bad = client.put("/v1/market-snapshots/2026-09-30/BAD", content=snapshot_file({"A": "NaN"}, []))
    assert [error["code"] for error in expect_problem(bad, 422, "snapshot-refused")["errors"]] == ["bad-quote"]
    expect_problem(client.get("/v1/market-snapshots/2026-09-30/BAD"), 404, "unknown-snapshot")
    expect_problem(client.put("/v1/market-snapshots/2026-09-31/X", content=b"{}"), 400, "bad-as-of")
    expect_problem(client.put("/v1/market-snapshots/2026-09-30/a b", content=b"{}"), 400, "bad-snapshot-name")
    expect_problem(client.put("/v1/market-snapshots/2026-09-30/.x", content=b"{}"), 400, "bad-snapshot-name")
    expect_problem(client.get(URL, headers={"x-api-key": ""}), 401, "unauthorized")


def test_limits_are_named(client: TestClient) -> None:
    request = frozen_request("small")
    many = [{**request["trades"][0], "tradeId": f"T{number}"} for number in range(51)]
    problem = expect_problem(client.post("/v1/packages", json=_request(trades=many)), 413, "too-many-trades")
    assert "51 trades, and may have 50" in problem["detail"]
    values = [{"key": f"K{number}", "value": "1"} for number in range(50_001)]
    expect_problem(client.post("/v1/packages", json=_request(quotes=values)), 413, "too-many-values")
    response = client.post("/v1/packages", content=b"{}", headers={"content-encoding": "gzip"})
    expect_problem(response, 415, "unsupported-encoding")


def test_a_what_if_is_a_package_of_two_netting_sets(client: TestClient) -> None:
    what_if = {"nettingSetId": "NS_ALDER", "addTrades": [], "removeTradeIds": ["FXO_0000"]}
    response = client.post("/v1/packages", json=_request(whatIf=what_if))
    assert [item.id for item in Manifest.model_validate_json(response.content).netting_sets] == [
        "NS_ALDER",
        "NS_ALDER.whatif",
    ]
    refused = client.post("/v1/packages", json=_request(whatIf={**what_if, "removeTradeIds": ["X"]}))
    assert [e["code"] for e in expect_problem(refused, 422, "package-refused")["errors"]] == ["bad-what-if"]


def test_metrics_count_defects_and_time(client: TestClient) -> None:
    client.post("/v1/packages", content=b"{}")
    text = client.get("/metrics").text
    assert 'xva_input_api_defects_total{code="malformed-request"}' in text
    assert 'xva_input_api_package_seconds_bucket{le="+Inf"}' in text
    assert "xva_input_api_workers 1" in text
    assert "# HELP xva_input_api_package_seconds " in text
    names = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    for line in text.splitlines():
        if not line.startswith("#"):
            name = line.split("{")[0].split(" ")[0]
            assert any(name in (known, f"{known}_bucket", f"{known}_sum", f"{known}_count") for known in names), line


def test_a_trickling_body_is_ended(tmp_path: Path) -> None:
    app = create_app(api_settings(tmp_path, workers=1, body_seconds=0.05), logging.getLogger("test"))

    async def trickle() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    async def story() -> httpx.Response:
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as caller,
        ):
            return await caller.post("/v1/packages", content=trickle(), headers={"x-api-key": KEY})

    expect_problem(asyncio.run(story()), 408, "body-too-slow")


def test_a_request_that_needs_too_much_memory_is_told_so(tmp_path: Path) -> None:
    settings = api_settings(tmp_path, workers=1, most_worker_mib=750)
    with TestClient(create_app(settings, logging.getLogger("test")), headers={"x-api-key": KEY}) as small:
        text = json.dumps(_request(quotes=[]))
        quotes_text = ",".join(f'{{"key":"K{number}","value":"1"}}' for number in range(480_000))
        response = small.post("/v1/packages", content=text.replace('"quotes": []', f'"quotes": [{quotes_text}]'))
        expect_problem(response, 413, "too-much-memory")
        assert small.post("/v1/packages", json=_request()).status_code == 200
