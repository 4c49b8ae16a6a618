"""Routes of the input API."""

import asyncio
import hmac
import json
import logging
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import BinaryIO

from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import PlainTextResponse, StreamingResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from xva_engine import __version__
from xva_engine.contracts import sha256_hex
from xva_engine.generate.snapshots import SnapshotFolder
from xva_engine.input_api import documentation
from xva_engine.input_api.metrics import Metrics
from xva_engine.input_api.pool import BusyError, DiedError, MemoryLimitError, PoolSettings, TooSlowError, WorkerPool
from xva_engine.input_api.problems import MEDIA_TYPE, ApiError, problem_response
from xva_engine.input_api.snapshot_routes import add_snapshot_routes
from xva_engine.input_api.store import NotStoredError, PackageStore

CHUNK_BYTES = 256 * 1024
_OPEN_ROUTES = ("/healthz", "/readyz", "/metrics", "/openapi.json")


@dataclass(frozen=True)
class ApiSettings:
    """`api_key` is what callers send as `x-api-key`. A body has at most `most_body_bytes`, within `body_seconds`."""

    api_key: str
    pool: PoolSettings
    most_body_bytes: int
    body_seconds: float = 60.0

    def __repr__(self) -> str:
        return f"ApiSettings(api_key=***, pool={self.pool}, most_body_bytes={self.most_body_bytes})"


class InputApi:
    """The routes and what they share."""

    def __init__(self, settings: ApiSettings, logger: logging.Logger) -> None:
        self._settings = settings
        self._logger = logger
        self._metrics = Metrics()
        self._store = PackageStore(settings.pool.folder, settings.pool.most_bytes)
        self.pool = WorkerPool(settings.pool)
        self.snapshots = SnapshotFolder(settings.pool.snapshots)

    async def around(self, request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        """Authorises, counts and logs every request; an unexpected error becomes a problem like any other."""
        started = time.monotonic()
        fields = {"requestId": _request_id(request), "method": request.method, "path": request.url.path}
        trace = request.headers.get("traceparent")
        request.state.fields = fields if trace is None else {**fields, "traceparent": trace[:100]}
        try:
            _authorise(request, self._settings.api_key)
            response = await call_next(request)
        except ApiError as refused:
            response = problem_response(refused, fields["requestId"])
        except Exception:
            self._logger.exception("unexpected error", extra={"fields": request.state.fields})
            response = problem_response(_internal(), fields["requestId"])
        response.headers["x-request-id"] = fields["requestId"]
        self._metrics.request(getattr(request.scope.get("route"), "path", "none"), response.status_code)
        if request.url.path not in _OPEN_ROUTES:
            milliseconds = round((time.monotonic() - started) * 1000, 1)
            outcome = {"status": response.status_code, "durationMs": milliseconds}
            self._logger.info("request", extra={"fields": {**request.state.fields, **outcome}})
        return response

    async def create_package(self, request: Request) -> Response:
        """`POST /v1/packages`."""
        if self.pool.full:  # told before the body is read
            raise ApiError(503, "busy", f"{self.pool.waiting} requests are waiting", retry_after_seconds=1)
        content = await self.body(request)
        request.state.fields |= _ids_of(content)
        started = time.monotonic()
        answer = await self._generate(content)
        kind, result = answer[:1], answer[1:]
        self._metrics.package(
            {b"P": "packaged", b"R": "refused", b"L": "too-much"}.get(kind, "failed"), time.monotonic() - started
        )
        if kind == b"P":
            package_id = sha256_hex(result)
            request.state.fields["packageId"] = package_id
            return Response(result, 200, {"etag": f'"{package_id}"'}, "application/json")
        if kind == b"R":
            problem = {**json.loads(result), "requestId": request.state.fields["requestId"]}
            request.state.fields |= {"code": "package-refused", "defects": len(problem["errors"])}
            self._metrics.refused(error["code"] for error in problem["errors"])
            return Response(json.dumps(problem, ensure_ascii=False), 422, None, MEDIA_TYPE)
        if kind == b"L":
            limit = json.loads(result)
            raise ApiError(413, limit["code"], limit["detail"])
        self._logger.error("generator failed", extra={"fields": {**request.state.fields, "error": result.decode()}})
        raise _internal()

    async def body(self, request: Request) -> bytes:
        """The request's body within its limits of size and time."""
        return await _body(request, self._settings.most_body_bytes, self._settings.body_seconds)

    async def _generate(self, content: bytes) -> bytes:
        try:
            return await self.pool.generate(content)
        except BusyError as error:
            raise ApiError(503, "busy", str(error), retry_after_seconds=1) from error
        except MemoryLimitError as error:
            raise ApiError(413, "too-much-memory", str(error)) from error
        except DiedError as error:
            raise ApiError(503, "generator-died", str(error), retry_after_seconds=1) from error
        except TooSlowError as error:
            raise ApiError(504, "too-slow", str(error)) from error

    async def get_object(self, package_id: str, object_hash: str, request: Request) -> Response:
        """`GET /v1/packages/{package_id}/objects/{object_hash}`."""
        try:
            file, size = await run_in_threadpool(self._store.open, package_id, object_hash)
        except NotStoredError as error:
            raise ApiError(404, error.code, str(error)) from error
        headers = {"etag": f'"{object_hash}"', "cache-control": "private, max-age=31536000, immutable"}
        if request.headers.get("if-none-match") == headers["etag"]:
            file.close()
            return Response(None, 304, headers)
        headers["content-length"] = str(size)
        return StreamingResponse(_chunks(file), 200, headers, "application/octet-stream")

    async def healthz(self) -> Response:
        """The process answers."""
        return PlainTextResponse("ok\n")

    async def readyz(self) -> Response:
        """It can generate."""
        return PlainTextResponse("ready\n") if self.pool.ready else PlainTextResponse("no generator process\n", 503)

    async def read_metrics(self) -> Response:
        """Counters and gauges."""
        cached = await run_in_threadpool(self._store.total_bytes)
        gauges = {
            "cache_bytes": cached,
            "workers": self.pool.alive,
            "workers_busy": self.pool.busy,
            "requests_waiting": self.pool.waiting,
        }
        return PlainTextResponse(self._metrics.text(gauges), media_type="text/plain; version=0.0.4")


def create_app(settings: ApiSettings, logger: logging.Logger) -> FastAPI:
    """The application; its generator processes live from start-up to shutdown."""
    api = InputApi(settings, logger)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await api.pool.start()
        try:
            yield
        finally:
            await api.pool.stop()

    app = FastAPI(
        title="XVA input API",
        version=__version__,
        description=documentation.DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        responses=documentation.COMMON_RESPONSES,
    )
    app.middleware("http")(api.around)
    app.add_exception_handler(ApiError, _on_api_error)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.post("/v1/packages", **documentation.CREATE_PACKAGE)(api.create_package)
    app.get("/v1/packages/{package_id}/objects/{object_hash}", **documentation.GET_OBJECT)(api.get_object)
    add_snapshot_routes(app, api.snapshots, api.body)
    app.get("/healthz", include_in_schema=False)(api.healthz)
    app.get("/readyz", include_in_schema=False)(api.readyz)
    app.get("/metrics", include_in_schema=False)(api.read_metrics)
    return app


async def _on_api_error(request: Request, error: Exception) -> Response:
    found = error if isinstance(error, ApiError) else _internal()
    request.state.fields["code"] = found.code
    return problem_response(found, request.state.fields["requestId"])


async def _on_http_error(request: Request, error: Exception) -> Response:
    status, detail = (error.status_code, error.detail) if isinstance(error, HTTPException) else (500, "")
    codes = {404: "not-found", 405: "method-not-allowed"}
    found = ApiError(status, codes.get(status, "bad-request"), str(detail))
    return problem_response(found, request.state.fields["requestId"])


def _internal() -> ApiError:
    return ApiError(500, "internal", "an unexpected error, see the log of this request id")


def _request_id(request: Request) -> str:
    given = request.headers.get("x-request-id", "")
    return given if 0 < len(given) <= 100 and given.isascii() and given.isprintable() else str(uuid.uuid4())


def _authorise(request: Request, api_key: str) -> None:
    if request.url.path in _OPEN_ROUTES:
        return
    given = request.headers.get("x-api-key", "")
    if not hmac.compare_digest(given.encode(), api_key.encode()):
        raise ApiError(401, "unauthorized", "send the API key as x-api-key")


async def _body(request: Request, most_bytes: int, most_seconds: float) -> bytes:
    """The whole body; an announced or actual excess, or a trickle, ends it before it is in memory."""
    encoding = request.headers.get("content-encoding", "identity")
    if encoding.strip().lower() not in ("", "identity"):
        raise ApiError(415, "unsupported-encoding", f"content-encoding {encoding[:40]!r} is not taken: send it plain")
    too_big = ApiError(413, "request-too-big", f"a request has at most {most_bytes} bytes")
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > most_bytes:
        raise too_big
    content = bytearray()
    try:
        async with asyncio.timeout(most_seconds):
            async for chunk in request.stream():
                content += chunk
                if len(content) > most_bytes:
                    raise too_big
    except TimeoutError:
        raise ApiError(408, "body-too-slow", f"the body did not come in {most_seconds:g} s") from None
    except ClientDisconnect:
        raise ApiError(400, "body-cut-short", "the caller went away before the body was there") from None
    return bytes(content)


def _ids_of(content: bytes) -> dict[str, str]:
    """The event id of a request's text for the log, without reading all of it as JSON."""
    place = content.find(b'"eventId"')
    text = content[place + 9 : place + 60].decode("ascii", "replace").lstrip(' :\t\r\n"') if place >= 0 else ""
    event_id = text[:32]
    return {"eventId": event_id} if len(event_id) == 32 and set(event_id) <= set("0123456789abcdef") else {}


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
