"""`xva-engine compare`: whether two results hold the same numbers."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from xva_engine.run.table_specs import ERROR_BARS, STAGE_PACKAGE, TABLES

if TYPE_CHECKING:
    from xva_engine.run.bundle_file import OpenBundle
    from xva_engine.run.comparison import TableComparison
    from xva_engine.run.tables import Row

_MOST_DIFFERENCES = 20


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the verb."""
    parser = subparsers.add_parser(
        "compare",
        help="compare two results to the last digit",
        description="Compares the tables of two bundles (tar, or folder with one) by id. "
        "Exit codes: 0 equal, 1 different, 2 usage, 10 a bundle is not readable.",
    )
    parser.add_argument("--left", type=Path, required=True)
    parser.add_argument("--right", type=Path, required=True)
    parser.add_argument(
        "--tolerance", type=float, default=0.0, help="|a-b| <= T*max(1,|a|,|b|); default: the same bits"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def execute(args: argparse.Namespace) -> int:
    """Runs the verb."""
    from xva_engine.run.bundle_file import read_bundle  # noqa: PLC0415
    from xva_engine.run.comparison import compare_rows  # noqa: PLC0415
    from xva_engine.run.errors import BadInputError  # noqa: PLC0415
    from xva_engine.run.parquet import TableError, decode  # noqa: PLC0415

    try:
        left, right = read_bundle(args.left), read_bundle(args.right)
        results = []
        both = (left, right)
        asked = [ERROR_BARS] if any(ERROR_BARS.path in bundle.files for bundle in both) else []
        for spec in (*TABLES, *asked):
            sides = [_table_bytes(bundle, spec.path) for bundle in both]
            tables = [_comparable(decode(spec, data).to_pylist()) for data in sides]
            results.append(compare_rows(spec, tables[0], tables[1], args.tolerance))
    except (BadInputError, TableError, OSError) as error:
        print(f"badInput: {error}", file=sys.stderr)
        return 10
    differences = sum(len(result.differences) for result in results)
    if args.json:
        print(json.dumps(_as_json(results, differences), indent=1))
    else:
        _print(results, differences)
    return 0 if differences == 0 else 1


def _comparable(rows: "list[Row]") -> "list[Row]":
    """Without what the package's generator refused: the merge tells it, a shard does not know it."""
    return [row for row in rows if row.get("stage") != STAGE_PACKAGE]


def _table_bytes(bundle: "OpenBundle", path: str) -> bytes:
    from xva_engine.run.errors import BadInputError  # noqa: PLC0415

    data = bundle.files.get(path)
    if data is None:
        raise BadInputError(f"bundle {bundle.info.bundle_id} has no {path}")
    return data


def _as_json(results: "list[TableComparison]", differences: int) -> dict[str, object]:
    return {
        "equal": differences == 0,
        "differences": differences,
        "cells": sum(result.cells for result in results),
        "tables": [
            {
                "table": result.table,
                "rowsLeft": result.rows_left,
                "rowsRight": result.rows_right,
                "cells": result.cells,
                "differences": len(result.differences),
                "first": [
                    {"key": d.key, "column": d.column, "left": _plain(d.left), "right": _plain(d.right)}
                    for d in result.differences[:_MOST_DIFFERENCES]
                ],
            }
            for result in results
        ],
    }


def _plain(cell: object) -> object:
    return cell if cell is None or isinstance(cell, bool | int | float | str) else str(cell)


def _print(results: "list[TableComparison]", differences: int) -> None:
    for result in results:
        counts = (
            f"{result.rows_left} rows"
            if result.rows_left == result.rows_right
            else (f"{result.rows_left} against {result.rows_right} rows")
        )
        print(f"{result.table}: {counts}, {result.cells} cells, {len(result.differences)} differences")
        for one in result.differences[:_MOST_DIFFERENCES]:
            where = "/".join(one.key)
            if one.column:
                print(f"  {where} {one.column}: {one.left!r} | {one.right!r}")
            else:
                print(f"  {where}: {one.left} rows | {one.right} rows")
    print("equal" if differences == 0 else f"{differences} differences")
