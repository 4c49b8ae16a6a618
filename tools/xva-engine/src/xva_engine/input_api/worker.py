"""A generator process: reads requests from stdin, stores packages, answers on stdout. It ends when stdin closes.

Every message is four bytes of length and the bytes. The first byte of an answer says what it is: `P` a manifest, `R` a
problem, `E` the text of an unexpected error; the first answer is `S`, started.
"""

import os
import sys
import traceback
from pathlib import Path
from typing import BinaryIO

from xva_engine.generate.package import PackageRefusedError, generate
from xva_engine.generate.request import parse_request
from xva_engine.input_api.store import PackageStore


def answer(content: bytes, store: PackageStore) -> bytes:
    """The answer to one request."""
    try:
        package = generate(parse_request(content))
        store.put(package)
    except PackageRefusedError as error:
        return b"R" + error.problem().model_dump_json(by_alias=True, exclude_unset=True).encode()
    except Exception:
        return b"E" + traceback.format_exc().encode()
    return b"P" + package.manifest_bytes


def _read(stream: BinaryIO) -> bytes | None:
    head = stream.read(4)
    return stream.read(int.from_bytes(head, "big")) if len(head) == 4 else None


def _write(stream: BinaryIO, content: bytes) -> None:
    stream.write(len(content).to_bytes(4, "big") + content)
    stream.flush()


def main() -> None:
    """`python -m xva_engine.input_api.worker FOLDER MOST_BYTES`."""
    store = PackageStore(Path(sys.argv[1]), int(sys.argv[2]))
    # The engine's library may print; what it prints must not get between the messages.
    with os.fdopen(os.dup(1), "wb") as output:
        os.dup2(2, 1)
        _write(output, b"S")
        while (content := _read(sys.stdin.buffer)) is not None:
            _write(output, answer(content, store))


if __name__ == "__main__":
    main()
