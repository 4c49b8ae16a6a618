"""Two results, cell by cell. Pure."""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from xva_engine.run.table_specs import PROVENANCE, TableSpec
from xva_engine.run.tables import Row

Cell = object


@dataclass(frozen=True)
class CellDifference:
    """A cell, or a whole row (`column` empty), that one side has otherwise or not at all."""

    table: str
    key: tuple[str, ...]
    column: str
    left: Cell
    right: Cell


@dataclass(frozen=True)
class TableComparison:
    """`cells` counts what was compared; `differences` is complete."""

    table: str
    rows_left: int
    rows_right: int
    cells: int
    differences: tuple[CellDifference, ...]


def compare_rows(spec: TableSpec, left: Sequence[Row], right: Sequence[Row], tolerance: float = 0.0) -> TableComparison:
    """Compares by key, leaving out the columns that say which task made a row, and timings.

    With tolerance 0 doubles must have the same bits; else `|a - b| <= tolerance * max(1, |a|, |b|)`.
    """
    columns = [c.name for c in spec.columns if not c.volatile and c.name not in PROVENANCE and c.name not in spec.key]
    by_key_left, by_key_right = _keyed(spec, left), _keyed(spec, right)
    differences = []
    cells = 0
    for key in sorted(by_key_left.keys() | by_key_right.keys()):
        ours, theirs = by_key_left.get(key), by_key_right.get(key)
        if ours is None or theirs is None or len(ours) != len(theirs):
            differences.append(CellDifference(spec.name, key, "", len(ours or ()), len(theirs or ())))
            continue
        for one, other in zip(ours, theirs, strict=True):
            cells += len(columns)
            differences += [
                CellDifference(spec.name, key, name, one[name], other[name])
                for name in columns
                if not _equal(one[name], other[name], tolerance)
            ]
    return TableComparison(spec.name, len(left), len(right), cells, tuple(differences))


def _keyed(spec: TableSpec, rows: Sequence[Row]) -> Mapping[tuple[str, ...], list[Row]]:
    keyed: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        keyed.setdefault(tuple("" if row[name] is None else str(row[name]) for name in spec.key), []).append(row)
    return keyed


def _equal(left: Cell, right: Cell, tolerance: float) -> bool:
    if isinstance(left, float) and isinstance(right, float):
        if struct.pack("<d", left) == struct.pack("<d", right):
            return True
        return tolerance > 0 and abs(left - right) <= tolerance * max(1.0, abs(left), abs(right))
    return left == right
