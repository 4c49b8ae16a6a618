"""Rows, Parquet, bundles and their comparison."""

import io
import json
import math
import struct
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.run.worlds import clean_world
from xva_engine.cli import main
from xva_engine.contracts import Bundle
from xva_engine.run.acceptance import Defect, accept
from xva_engine.run.bundle_file import describe, read_bundle, write_bundle
from xva_engine.run.comparison import compare_rows
from xva_engine.run.engine_info import engine_info
from xva_engine.run.errors import BadInputError
from xva_engine.run.parquet import TableError, decode, encode, to_arrow
from xva_engine.run.table_specs import EXPOSURE_PROFILE, NPV, TABLES, XVA_NETTING_SET, TableSpec
from xva_engine.run.tables import Row, build_rows

OWN = {"runId": "xva-20260930-unit-abcdefghijklmn", "taskId": "shard-0001"}
IDS = ("11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222")


def rows_of_a_clean_run() -> dict[str, list[Row]]:
    world = clean_world()
    reports = world.reports()
    defects = [Defect("Z", None, "missing-netting-definition", "none")]
    rows = build_rows(reports, accept(reports, [], world.expected), world.expected, defects)
    return {name: [{**row, **OWN} for row in table] for name, table in rows.items()}


def encoded(rows: dict[str, list[Row]]) -> dict[str, bytes]:
    return {spec.path: encode(to_arrow(spec, rows[spec.name])) for spec in TABLES}


def bundle_of(out: Path, bundle_id: str, rows: dict[str, list[Row]], **change: Any) -> Path:
    out.mkdir(exist_ok=True)
    files = encoded(rows)
    info = Bundle(
        schema_version="1.0",
        bundle_id=bundle_id,
        kind="shard",
        run_id=OWN["runId"],
        event_id="a" * 32,
        attempt=1,
        task_id="shard-0001",
        package_id="c" * 64,
        shared_input_hash="d" * 64,
        netting_sets=["A", "B"],
        rejections=[],
        warnings=[],
        engine=engine_info("1"),
        files=describe(files, {}),
        inputs=[],
        timings={},
    )
    return write_bundle(out, info.model_copy(update=change), files)


def test_rows_hold_what_the_reports_say() -> None:
    rows = rows_of_a_clean_run()
    assert [row["tradeId"] for row in rows["npv"]] == ["T1", "T2", "T3"]
    by_set = {row["nettingSetId"]: row for row in rows["xva_netting_set"]}
    assert by_set["A"]["npv"] == 201.0
    assert by_set["A"]["fva"] == by_set["A"]["fba"] - by_set["A"]["fca"] == -1.0
    assert by_set["A"]["colva"] is None, "the engine's zero without a CSA is no COLVA"
    assert by_set["B"]["colva"] == 0.5
    assert by_set["A"]["peakPfe"] == 22.0
    assert by_set["A"]["trades"] == 2
    assert "colva" not in rows["xva_trade"][0]
    collateral = {(r["scope"], r["id"]): r["expectedCollateral"] for r in rows["exposure_profile"]}
    assert collateral == {
        ("nettingSet", "A"): None,
        ("nettingSet", "B"): 2.0,
        ("trade", "T1"): None,
        ("trade", "T2"): None,
        ("trade", "T3"): None,
    }
    assert rows["rejections"][0]["stage"] == "engine"


def test_rejected_sets_are_in_no_table() -> None:
    world = clean_world()
    world.error("no", tradeId="T3")
    reports = world.reports()
    verdict = accept(reports, world.log, world.expected)
    rows = build_rows(reports, verdict, world.expected, verdict.defects)
    for name, table in rows.items():
        assert {row["nettingSetId"] for row in table} == ({"B"} if name == "rejections" else {"A"}), name


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=5, max_size=5))
def test_doubles_keep_every_bit(values: list[float]) -> None:
    (row,) = (r for r in rows_of_a_clean_run()["xva_netting_set"] if r["nettingSetId"] == "A")
    names = ("npv", "cva", "dva", "fba", "fca")
    row |= dict(zip(names, values, strict=True))
    (back,) = decode(XVA_NETTING_SET, encode(to_arrow(XVA_NETTING_SET, [row]))).to_pylist()
    assert [struct.pack("<d", back[name]) for name in names] == [struct.pack("<d", value) for value in values]


def test_the_same_rows_in_any_order_give_the_same_bytes() -> None:
    rows = rows_of_a_clean_run()
    assert encoded(rows) == encoded({name: table[::-1] for name, table in rows.items()})


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_no_hole_and_no_nan_reaches_a_table(value: float | None) -> None:
    row = rows_of_a_clean_run()["xva_netting_set"][0] | {"cva": value}
    with pytest.raises(TableError, match="column cva"):
        to_arrow(XVA_NETTING_SET, [row])


def test_a_table_of_other_columns_is_refused() -> None:
    with pytest.raises(TableError, match="columns are not those"):
        decode(NPV, encoded(rows_of_a_clean_run())[XVA_NETTING_SET.path])
    with pytest.raises(TableError, match="not readable"):
        decode(NPV, b"nonsense")


def test_a_bundle_has_its_description_first_and_no_time_in_it(tmp_path: Path) -> None:
    rows = rows_of_a_clean_run()
    path = bundle_of(tmp_path, IDS[0], rows)
    first = path.read_bytes()
    assert bundle_of(tmp_path, IDS[0], rows).read_bytes() == first
    with tarfile.open(path) as tar:
        members = tar.getmembers()
    assert members[0].name == "bundle.json"
    assert {(m.mtime, m.uid, m.gid, m.uname, m.mode) for m in members} == {(0, 0, 0, "", 0o644)}
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert set(read_bundle(path).files) == {spec.path for spec in TABLES}


def test_a_bundle_with_something_else_in_it_is_refused(tmp_path: Path) -> None:
    path = bundle_of(tmp_path, IDS[0], rows_of_a_clean_run())
    with tarfile.open(path, "a") as tar:
        extra = tarfile.TarInfo("../evil")
        extra.size = 1
        tar.addfile(extra, io.BytesIO(b"x"))
    with pytest.raises(BadInputError, match=r"disagree on \.\./evil"):
        read_bundle(path)


@pytest.mark.parametrize("data", [b"", b"not a tar", b"\0" * 2048])
def test_what_is_no_bundle_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "bundle-x.tar"
    path.write_bytes(data)
    with pytest.raises(BadInputError, match=r"bundle-x\.tar"):
        read_bundle(path)


def changed(table: str, index: int, **cells: Any) -> dict[str, list[Row]]:
    rows = rows_of_a_clean_run()
    rows[table][index] |= cells
    return rows


def compare(left: Path, right: Path, *more: str) -> int:
    return main(["compare", "--left", str(left), "--right", str(right), *more])


def test_equal_results_compare_equal_whoever_made_them(tmp_path: Path) -> None:
    other = {
        name: [
            {**row, "taskId": "merge"} | ({"cumulativeMicros": 1} if name == "pricing_stats" else {}) for row in table
        ]
        for name, table in rows_of_a_clean_run().items()
    }
    one = bundle_of(tmp_path / "l", IDS[0], rows_of_a_clean_run())
    bundle_of(tmp_path / "r", IDS[1], other)
    assert compare(one, tmp_path / "r") == 0


def test_the_last_bit_is_a_difference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cva = rows_of_a_clean_run()["xva_trade"][0]["cva"]
    one = bundle_of(tmp_path / "l", IDS[0], rows_of_a_clean_run())
    two = bundle_of(tmp_path / "r", IDS[1], changed("xva_trade", 0, cva=math.nextafter(cva, math.inf)))
    assert compare(one, two) == 1
    assert "A/T1 cva: 1.0 | 1.0000000000000002" in capsys.readouterr().out
    assert compare(one, two, "--tolerance", "1e-12") == 0
    capsys.readouterr()
    assert compare(one, two, "--json") == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["equal"], told["differences"]) == (False, 1)


@pytest.mark.parametrize(
    ("spec", "change"),
    [
        (EXPOSURE_PROFILE, {"expectedCollateral": 3.0}),
        (NPV, {"maturity": None}),
        (NPV, {"tradeType": "FxForward"}),
        (NPV, {"npv": -0.0}),
    ],
)
def test_any_other_cell_is_a_difference(spec: TableSpec, change: Row) -> None:
    left = rows_of_a_clean_run()[spec.name]
    left[0] |= {"npv": 0.0} if "npv" in change else {}
    right = [dict(row) for row in left]
    right[0] |= change
    (difference,) = compare_rows(spec, left, right).differences
    assert difference.column == next(iter(change))


def test_a_missing_row_is_a_difference() -> None:
    rows = rows_of_a_clean_run()["npv"]
    (difference,) = compare_rows(NPV, rows, rows[1:]).differences
    assert (difference.key, difference.left, difference.right) == (("A", "T1"), 1, 0)
    (repeated,) = compare_rows(NPV, rows, [*rows, rows[0]]).differences
    assert (repeated.left, repeated.right) == (1, 2)


def test_an_unreadable_side_is_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = bundle_of(tmp_path / "l", IDS[0], rows_of_a_clean_run())
    assert compare(one, tmp_path / "nowhere.tar") == 10
    assert "nowhere.tar" in capsys.readouterr().err


def test_a_table_prints_every_digit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = bundle_of(tmp_path / "l", IDS[0], changed("npv", 0, npv=0.1 + 0.2))
    arguments = ["table", "--bundle", str(path), "--table", "npv", "--format"]
    assert main([*arguments, "csv"]) == 0
    assert ",0.30000000000000004," in capsys.readouterr().out
    assert main([*arguments, "json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["npv"] == 0.30000000000000004
    assert main([*arguments, "table"]) == 0
    assert "0.30" in capsys.readouterr().out
