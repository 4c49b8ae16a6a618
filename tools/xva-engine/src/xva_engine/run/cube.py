"""The engine's cube of simulated trade values as a file: united over shards of one netting set, by trade.

Text under gzip: `# name : value` lines (`dates` and `ids` are lists of `# item` lines), one line of column names, then
`id,date,sample,depth,value` in the order of ids; values of zero are left out. Ids are in alphabetical order and a row
names its trade by position, so a union re-numbers. Read as streams: memory does not grow with the number of rows.
"""

import gzip
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from xva_engine.run.errors import BadInputError

CUBE_FILE = "cube.csv.gz"
SCENARIO_FILE = "scenariodata.csv.gz"
_COLUMNS = "#id,date,sample,depth,value"
_LEVEL = 6


@dataclass(frozen=True)
class _Header:
    """Lines before the ids (without the number of ids), the ids, lines after them."""

    before: tuple[str, ...]
    ids: tuple[str, ...]
    after: tuple[str, ...]


def merge_cubes(cubes: Sequence[tuple[str, bytes]]) -> bytes:
    """One cube file of all trades, the same bytes for the same cubes in any order.

    :param cubes: name (for messages) and file of each; no trade may be in two

    Raises BadInputError when a file is no cube, when two differ in dates, samples or simulation, or share a trade.
    """
    streams = [(name, io.TextIOWrapper(gzip.GzipFile(fileobj=io.BytesIO(data)), "ascii")) for name, data in cubes]
    try:
        headers = [_read_header(name, stream) for name, stream in streams]
        _check_same([name for name, _ in streams], headers)
        owners = sorted((trade, place) for place, header in enumerate(headers) for trade in header.ids)
        for (one, first), (other, second) in pairwise(owners):
            if one == other:
                raise BadInputError(f"{streams[first][0]} and {streams[second][0]} both hold trade {one}")
        groups = [
            _groups(name, stream, len(header.ids)) for (name, stream), header in zip(streams, headers, strict=True)
        ]
        target = io.BytesIO()
        with (
            gzip.GzipFile(fileobj=target, mode="wb", compresslevel=_LEVEL, mtime=0) as raw,
            io.TextIOWrapper(raw, "ascii", newline="\n") as out,
        ):
            out.writelines(_header_lines(headers[0], [trade for trade, _ in owners]))
            for index, (_, place) in enumerate(owners):
                out.writelines(f"{index},{rest}" for rest in next(groups[place]))
        for (name, _), rest in zip(streams, groups, strict=True):
            if next(rest, None) is not None:
                raise BadInputError(f"{name}: has rows of more trades than it lists")
        return target.getvalue()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise BadInputError(f"a cube is not readable: {error}") from None


def trades_of(name: str, data: bytes) -> tuple[str, ...]:
    """The trades that a cube file lists."""
    try:
        with io.TextIOWrapper(gzip.GzipFile(fileobj=io.BytesIO(data)), "ascii") as stream:
            return _read_header(name, stream).ids
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise BadInputError(f"{name}: the cube is not readable: {error}") from None


def readable_scenarios(name: str, data: bytes) -> bytes:
    """The engine's file of scenario data so that the engine reads it whole.

    Its reader (1.8.17) drops the first row after the header: one index on one path and date, and with it the interest
    on that path's collateral. The row comes twice here; a reader that does not drop it sets the same value again.
    """
    try:
        text = gzip.decompress(data).decode("ascii")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise BadInputError(f"{name}: the scenario data is not readable: {error}") from None
    lines = text.splitlines(keepends=True)
    first = next((place for place, line in enumerate(lines) if not line.startswith("#")), None)
    if first is None:
        return data
    return gzip.compress("".join([*lines[:first], lines[first], *lines[first:]]).encode("ascii"), _LEVEL, mtime=0)


def _read_header(name: str, stream: Iterator[str]) -> _Header:
    before: list[str] = []
    ids: list[str] = []
    after: list[str] = []
    section = ""
    for line in stream:
        text = line.rstrip("\n")
        if text == _COLUMNS:
            if ids != sorted(set(ids)):
                raise BadInputError(f"{name}: the cube's trades are not in order")
            return _Header(tuple(before), tuple(ids), tuple(after))
        if not text.startswith("# "):
            break
        key, colon, _ = text[2:].partition(":")
        if colon and key.endswith(" "):
            section = key.strip()
            if section not in ("numIds", "ids"):
                (after if ids else before).append(text)
        elif section == "ids":
            ids.append(text[2:].strip())
        else:
            (after if ids else before).append(text)
    raise BadInputError(f"{name}: not a cube file of the engine")


def _check_same(names: Sequence[str], headers: Sequence[_Header]) -> None:
    for name, header in zip(names[1:], headers[1:], strict=True):
        for ours, theirs in zip((headers[0].before, headers[0].after), (header.before, header.after), strict=True):
            if ours != theirs:
                odd = next((pair for pair in zip(ours, theirs, strict=False) if pair[0] != pair[1]), ("", ""))
                raise BadInputError(
                    f"{names[0]} and {name} are cubes of different simulations: `{odd[0][:120]}` and `{odd[1][:120]}`"
                )


def _header_lines(header: _Header, ids: Sequence[str]) -> Iterator[str]:
    first, *rest = header.before
    yield f"{first}\n"
    yield f"# numIds     : {len(ids)}\n"
    for line in rest:
        yield f"{line}\n"
    yield "# ids        : \n"
    for trade in ids:
        yield f"# {trade}\n"
    for line in header.after:
        yield f"{line}\n"
    yield f"{_COLUMNS}\n"


def _groups(name: str, stream: Iterator[str], count: int) -> Iterator[list[str]]:
    """The rows of each listed trade in turn, without their first field; none for a trade that is zero throughout."""
    expected = 0
    for key, lines in groupby(stream, key=lambda line: line.partition(",")[0]):
        if not key.isdigit() or int(key) < expected or int(key) >= count:
            raise BadInputError(f"{name}: the cube's rows are not in the order of its trades")
        for _ in range(expected, int(key)):
            yield []
        yield [line.partition(",")[2] for line in lines]
        expected = int(key) + 1
    for _ in range(expected, count):
        yield []
