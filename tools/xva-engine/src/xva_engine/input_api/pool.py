"""Generator processes: a request gets one of them for a limited time, and one that overstays is killed and replaced."""

import asyncio
import contextlib
import json
import signal
import sys
from dataclasses import dataclass
from pathlib import Path


class BusyError(RuntimeError):
    """Thrown when every process is at work and enough requests wait already."""


class TooSlowError(RuntimeError):
    """Thrown when a request took longer than it may; its process is gone."""


class DiedError(RuntimeError):
    """Thrown when a process ended in the middle of a request."""


class MemoryLimitError(RuntimeError):
    """Thrown when a process gave up for want of memory: the request would do that again."""


@dataclass(frozen=True)
class PoolSettings:
    """`most_waiting` requests wait for a process at most; `time_limit_seconds` covers waiting and generating.

    A process may use `most_worker_mib` of memory; a request has at most `most_trades` and `most_values` (quotes and
    fixings). `snapshots` holds market snapshots.
    """

    folder: Path
    most_bytes: int
    workers: int
    most_waiting: int
    time_limit_seconds: float
    snapshots: Path
    most_worker_mib: int = 4096
    most_trades: int = 20_000
    most_values: int = 500_000


class WorkerPool:
    """Starts its processes with `start`; `generate` hands a request to one of them."""

    def __init__(self, settings: PoolSettings) -> None:
        self._settings = settings
        self._idle: asyncio.Queue[asyncio.subprocess.Process] = asyncio.Queue()
        self._alive: set[asyncio.subprocess.Process] = set()
        self._replacing: set[asyncio.Task[None]] = set()
        self._waiting = 0
        self._stopped = False

    @property
    def ready(self) -> bool:
        """Whether at least one process can take a request, now or once it is done with another."""
        return bool(self._alive) and not self._stopped

    @property
    def full(self) -> bool:
        """Whether one more request would be turned away."""
        return self._waiting >= self._settings.most_waiting

    @property
    def waiting(self) -> int:
        """Requests that wait for a process."""
        return self._waiting

    @property
    def alive(self) -> int:
        """Processes that are up."""
        return len(self._alive)

    @property
    def busy(self) -> int:
        """Processes at work."""
        return len(self._alive) - self._idle.qsize()

    async def start(self) -> None:
        """Starts all processes; raises DiedError if one does not come up."""
        await asyncio.gather(*(self._add() for _ in range(self._settings.workers)))

    async def stop(self) -> None:
        """Ends all processes."""
        self._stopped = True
        for task in self._replacing:
            task.cancel()
        for process in list(self._alive):
            await self._kill(process)

    async def generate(self, content: bytes) -> bytes:
        """The answer of a process, see `worker`; raises BusyError, TooSlowError, MemoryLimitError or DiedError."""
        if self.full:
            raise BusyError(f"{self._waiting} requests are waiting")
        deadline = asyncio.get_running_loop().time() + self._settings.time_limit_seconds
        self._waiting += 1
        try:
            async with asyncio.timeout_at(deadline):
                process = await self._idle.get()
        except TimeoutError:
            raise BusyError(f"no process was free in {self._settings.time_limit_seconds} s") from None
        finally:
            self._waiting -= 1
        try:
            async with asyncio.timeout_at(deadline):
                result = await _exchange(process, content)
        except BaseException as error:
            if isinstance(error, asyncio.IncompleteReadError | ConnectionError):
                with contextlib.suppress(TimeoutError):  # its own end, if it ended, tells why
                    await asyncio.wait_for(process.wait(), 1.0)
            await self._replace(process)
            if isinstance(error, TimeoutError):
                limit = self._settings.time_limit_seconds
                raise TooSlowError(f"the package was not ready in {limit} s") from error
            if isinstance(error, asyncio.IncompleteReadError | ConnectionError):
                if process.returncode == -signal.SIGABRT:  # how native code ends when an allocation fails
                    raise MemoryLimitError("the request needs more memory than a generator process may use") from error
                raise DiedError("the generator process ended") from error
            raise
        self._idle.put_nowait(process)
        return result

    async def _add(self) -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "xva_engine.input_api.worker",
            json.dumps(
                {
                    "folder": str(self._settings.folder),
                    "most_bytes": self._settings.most_bytes,
                    "snapshots": str(self._settings.snapshots),
                    "most_worker_mib": self._settings.most_worker_mib,
                    "most_trades": self._settings.most_trades,
                    "most_values": self._settings.most_values,
                }
            ),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        self._alive.add(process)
        try:
            started = await _receive(process)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            await self._kill(process)
            raise DiedError("a generator process did not start") from error
        if started != b"S":
            await self._kill(process)
            raise DiedError("a generator process said something else than that it started")
        self._idle.put_nowait(process)

    async def _replace(self, process: asyncio.subprocess.Process) -> None:
        await self._kill(process)
        if not self._stopped:
            task = asyncio.create_task(self._add())
            self._replacing.add(task)
            task.add_done_callback(self._replacing.discard)

    async def _kill(self, process: asyncio.subprocess.Process) -> None:
        self._alive.discard(process)
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _receive(process: asyncio.subprocess.Process) -> bytes:
    if process.stdout is None:
        raise DiedError("a generator process has no output")
    size = int.from_bytes(await process.stdout.readexactly(4), "big")
    return await process.stdout.readexactly(size)


async def _exchange(process: asyncio.subprocess.Process, content: bytes) -> bytes:
    if process.stdin is None:
        raise DiedError("a generator process has no input")
    process.stdin.write(len(content).to_bytes(4, "big") + content)
    await process.stdin.drain()
    return await _receive(process)
