"""The merge's verb: what it unites, and everything it refuses."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.merge.factory import (
    SetNumbers,
    Shard,
    make_manifest,
    make_rows,
    other_engine,
    rejection,
    write_run,
    write_shard,
    write_spec,
)
from xva_engine.cli import main
from xva_engine.contracts import ContractWarning, ResultSummary, TaskReport
from xva_engine.run.bundle_file import OpenBundle, read_bundle

A = SetNumbers("A", (0.1, 0.1, 1.0, 4.0, 1.5))
B = SetNumbers("B", (0.2, 0.2, 2.0, 5.0, 2.5), colva=-0.75)
C = SetNumbers("C", (0.3, 0.3, 3.0, 6.0, 3.5), trades=3)
SETS = (A, B, C)


def merge(root: Path) -> int:
    return main(["merge", "--task", str(root / "task.json"), "--root", str(root), "--out", str(root / "out")])


def merged(root: Path) -> tuple[OpenBundle, ResultSummary]:
    bundle = read_bundle(root / "out")
    return bundle, ResultSummary.model_validate_json(bundle.files["summary.json"])


def report_of(root: Path) -> TaskReport:
    (path,) = (root / "out").glob("report-*.json")
    return TaskReport.model_validate_json(path.read_bytes())


def test_it_unites_and_sums(tmp_path: Path) -> None:
    write_run(tmp_path, make_manifest(SETS), [Shard("shard-0001", [C]), Shard("shard-0002", [A, B])])
    assert merge(tmp_path) == 0
    bundle, summary = merged(tmp_path)
    assert [one.id for one in summary.netting_sets] == ["A", "B", "C"]
    assert summary.outcome == "complete"
    # 0.1 + 0.2 + 0.3 is 0.6000000000000001 term by term and 0.6 correctly rounded.
    assert summary.totals.cva == 0.6
    assert summary.totals.fva == 7.5
    assert summary.totals.colva == -0.75
    assert summary.coverage.trades.model_dump() == {"requested": 7, "published": 7}
    assert summary.coverage.gross_notional.model_dump() == {"requested": "3001.5", "published": "3001.5"}
    assert [one.task_id for one in bundle.info.inputs] == ["shard-0001", "shard-0002"]
    assert report_of(tmp_path).bundle_id == bundle.info.bundle_id


def test_the_order_of_shards_leaves_no_trace_in_the_tables(tmp_path: Path) -> None:
    shards = [Shard("shard-0001", [C]), Shard("shard-0002", [A, B])]
    tables = []
    for index, order in enumerate((shards, shards[::-1])):
        root = tmp_path / str(index)
        root.mkdir()
        write_run(root, make_manifest(SETS), order)
        assert merge(root) == 0
        tables.append({name: data for name, data in merged(root)[0].files.items() if name != "summary.json"})
    assert tables[0] == tables[1]


def test_a_rejected_set_makes_the_result_partial(tmp_path: Path) -> None:
    shards = [Shard("shard-0001", [A]), Shard("shard-0002", [B], [rejection("C", "T-C-0")])]
    write_run(tmp_path, make_manifest(SETS), shards)
    assert merge(tmp_path) == 0
    _, summary = merged(tmp_path)
    assert summary.outcome == "partial"
    assert summary.coverage.netting_sets.model_dump() == {"requested": 3, "published": 2}
    assert summary.coverage.gross_notional.model_dump() == {"requested": "3001.5", "published": "2001"}
    assert [(one.netting_set_id, one.trade_id) for one in summary.rejections] == [("C", "T-C-0")]
    assert [one.id for one in summary.netting_sets] == ["A", "B"]


def test_what_the_package_refused_is_in_the_result(tmp_path: Path) -> None:
    refusal = {"nettingSetId": "Z", "tradeId": "TZ", "code": "unknown-trade-type", "subject": "TZ", "message": "no"}
    refused = [{"id": "Y", "tradeCount": 2, "grossNotional": None}, {"id": "Z", "tradeCount": 1, "grossNotional": "9"}]
    manifest = make_manifest(SETS, refusals=[refusal], refusedNettingSets=refused)
    write_run(tmp_path, manifest, [Shard("shard-0001", SETS)])
    assert merge(tmp_path) == 0
    _, summary = merged(tmp_path)
    assert [(one.netting_set_id, one.code) for one in summary.rejections] == [
        ("Y", "refused"),
        ("Z", "unknown-trade-type"),
    ]
    assert summary.coverage.netting_sets.requested == 5
    assert summary.coverage.trades.requested == 10
    assert summary.coverage.gross_notional.requested == "3010.5"


def test_a_strict_run_with_a_rejection_fails_with_the_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path, make_manifest(SETS, strict=True), [Shard("shard-0001", [A, B], [rejection("C", "T-C-0")])])
    assert merge(tmp_path) == 20
    assert "C/T-C-0: no good" in capsys.readouterr().err
    assert [one.netting_set_id for one in report_of(tmp_path).rejections] == ["C"]
    assert list((tmp_path / "out").glob("bundle-*")) == []


def test_nothing_left_to_publish_is_a_failure(tmp_path: Path) -> None:
    write_run(tmp_path, make_manifest([A]), [Shard("shard-0001", [], [rejection("A")])])
    assert merge(tmp_path) == 20


def test_a_matured_trade_may_be_absent_if_it_is_told(tmp_path: Path) -> None:
    rows = make_rows([A], "shard-0001")
    for name, column in (("npv", "tradeId"), ("xva_trade", "tradeId"), ("exposure_profile", "id")):
        rows[name] = [row for row in rows[name] if row[column] != "T-A-1"]
    told = ContractWarning(code="trade-matured", subject="T-A-1", message="Trade is Matured.")
    write_run(tmp_path, make_manifest([A]), [Shard("shard-0001", [A], warnings=[told], rows=rows)])
    assert merge(tmp_path) == 0
    assert merged(tmp_path)[1].coverage.trades.model_dump() == {"requested": 2, "published": 1}


def test_mixed_processors_are_a_warning(tmp_path: Path) -> None:
    other = other_engine(cpu_model="cpu two")
    write_run(tmp_path, make_manifest(SETS), [Shard("shard-0001", [A, B]), Shard("shard-0002", [C], engine=other)])
    assert merge(tmp_path) == 0
    assert [one.code for one in merged(tmp_path)[1].warnings] == ["mixed-cpu-models"]


TWO = (Shard("shard-0001", [A, B]), Shard("shard-0002", [C]))


def refused(root: Path, capsys: pytest.CaptureFixture[str]) -> str:
    assert merge(root) == 10
    assert list((root / "out").glob("bundle-*")) == []
    assert report_of(root).exit_class == "badInput"
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"shared_input_hash": "f" * 64}, "sharedInputHash is ffff"),
        ({"package_id": "f" * 64}, "packageId is ffff"),
        ({"run_id": "xva-20260930-other-abcdefghijklmn"}, "runId is xva-20260930-other"),
        ({"event_id": "b" * 32}, "eventId is bbbb"),
        ({"attempt": 2}, "attempt is 2"),
        ({"kind": "merge"}, "kind is merge"),
        ({"task_id": "shard-0009"}, "taskId is shard-0009"),
    ],
)
def test_a_bundle_of_something_else_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, Any], told: str
) -> None:
    write_run(tmp_path, make_manifest(SETS), [TWO[0], Shard("shard-0002", [C], change=change)])
    assert told in refused(tmp_path, capsys)


def test_a_tampered_bundle_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = write_run(tmp_path, make_manifest(SETS), TWO)
    path = tmp_path / spec["bundles"][1]["path"]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert path.name in refused(tmp_path, capsys)


def test_a_tampered_table_is_refused_even_if_the_tar_hash_is_renewed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = write_run(tmp_path, make_manifest(SETS), TWO)
    change = {"files": read_bundle(tmp_path / spec["bundles"][0]["path"]).info.files}
    spec["bundles"][1] = write_shard(tmp_path, make_manifest(SETS), Shard("shard-0002", [C], change=change))
    write_spec(tmp_path, spec)
    assert "is not what bundle.json says" in refused(tmp_path, capsys)


def test_a_missing_set_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path, make_manifest(SETS), TWO[:1])
    assert "no bundle has netting set C" in refused(tmp_path, capsys)


def test_a_set_in_two_bundles_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path, make_manifest(SETS), [TWO[0], Shard("shard-0002", [B, C])])
    assert "netting set B is in bundles" in refused(tmp_path, capsys)


def test_a_set_of_no_manifest_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path, make_manifest([A, B]), TWO)
    assert "has netting set C" in refused(tmp_path, capsys)


def test_a_set_both_accepted_and_rejected_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path, make_manifest(SETS), [TWO[0], Shard("shard-0002", [C], [rejection("C")])])
    assert "both accepts and rejects netting set C" in refused(tmp_path, capsys)


@pytest.mark.parametrize("change", [{"version": "2.0"}, {"runner": "r 2"}])
def test_different_engines_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, str]
) -> None:
    write_run(tmp_path, make_manifest(SETS), [TWO[0], Shard("shard-0002", [C], engine=other_engine(**change))])
    assert "differ in engine" in refused(tmp_path, capsys)


def test_a_missing_profile_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = make_rows([A], "shard-0001")
    rows["exposure_profile"].pop(0)
    write_run(tmp_path, make_manifest([A]), [Shard("shard-0001", [A], rows=rows)])
    assert "exposure_profile disagrees with the others on nettingSet A A" in refused(tmp_path, capsys)


def test_a_missing_trade_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = make_rows([A], "shard-0001")
    rows["npv"].pop()
    rows["exposure_profile"].pop()
    write_run(tmp_path, make_manifest([A]), [Shard("shard-0001", [A], rows=rows)])
    assert "table npv and the manifest disagree on T-A-1" in refused(tmp_path, capsys)


def test_a_repeated_trade_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = make_rows([A], "shard-0001")
    rows["xva_trade"].append(rows["xva_trade"][0])
    write_run(tmp_path, make_manifest([A]), [Shard("shard-0001", [A], rows=rows)])
    assert "table xva_trade" in refused(tmp_path, capsys)


def test_rows_of_a_set_that_the_bundle_does_not_accept_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = make_rows([A, B], "shard-0001")
    shard = Shard("shard-0001", [A], [rejection("B")], rows=rows)
    write_run(tmp_path, make_manifest([A, B]), [shard])
    assert "has netting set B, which bundle.json does not accept" in refused(tmp_path, capsys)


def test_a_set_without_its_row_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = make_rows([A, B], "shard-0001")
    rows["xva_netting_set"].pop()
    write_run(tmp_path, make_manifest([A, B]), [Shard("shard-0001", [A, B], rows=rows)])
    assert "netting sets of table xva_netting_set is A, expected A,B" in refused(tmp_path, capsys)


def test_another_manifest_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path, make_manifest(SETS), TWO)
    (tmp_path / "manifest.json").write_bytes(make_manifest(SETS, samples=11).canonical_bytes())
    assert "manifest.json: packageId is" in refused(tmp_path, capsys)


def test_a_shards_spec_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = write_run(tmp_path, make_manifest(SETS), TWO)
    shard = {key: value for key, value in spec.items() if key not in ("manifestPath", "bundles")}
    part = {"path": "Input/a", "size": 1, "sha256": "0" * 64, "role": "market"}
    write_spec(tmp_path, {**shard, "kind": "shard", "taskId": "shard-0001", "parts": [part], "nettingSets": ["A"]})
    assert "xva-engine run" in refused(tmp_path, capsys)


def test_summary_and_bundle_keep_to_the_generated_schemas(tmp_path: Path) -> None:
    schemas = Path(__file__).resolve().parents[4] / "libs" / "xva-contracts" / "schemas"
    write_run(tmp_path, make_manifest(SETS), TWO)
    assert merge(tmp_path) == 0
    bundle, _ = merged(tmp_path)
    checks = {
        "result-summary": json.loads(bundle.files["summary.json"]),
        "bundle": bundle.info.to_json(),
        "task-report": report_of(tmp_path).to_json(),
        "task-progress": json.loads((tmp_path / "out" / "progress.json").read_text()),
    }
    for name, message in checks.items():
        jsonschema.validate(message, json.loads((schemas / f"{name}.schema.json").read_text()))
