"""`xva-engine table`: a result's table for people and scripts."""

import argparse
import csv
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from xva_engine.run.table_specs import TABLES_BY_NAME
from xva_engine.run.tables import Row


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the verb."""
    parser = subparsers.add_parser(
        "table",
        help="print a table of a result",
        description="Prints one table of a bundle; csv and json give every double to its last digit.",
    )
    parser.add_argument("--bundle", type=Path, required=True, help="a tar, or a folder with one")
    parser.add_argument("--table", choices=sorted(TABLES_BY_NAME), default="xva_netting_set")
    parser.add_argument("--format", choices=("table", "csv", "json"), default="table")


def execute(args: argparse.Namespace) -> int:
    """Runs the verb."""
    from xva_engine.run.bundle_file import read_bundle  # noqa: PLC0415
    from xva_engine.run.errors import BadInputError  # noqa: PLC0415
    from xva_engine.run.parquet import TableError, decode  # noqa: PLC0415

    spec = TABLES_BY_NAME[args.table]
    try:
        bundle = read_bundle(args.bundle)
        if spec.path not in bundle.files:
            raise BadInputError(f"bundle {bundle.info.bundle_id} has no table {spec.name}")
        rows = decode(spec, bundle.files[spec.path]).to_pylist()
    except (BadInputError, TableError, OSError) as error:
        print(f"badInput: {error}", file=sys.stderr)
        return 10
    try:
        _write(args.format, [column.name for column in spec.columns], rows)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _write(form: str, names: Sequence[str], rows: Sequence[Row]) -> None:
    if form == "json":
        plain = [{name: _json(row[name]) for name in names} for row in rows]
        print(json.dumps(plain, indent=1))
    elif form == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([_exact(row[name]) for name in names] for row in rows)
    else:
        shown = [name for name in names if name not in ("runId", "taskId")]
        _print(shown, [[_rounded(row[name]) for name in shown] for row in rows])


def _json(cell: object) -> object:
    return cell if cell is None or isinstance(cell, bool | int | float | str) else str(cell)


def _exact(cell: object) -> str:
    return "" if cell is None else repr(cell) if isinstance(cell, float) else str(cell)


def _rounded(cell: object) -> str:
    return "-" if cell is None else f"{cell:,.2f}" if isinstance(cell, float) else str(cell)


def _print(names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(name), *(len(row[index]) for row in rows), 0) for index, name in enumerate(names)]
    for line in [names, *rows]:
        print("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
