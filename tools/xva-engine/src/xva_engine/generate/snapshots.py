"""Market snapshots: quotes and fixings under a name and an as-of date, in files that never change."""

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from xva_engine.contracts import Contract, Fixing, MarketSnapshotRef, Quote, canonical_hash
from xva_engine.generate.defects import Defect, sentence_of
from xva_engine.generate.needs import parse_number
from xva_engine.generate.past import FixingBook


class SnapshotContent(Contract):
    """What a snapshot's file and an upload hold."""

    quotes: Annotated[list[Quote], Field(max_length=1_000_000)]
    fixings: Annotated[list[Fixing], Field(max_length=1_000_000)]


@dataclass(frozen=True)
class Snapshot:
    """A snapshot, its values sorted; `sha256` is of the sorted values, whatever the order and layout of the file."""

    name: str
    as_of: str
    sha256: str
    quotes: list[Quote]
    fixings: list[Fixing]


class SnapshotRefusedError(ValueError):
    """Thrown when there is no such snapshot, it is another, or it cannot be read; `code` says which."""

    def __init__(self, defects: list[Defect]) -> None:
        super().__init__("; ".join(defect.sentence for defect in defects[:20]))
        self.defects = defects


class SnapshotExistsError(ValueError):
    """Thrown when a snapshot of that name has other content: a snapshot never changes."""


class SnapshotFolder:
    """Snapshots as files `<as-of date>/<name>.json`; a bank may put its own files there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, as_of: str, wanted: MarketSnapshotRef) -> Snapshot:
        """The snapshot; raises SnapshotRefusedError."""
        try:
            content = self._path(as_of, wanted.name).read_bytes()
        except FileNotFoundError:
            there = ", ".join(self.names(as_of)[:10]) or "none"
            message = f"there is no market snapshot {wanted.name} of {as_of} (there: {there})"
            raise SnapshotRefusedError([Defect(wanted.name, "unknown-snapshot", message)]) from None
        found = read_snapshot(as_of, wanted.name, content)
        if wanted.sha256 is not None and wanted.sha256 != found.sha256:
            message = f"market snapshot {wanted.name} of {as_of} has the hash {found.sha256}, not {wanted.sha256}"
            raise SnapshotRefusedError([Defect(wanted.name, "snapshot-mismatch", message)])
        return found

    def put(self, as_of: str, name: str, content: bytes) -> tuple[Snapshot, bool]:
        """Stores a snapshot once; the second value is False if it was there with the same content.

        Raises SnapshotRefusedError for content that is none, SnapshotExistsError if the name is taken by another.
        """
        snapshot = read_snapshot(as_of, name, content)
        path = self._path(as_of, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.link(temporary, path)  # fails if it is there, also when two uploads meet
        except FileExistsError:
            there = self.find(as_of, MarketSnapshotRef(name=name))
            if there.sha256 != snapshot.sha256:
                message = f"market snapshot {name} of {as_of} is there already, with the hash {there.sha256}"
                raise SnapshotExistsError(message) from None
            return there, False
        finally:
            Path(temporary).unlink(missing_ok=True)
        return snapshot, True

    def names(self, as_of: str) -> list[str]:
        """Names of the snapshots of a date, sorted."""
        return sorted(path.stem for path in (self._folder / as_of).glob("[!.]*.json"))

    def _path(self, as_of: str, name: str) -> Path:
        return self._folder / as_of / f"{name}.json"


def read_snapshot(as_of: str, name: str, content: bytes) -> Snapshot:
    """Raises SnapshotRefusedError for bytes that are no snapshot, values that are no numbers and contradictions."""
    try:
        found = SnapshotContent.model_validate_json(content)
    except ValidationError as error:
        raise SnapshotRefusedError(
            [
                Defect(
                    name,
                    "bad-snapshot",
                    f"market snapshot {name} of {as_of}: {'.'.join(str(step) for step in fault['loc']) or '$'} "
                    f"{sentence_of(fault['type'], fault['msg'], fault['input'])}",
                )
                for fault in error.errors(include_url=False, include_context=False)[:100]
            ]
        ) from error
    defects = _quote_defects(found.quotes) + FixingBook(found.fixings).contradictions()
    if defects:
        raise SnapshotRefusedError(defects)
    quotes = sorted(set(found.quotes), key=lambda quote: (quote.key, quote.value))
    fixings = sorted(set(found.fixings), key=lambda fixing: (fixing.index, fixing.date, fixing.value))
    rows = [[[quote.key, quote.value] for quote in quotes], [[f.index, f.date, f.value] for f in fixings]]
    return Snapshot(name, as_of, canonical_hash(rows), quotes, fixings)


def _quote_defects(quotes: list[Quote]) -> list[Defect]:
    values: dict[str, str] = {}
    defects = []
    for quote in quotes:
        number = parse_number(quote.value)
        if number is None:
            defects.append(Defect(quote.key, "bad-quote", f"quote {quote.key} is no number: {quote.value!r}"))
        elif number != parse_number(values.setdefault(quote.key, quote.value)):
            message = f"quote {quote.key} has several values: {values[quote.key]}, {quote.value}"
            defects.append(Defect(quote.key, "duplicate-quote", message))
    return defects[:1000]


def snapshot_file(quotes: dict[str, str], fixings: list[tuple[str, str, str]]) -> bytes:
    """The content of a snapshot's file; fixings are index, date and value."""
    return json.dumps(
        {
            "quotes": [{"key": key, "value": value} for key, value in sorted(quotes.items())],
            "fixings": [{"index": index, "date": day, "value": value} for index, day, value in sorted(fixings)],
        }
    ).encode()
