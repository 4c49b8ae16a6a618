"""Tables to Parquet bytes and back. pyarrow is imported on first use: it costs 0.1 s."""

import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from xva_engine.run.table_specs import TableSpec
from xva_engine.run.tables import Row

if TYPE_CHECKING:
    import pyarrow as pa


class TableError(ValueError):
    """A table is not what its spec says: a column, a type, a null or a number that is none."""


def arrow_schema(spec: TableSpec) -> "pa.Schema":
    """The table's Arrow schema."""
    import pyarrow as pa  # noqa: PLC0415

    types = {
        "string": pa.string(),
        "double": pa.float64(),
        "int64": pa.int64(),
        "date": pa.date32(),
        "bool": pa.bool_(),
    }
    return pa.schema([pa.field(c.name, types[c.type], nullable=c.nullable) for c in spec.columns])


def to_arrow(spec: TableSpec, rows: Sequence[Row]) -> "pa.Table":
    """Rows in the order of the table's key. Raises TableError for a missing cell, a null or a number that is none."""
    import pyarrow as pa  # noqa: PLC0415

    ordered = sorted(rows, key=lambda row: tuple(_sortable(row[name]) for name in spec.key))
    schema = arrow_schema(spec)
    arrays = []
    for column in spec.columns:
        cells = [row[column.name] for row in ordered]
        if not column.nullable and any(cell is None for cell in cells):
            raise TableError(f"table {spec.name}: column {column.name} has an empty cell")
        if column.type == "double" and not all(cell is None or math.isfinite(cell) for cell in cells):
            raise TableError(f"table {spec.name}: column {column.name} holds something that is no number")
        arrays.append(pa.array(cells, type=schema.field(column.name).type))
    return pa.Table.from_arrays(arrays, schema=schema)


def encode(table: "pa.Table") -> bytes:
    """Parquet with zstd; the same table gives the same bytes."""
    import pyarrow.parquet as pq  # noqa: PLC0415

    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd", use_dictionary=[f.name for f in table.schema if f.type == "string"])
    return sink.getvalue()


def decode(spec: TableSpec, data: bytes) -> "pa.Table":
    """Reads a table; raises TableError for other columns than the spec's, a null or a number that is none."""
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        # Not read_table, and no pyarrow.compute below: importing what they stand on costs a merge 0.05 s.
        table = pq.ParquetFile(io.BytesIO(data)).read()
    except (pa.ArrowInvalid, OSError) as error:
        raise TableError(f"table {spec.name}: not readable as Parquet: {error}") from None
    if not table.schema.equals(arrow_schema(spec), check_metadata=False):
        raise TableError(f"table {spec.name}: its columns are not those of this version")
    for column in spec.columns:
        cells = table.column(column.name)
        if not column.nullable and cells.null_count:
            raise TableError(f"table {spec.name}: column {column.name} has an empty cell")
        if column.type == "double" and not all(cell is None or math.isfinite(cell) for cell in cells.to_pylist()):
            raise TableError(f"table {spec.name}: column {column.name} holds something that is no number")
    return table


def _sortable(cell: object) -> str:
    return "" if cell is None else str(cell)
