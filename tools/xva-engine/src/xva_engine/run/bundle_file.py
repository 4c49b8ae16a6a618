"""A task's output bundle: one tar, bundle.json first, the same bytes for the same content."""

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from xva_engine.contracts import Bundle, BundleFile
from xva_engine.run.errors import BadInputError

MANIFEST_NAME = "bundle.json"


@dataclass(frozen=True)
class OpenBundle:
    """A verified bundle: its description and the bytes of its files."""

    info: Bundle
    files: Mapping[str, bytes]
    sha256: str
    """Of the whole tar; empty for a bundle that was read from a folder."""


def bundle_name(bundle_id: str) -> str:
    """The file's name under `out`."""
    return f"bundle-{bundle_id}.tar"


def describe(files: Mapping[str, bytes], rows: Mapping[str, int]) -> list[BundleFile]:
    """Size, hash and row count of every file, in the bundle's order."""
    return [
        BundleFile(path=path, size=len(data), sha256=hashlib.sha256(data).hexdigest(), rows=rows.get(path))
        for path, data in sorted(files.items())
    ]


def write_bundle(out: Path, info: Bundle, files: Mapping[str, bytes]) -> Path:
    """Writes the tar under a temporary name and renames it, so that the uploader's wildcard never sees half of one."""
    final = out / bundle_name(info.bundle_id)
    temporary = out / f".{final.name}.tmp"
    entries = {MANIFEST_NAME: json.dumps(info.to_json(), indent=1, sort_keys=True).encode()}
    entries |= dict(sorted(files.items()))
    try:
        with temporary.open("wb") as raw, tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            for name, data in entries.items():
                header = tarfile.TarInfo(name)
                header.size = len(data)
                header.mode = 0o644
                tar.addfile(header, io.BytesIO(data))
        temporary.replace(final)
    finally:
        temporary.unlink(missing_ok=True)
    return final


def read_bundle(path: Path) -> OpenBundle:
    """Reads and verifies a bundle: a tar, a folder with an extracted one, or a folder that holds exactly one tar.

    Raises BadInputError naming the bundle and the entry that is missing, unexpected or other than bundle.json says.
    """
    if path.is_dir() and not (path / MANIFEST_NAME).is_file():
        found = sorted(path.glob("bundle-*.tar"))
        if len(found) != 1:
            raise BadInputError(f"{path}: holds {len(found)} bundles, one is needed")
        path = found[0]
    if path.is_dir():
        entries = {p.relative_to(path).as_posix(): p.read_bytes() for p in sorted(path.rglob("*")) if p.is_file()}
        digest = ""
    else:
        entries, digest = _read_tar(path)
    if next(iter(entries), None) != MANIFEST_NAME and digest:
        raise BadInputError(f"{path.name}: its first entry is not {MANIFEST_NAME}")
    try:
        info = Bundle.model_validate_json(entries.pop(MANIFEST_NAME))
    except ValidationError as error:
        raise BadInputError(f"{path.name}: {MANIFEST_NAME} is not valid: {error}") from None
    listed = {file.path: file for file in info.files}
    if digest and set(listed) != set(entries):
        odd = sorted(set(listed) ^ set(entries))
        raise BadInputError(f"{path.name}: entries and {MANIFEST_NAME} disagree on {', '.join(odd)}")
    for name, file in listed.items():
        data = entries.get(name)
        if data is None or len(data) != file.size or hashlib.sha256(data).hexdigest() != file.sha256:
            raise BadInputError(f"{path.name}: {name} is not what {MANIFEST_NAME} says")
    return OpenBundle(info, {name: entries[name] for name in listed}, digest)


def _read_tar(path: Path) -> tuple[dict[str, bytes], str]:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise BadInputError(f"{path}: the bundle is missing") from None
    entries: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
            for member in tar:
                content = tar.extractfile(member) if member.isreg() else None
                if content is None or member.name in entries:
                    raise BadInputError(f"{path.name}: entry {member.name} is no plain file or comes twice")
                entries[member.name] = content.read()
    except tarfile.TarError as error:
        raise BadInputError(f"{path.name}: not a tar file: {error}") from None
    return entries, hashlib.sha256(data).hexdigest()
