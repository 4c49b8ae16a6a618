"""A generator process: reads requests from stdin, stores packages, answers on stdout. It ends when stdin closes.

Every message is four bytes of length and the bytes. The first byte of an answer says what it is: `P` a manifest, `R` a
problem, `L` a limit that was passed (JSON: code and detail), `E` the text of an unexpected error; the first answer is
`S`, started.
"""

import json
import os
import resource
import sys
import traceback
from pathlib import Path
from typing import Any, BinaryIO

from xva_engine.generate.package import PackageRefusedError, generate
from xva_engine.generate.request import RequestLimits, TooMuchError, parse_request
from xva_engine.generate.snapshots import SnapshotFolder
from xva_engine.input_api.store import PackageStore


class Worker:
    """What a generator process is told when it starts: the `PoolSettings` that concern it."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._store = PackageStore(Path(settings["folder"]), settings["most_bytes"])
        self._snapshots = SnapshotFolder(Path(settings["snapshots"]))
        self._limits = RequestLimits(settings["most_trades"], settings["most_values"])

    def answer(self, content: bytes) -> bytes:
        """The answer to one request."""
        try:
            package = generate(parse_request(content, self._limits), snapshots=self._snapshots)
            self._store.put(package)
        except PackageRefusedError as error:
            return b"R" + error.problem().model_dump_json(by_alias=True, exclude_unset=True).encode()
        except TooMuchError as error:
            return _limit(error.code, str(error))
        except MemoryError:
            return _limit("too-much-memory", _NO_MEMORY)
        except BaseException as error:
            if type(error).__name__ == "PanicException":  # of the JSON reader, when an allocation fails in it
                return _limit("too-much-memory", _NO_MEMORY)
            if not isinstance(error, Exception):
                raise
            return b"E" + traceback.format_exc().encode()
        return b"P" + package.manifest_bytes


_NO_MEMORY = "the request needs more memory than a generator process may use: split the book, or raise the limit"


def _limit(code: str, detail: str) -> bytes:
    return b"L" + json.dumps({"code": code, "detail": detail}).encode()


def _read(stream: BinaryIO) -> bytes | None:
    head = stream.read(4)
    return stream.read(int.from_bytes(head, "big")) if len(head) == 4 else None


def _write(stream: BinaryIO, content: bytes) -> None:
    stream.write(len(content).to_bytes(4, "big") + content)
    stream.flush()


def main() -> None:
    """`python -m xva_engine.input_api.worker SETTINGS`, the settings as JSON."""
    settings = json.loads(sys.argv[1])
    most = settings["most_worker_mib"] * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    worker = Worker(settings)
    # The engine's library may print; what it prints must not get between the messages.
    with os.fdopen(os.dup(1), "wb") as output:
        os.dup2(2, 1)
        _write(output, b"S")
        while (content := _read(sys.stdin.buffer)) is not None:
            _write(output, worker.answer(content))


if __name__ == "__main__":
    main()
