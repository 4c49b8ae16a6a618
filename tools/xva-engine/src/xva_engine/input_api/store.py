"""Packages on disk: manifests by package id, parts by content hash, the oldest dropped when the folder is full."""

import fcntl
import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from xva_engine.contracts import sha256_hex
from xva_engine.generate.package import Package

_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)


class NotStoredError(LookupError):
    """Thrown when an object cannot be had; `code` says which way, and posting the request again brings it back."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class PackageStore:
    """A bounded cache that several processes may use at once: files appear whole, by renaming, or not at all."""

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self._packages = folder / "packages"
        self._objects = folder / "objects"
        self._lock = folder / "lock"
        self._most_bytes = most_bytes
        self._sizes_of = lru_cache(maxsize=256)(_part_sizes)
        for path in (self._packages, self._objects):
            path.mkdir(parents=True, exist_ok=True)

    def put(self, package: Package) -> None:
        """Stores the parts that are not there yet, then the manifest; what was used longest ago goes if need be."""
        kept = {self._packages / package.package_id}
        written = False
        for content in package.files.values():
            path = self._objects / sha256_hex(content)
            kept.add(path)
            written |= _put(path, content)
        written |= _put(self._packages / package.package_id, package.manifest_bytes)
        if written:
            self._evict(kept)

    def open(self, package_id: str, object_hash: str) -> tuple[BinaryIO, int]:
        """An open file and its size; raises NotStoredError. The file stays readable when it is dropped meanwhile."""
        if _HASH.fullmatch(package_id) is None or _HASH.fullmatch(object_hash) is None:
            raise NotStoredError("object-not-in-package", "package id and object hash are 64 lower-case hex digits")
        try:
            manifest = (self._packages / package_id).read_bytes()
        except FileNotFoundError:
            raise NotStoredError(
                "package-not-cached", f"package {package_id} is not cached: post the request again"
            ) from None
        size = self._sizes_of(manifest).get(object_hash)
        if size is None:
            raise NotStoredError("object-not-in-package", f"package {package_id} has no object {object_hash}")
        path = self._objects / object_hash
        try:
            file = path.open("rb")
        except FileNotFoundError:
            raise NotStoredError(
                "object-not-cached", f"object {object_hash} is not cached: post the request again"
            ) from None
        if os.fstat(file.fileno()).st_size != size:  # what a power cut can leave behind
            file.close()
            path.unlink(missing_ok=True)
            raise NotStoredError("object-not-cached", f"object {object_hash} was damaged: post the request again")
        return file, size

    def total_bytes(self) -> int:
        """Size of all that is stored."""
        return sum(size for _, _, size in self._entries())

    def _entries(self) -> Iterator[tuple[int, Path, int]]:
        for folder in (self._packages, self._objects):
            for entry in os.scandir(folder):
                try:
                    status = entry.stat()
                except FileNotFoundError:
                    continue
                yield status.st_mtime_ns, Path(entry.path), status.st_size

    def _evict(self, kept: Iterable[Path]) -> None:
        protected = set(kept)
        with self._locked():
            entries = sorted(self._entries())
            excess = sum(size for _, _, size in entries) - self._most_bytes
            for _, path, size in entries:
                if excess <= 0:
                    return
                if path not in protected:
                    path.unlink(missing_ok=True)
                    excess -= size

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._lock.open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _part_sizes(manifest: bytes) -> dict[str, int]:
    return {part["sha256"]: part["size"] for part in json.loads(manifest)["parts"]}


def _put(path: Path, content: bytes) -> bool:
    """True if the file was not there."""
    try:
        if path.stat().st_size == len(content):
            os.utime(path)
            return False
    except FileNotFoundError:
        pass
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return True
