"""The server process: binds, prints the ready line, stops in two breaths."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from xva_engine.input_api.app import ApiSettings, create_app
from xva_engine.input_api.logs import logger_to

SHUTDOWN_GRACE_SECONDS = 10


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: after a graceful stop they would end the process by the signal."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def openapi_text(settings: ApiSettings) -> str:
    """The OpenAPI document."""
    return json.dumps(create_app(settings, logger_to(sys.stderr)).openapi(), indent=2, ensure_ascii=False) + "\n"


def serve(settings: ApiSettings, *, host: str, port: int, exit_with_parent: bool) -> int:
    """Serves until SIGTERM, SIGINT or, if asked, the end of standard input; a second signal ends it at once."""
    logger = logger_to(sys.stderr)
    try:
        listener = socket.create_server((host, port))
    except OSError as error:
        logger.error("cannot listen on %s:%s: %s", host, port, error)
        return 2
    config = uvicorn.Config(
        create_app(settings, logger),
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=SHUTDOWN_GRACE_SECONDS,
        server_header=False,
    )
    with listener:
        return asyncio.run(_run(_Server(config), listener, exit_with_parent))


async def _run(server: _Server, listener: socket.socket, exit_with_parent: bool) -> int:
    loop = asyncio.get_running_loop()

    def stop() -> None:
        if server.should_exit:
            os._exit(1)
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    watcher = loop.create_task(_until_parent_ends(server)) if exit_with_parent else None
    serving = loop.create_task(server.serve([listener]))
    while not server.started and not serving.done():
        await asyncio.sleep(0.01)
    if server.started:
        host, port = listener.getsockname()[:2]
        ready = {"ready": True, "name": "input-api", "pid": os.getpid(), "endpoints": {"http": f"http://{host}:{port}"}}
        print(json.dumps(ready), flush=True)
    await serving
    if watcher is not None:
        watcher.cancel()
    return 0 if server.started else 1


async def _until_parent_ends(server: _Server) -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.read(4096):
        pass
    server.should_exit = True
