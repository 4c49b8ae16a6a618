"""Routes of market snapshots: uploaded once, read by name and as-of date, never changed."""

import datetime
import re
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from xva_engine.contracts import MarketSnapshotRef
from xva_engine.generate.snapshots import Snapshot, SnapshotExistsError, SnapshotFolder, SnapshotRefusedError
from xva_engine.input_api import documentation
from xva_engine.input_api.problems import ApiError

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}", re.ASCII)
_PATH = "/v1/market-snapshots/{as_of}"


class SnapshotRoutes:
    """Handlers over a folder; `body` reads a request's body within its limits."""

    def __init__(self, folder: SnapshotFolder, body: Callable[[Request], Awaitable[bytes]]) -> None:
        self._folder = folder
        self._body = body

    async def put(self, as_of: str, name: str, request: Request) -> Response:
        """`PUT /v1/market-snapshots/{as_of}/{name}`."""
        _check(as_of, name)
        content = await self._body(request)
        try:
            snapshot, created = await run_in_threadpool(self._folder.put, as_of, name, content)
        except SnapshotRefusedError as error:
            raise ApiError(422, "snapshot-refused", f"{len(error.defects)} defects", defects=error.defects) from error
        except SnapshotExistsError as error:
            raise ApiError(409, "snapshot-exists", str(error)) from error
        return JSONResponse(_described(snapshot), 201 if created else 200, {"etag": f'"{snapshot.sha256}"'})

    async def get(self, as_of: str, name: str) -> Response:
        """`GET /v1/market-snapshots/{as_of}/{name}`."""
        _check(as_of, name)
        try:
            snapshot = await run_in_threadpool(self._folder.find, as_of, MarketSnapshotRef(name=name))
        except SnapshotRefusedError as error:
            status = 404 if error.defects[0].code == "unknown-snapshot" else 422
            raise ApiError(status, error.defects[0].code, error.defects[0].sentence) from error
        return JSONResponse(_described(snapshot), 200, {"etag": f'"{snapshot.sha256}"'})

    async def names(self, as_of: str) -> Response:
        """`GET /v1/market-snapshots/{as_of}`."""
        _check(as_of, "x")
        names = await run_in_threadpool(self._folder.names, as_of)
        return JSONResponse({"asOf": as_of, "names": names})


def add_snapshot_routes(app: FastAPI, folder: SnapshotFolder, body: Callable[[Request], Awaitable[bytes]]) -> None:
    """Adds the routes."""
    routes = SnapshotRoutes(folder, body)
    app.put(f"{_PATH}/{{name}}", **documentation.PUT_SNAPSHOT)(routes.put)
    app.get(f"{_PATH}/{{name}}", **documentation.GET_SNAPSHOT)(routes.get)
    app.get(_PATH, **documentation.LIST_SNAPSHOTS)(routes.names)


def _check(as_of: str, name: str) -> None:
    """Both become names of files."""
    if _NAME.fullmatch(name) is None:
        raise ApiError(400, "bad-snapshot-name", "a snapshot's name is 1 to 64 of A-Z a-z 0-9 _ . -")
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", as_of, re.ASCII) is not None:
        try:
            datetime.date.fromisoformat(as_of)
        except ValueError:
            pass
        else:
            return
    raise ApiError(400, "bad-as-of", "the as-of date is none, such as 2026-09-30")


def _described(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "name": snapshot.name,
        "asOf": snapshot.as_of,
        "sha256": snapshot.sha256,
        "quotes": len(snapshot.quotes),
        "fixings": len(snapshot.fixings),
    }
