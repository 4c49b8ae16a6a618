"""The input API as its callers meet it, with real generator processes."""

import asyncio
import json
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from jsonschema import Draft202012Validator

from tests import requests as req
from xva_engine.contracts import FrozenRequest, Manifest
from xva_engine.input_api import documentation
from xva_engine.input_api.app import ApiSettings, create_app
from xva_engine.input_api.pool import PoolSettings
from xva_engine.sample import frozen_request

KEY = "test-key-0123456789"
SCHEMAS = Path(__file__).resolve().parents[4] / "libs/xva-contracts/schemas"


def api_settings(folder: Path, **changes: Any) -> ApiSettings:
    """Settings with changes by name, of the API or of its pool."""
    pool = {"most_bytes": 2**26, "workers": 2, "most_waiting": 32, "time_limit_seconds": 60.0}
    more = ("most_trades", "most_values", "most_worker_mib")
    limits = {name: changes.pop(name) for name in list(changes) if name in (*pool, *more)}
    return ApiSettings(
        api_key=KEY,
        pool=PoolSettings(folder=folder, snapshots=folder / "snapshots", **{**pool, **limits}),
        most_body_bytes=changes.pop("most_body_bytes", 2**24),
        body_seconds=changes.pop("body_seconds", 60.0),
    )


def _client(folder: Path, **changes: Any) -> TestClient:
    return TestClient(
        create_app(api_settings(folder, **changes), logging.getLogger("test")), headers={"x-api-key": KEY}
    )


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with _client(tmp_path_factory.mktemp("api")) as found:
        yield found


def _post(client: TestClient, request: req.Message) -> httpx.Response:
    response: httpx.Response = client.post("/v1/packages", json=request)
    return response


def expect_problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem of a response, which fits the contract."""
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    name = "package-problem" if "errors" in body else "problem"
    schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text())
    assert not list(Draft202012Validator(schema).iter_errors(body))
    assert body["code"] == code
    assert body["requestId"] == response.headers["x-request-id"]
    return body


def test_a_package_and_its_parts(client: TestClient) -> None:
    response = _post(client, frozen_request("small"))
    assert response.status_code == 200
    expected = req.package(frozen_request("small"))
    assert response.content == expected.manifest_bytes
    assert response.headers["etag"] == f'"{expected.package_id}"'
    manifest = Manifest.model_validate_json(response.content)
    for part in manifest.parts:
        found = client.get(f"/v1/packages/{expected.package_id}/objects/{part.sha256}")
        assert found.status_code == 200
        assert found.headers["content-type"] == "application/octet-stream"
        assert found.headers["content-length"] == str(part.size)
        assert found.headers["etag"] == f'"{part.sha256}"'
        assert found.content == expected.files[part.path]
        url = f"/v1/packages/{expected.package_id}/objects/{part.sha256}"
        assert client.get(url, headers={"if-none-match": f'"{part.sha256}"'}).status_code == 304


def test_a_refused_request_names_every_defect(client: TestClient) -> None:
    request = req.message(strict=True)
    request["trades"][0]["tradeType"] = "Tarn"
    request["quotes"] = [quote for quote in request["quotes"] if quote["key"] != "IR_SWAP/RATE/USD/2D/1D/5Y"]
    problem = expect_problem(_post(client, request), 422, "package-refused")
    found = {(error["code"], error["subject"]) for error in problem["errors"]}
    assert ("unknown-trade-type", "IRS_0000") in found
    assert ("missing-quote", "IR_SWAP/RATE/USD/2D/1D/5Y") in found


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"schemaVersion":"1.0"}', b"\xff" * 100])
def test_a_malformed_request_is_refused(client: TestClient, content: bytes) -> None:
    response = client.post("/v1/packages", content=content)
    problem = expect_problem(response, 422, "package-refused")
    assert {error["code"] for error in problem["errors"]} == {"malformed-request"}


def test_the_key_is_required(client: TestClient) -> None:
    for key in ("", "wrong", KEY[:-1], KEY + "x", "é"):
        response = client.post("/v1/packages", json={}, headers={"x-api-key": key.encode()})
        expect_problem(response, 401, "unauthorized")
        assert KEY not in response.text
    expect_problem(
        client.get(f"/v1/packages/{'0' * 64}/objects/{'0' * 64}", headers={"x-api-key": ""}), 401, "unauthorized"
    )


def test_objects_that_are_not_there(client: TestClient) -> None:
    package = req.package(frozen_request("small"))
    _post(client, frozen_request("small"))
    expect_problem(client.get(f"/v1/packages/{'0' * 64}/objects/{'0' * 64}"), 404, "package-not-cached")
    expect_problem(client.get(f"/v1/packages/{package.package_id}/objects/{'0' * 64}"), 404, "object-not-in-package")
    expect_problem(client.get(f"/v1/packages/{package.package_id}/objects/..%2Flock"), 404, "not-found")
    expect_problem(client.get(f"/v1/packages/{package.package_id}/objects/lock"), 404, "object-not-in-package")
    expect_problem(client.get("/v1/nothing"), 404, "not-found")
    expect_problem(client.delete("/v1/packages"), 405, "method-not-allowed")


def test_bodies_are_bounded(tmp_path: Path) -> None:
    with _client(tmp_path, most_body_bytes=1000) as client:
        expect_problem(client.post("/v1/packages", content=b" " * 1001), 413, "request-too-big")
        chunks = (b" " * 100 for _ in range(11))
        expect_problem(client.post("/v1/packages", content=chunks), 413, "request-too-big")


def test_health_and_metrics_need_no_key(client: TestClient) -> None:
    _post(client, frozen_request("small"))
    for path in ("/healthz", "/readyz"):
        assert client.get(path, headers={"x-api-key": ""}).status_code == 200
    text = client.get("/metrics", headers={"x-api-key": ""}).text
    assert 'xva_input_api_requests_total{route="/v1/packages",status="200"}' in text
    assert 'xva_input_api_packages_total{outcome="packaged"}' in text
    assert "xva_input_api_cache_bytes " in text


def test_the_caller_may_name_the_request(client: TestClient) -> None:
    response = client.post("/v1/packages", json={}, headers={"x-request-id": "abc-1"})
    assert response.headers["x-request-id"] == "abc-1"
    assert response.json()["requestId"] == "abc-1"
    assert (
        client.post("/v1/packages", json={}, headers={"x-request-id": "x" * 200}).headers["x-request-id"] != "x" * 200
    )


def test_parallel_requests_for_one_and_for_many_packages(client: TestClient) -> None:
    requests = [frozen_request("small", revision) for revision in (1, 1, 2, 3, 1, 2, 4, 5)]
    with ThreadPoolExecutor(8) as threads:
        responses = list(threads.map(lambda request: _post(client, request), requests))
    for request, response in zip(requests, responses, strict=True):
        assert response.content == req.package(request).manifest_bytes


def test_a_restart_keeps_what_is_cached(tmp_path: Path) -> None:
    package = req.package(frozen_request("small"))
    url = f"/v1/packages/{package.package_id}/objects/{package.manifest.parts[0].sha256}"
    with _client(tmp_path, workers=1) as client:
        expect_problem(client.get(url), 404, "package-not-cached")
        _post(client, frozen_request("small"))
    with _client(tmp_path, workers=1) as client:
        assert client.get(url).status_code == 200


def test_a_slow_request_is_stopped_and_the_next_one_served(tmp_path: Path) -> None:
    settings = api_settings(tmp_path, workers=1, time_limit_seconds=60.0)
    app = create_app(settings, logging.getLogger("test"))
    request = frozen_request("demo")
    request["quotes"] += [{"key": f"SOME/{number}", "value": "1"} for number in range(100_000)]
    with TestClient(app, headers={"x-api-key": KEY}) as client:
        object.__setattr__(settings.pool, "time_limit_seconds", 0.05)
        expect_problem(_post(client, request), 504, "too-slow")
        object.__setattr__(settings.pool, "time_limit_seconds", 60.0)
        assert _post(client, frozen_request("small")).status_code == 200


def test_a_full_queue_is_told(tmp_path: Path) -> None:
    app = create_app(api_settings(tmp_path, workers=1, most_waiting=1), logging.getLogger("test"))

    async def many() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://api", headers={"x-api-key": KEY}) as client,
        ):
            posts = [client.post("/v1/packages", json=frozen_request("small", revision)) for revision in range(1, 9)]
            return list(await asyncio.gather(*posts))

    responses = asyncio.run(many())
    statuses = [response.status_code for response in responses]
    assert set(statuses) == {200, 503}
    refused = next(response for response in responses if response.status_code == 503)
    expect_problem(refused, 503, "busy")
    assert refused.headers["retry-after"] == "1"


def test_a_generator_that_dies_is_replaced(tmp_path: Path) -> None:
    app = create_app(api_settings(tmp_path, workers=1), logging.getLogger("test"))

    async def story() -> list[int]:
        transport = httpx.ASGITransport(app)
        api = next(route for route in app.routes if getattr(route, "path", "") == "/readyz").endpoint.__self__  # type: ignore[attr-defined]
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://api", headers={"x-api-key": KEY}) as client,
        ):
            for process in list(api.pool._alive):
                process.kill()
                await process.wait()
            first = await client.post("/v1/packages", json=frozen_request("small"))
            expect_problem(first, 503, "generator-died")
            second = await client.post("/v1/packages", json=frozen_request("small"))
            return [first.status_code, second.status_code]

    assert asyncio.run(story()) == [503, 200]


def test_the_document_has_whole_examples(client: TestClient) -> None:
    document = client.get("/openapi.json", headers={"x-api-key": ""}).json()
    assert set(document["paths"]) == {
        "/v1/packages",
        "/v1/packages/{package_id}/objects/{object_hash}",
        "/v1/market-snapshots/{as_of}",
        "/v1/market-snapshots/{as_of}/{name}",
    }
    post = document["paths"]["/v1/packages"]["post"]
    body = post["requestBody"]["content"]["application/json"]
    FrozenRequest.model_validate(body["example"])
    Draft202012Validator(body["schema"]).validate(body["example"])
    manifest = post["responses"]["200"]["content"]["application/json"]
    Manifest.model_validate(manifest["example"])
    Draft202012Validator(manifest["schema"]).validate(manifest["example"])
    assert {"200", "401", "413", "422", "500", "503", "504"} <= set(post["responses"])
    schema = json.loads((SCHEMAS / "package-problem.schema.json").read_text())
    Draft202012Validator(schema).validate(documentation.PROBLEM_EXAMPLE)
