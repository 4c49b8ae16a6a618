"""However the netting sets are dealt to shards, merged equals unsharded bit for bit; and both are the bare engine's."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.run.engine_runs import SETS, Ran, run_task
from xva_engine.cli import main
from xva_engine.contracts import TaskProgress
from xva_engine.run.bundle_file import read_bundle

BARE = "import ORE; p = ORE.Parameters(); p.fromFile('Input/ore.xml'); ORE.OREApp(p).run()"


Deal = tuple[tuple[str, ...] | dict[str, tuple[str, ...]], ...]
"""Shards: netting sets, or some trades of one."""
TRADES = {
    "NS_ALDER": ("FXO_0000", "IRS_0000"),
    "NS_BALTIC": ("FXF_0000", "XCCY_0000"),
    "NS_CARIOCA": ("NDF_0000", "NDF_0001"),
    "NS_DANUBE": ("IRS_0001", "SWPT_0000"),
    "NS_ELBE": ("FXF_0001", "IRS_0002"),
    "NS_FJORD": ("IRS_0003", "SWPT_0001"),
}


def shard(book: Path, root: Path, part: tuple[str, ...] | dict[str, tuple[str, ...]], task_id: str) -> Ran:
    task = root / task_id / "task.json"
    wanted = ["--netting-sets", ",".join(part), "--task-id", task_id, "--out", str(task)]
    if isinstance(part, dict):
        wanted += ["--trades", ",".join(next(iter(part.values())))]
    assert main(["plan-task", "--manifest", str(book / "manifest.json"), *wanted]) == 0
    ran = run_task(book, task, task.parent / "out")
    assert ran.code == 0
    return ran


@pytest.fixture(scope="module")
def whole(book: Path, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return shard(book, tmp_path_factory.mktemp("whole"), SETS, "shard-0001")


@pytest.mark.parametrize(
    "deal",
    [
        (SETS,),
        (("NS_FJORD", "NS_ALDER", "NS_CARIOCA"), ("NS_ELBE", "NS_BALTIC", "NS_DANUBE")),
        tuple((one,) for one in SETS),
        (
            {"NS_ELBE": ("IRS_0002",)},
            ("NS_ALDER", "NS_BALTIC", "NS_CARIOCA", "NS_DANUBE", "NS_FJORD"),
            {"NS_ELBE": ("FXF_0001",)},
        ),
        tuple({one: (trade,)} for one in SETS for trade in reversed(TRADES[one])),
    ],
    ids=["1 shard", "2 shards", "6 shards", "one set by trade, under a CSA", "every set by trade"],
)
def test_merged_equals_unsharded(book: Path, tmp_path: Path, whole: Ran, deal: Deal) -> None:
    shutil.copy(book / "manifest.json", tmp_path)
    if any(isinstance(part, dict) for part in deal):
        shutil.copytree(book / "Input", tmp_path / "Input")
    ran = [shard(book, tmp_path, part, f"shard-{number:04}") for number, part in enumerate(deal, start=1)]
    bundles = [str(next(one.out.glob("bundle-*.tar"))) for one in ran]
    manifest, task = str(tmp_path / "manifest.json"), str(tmp_path / "merge.json")
    plan = ["plan-task", "--manifest", manifest, "--root", str(tmp_path), "--out", task, "--merge", *bundles]
    assert main(plan) == 0
    assert main(["merge", "--task", task, "--root", str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    assert main(["compare", "--left", str(whole.out), "--right", str(tmp_path / "out")]) == 0
    summary = json.loads(read_bundle(tmp_path / "out").files["summary.json"])
    assert summary["outcome"] == "complete"
    assert [one["id"] for one in summary["nettingSets"]] == list(SETS)


def test_a_second_run_gives_the_same_bytes_whatever_the_environment_says(
    book: Path, tmp_path: Path, whole: Ran, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OVERWRITE_SCENARIOGENERATOR_SAMPLES", "7")
    again = shard(book, tmp_path, SETS, "shard-0001")
    for path, data in whole.bundle.files.items():
        if "pricing_stats" not in path:
            assert again.bundle.files[path] == data, path


def test_numbers_are_those_of_the_bare_engine(book: Path, tmp_path: Path, whole: Ran) -> None:
    shutil.copytree(book / "Input", tmp_path / "Input")
    (tmp_path / "Output").mkdir()
    subprocess.run([sys.executable, "-c", BARE], cwd=tmp_path, check=True, capture_output=True)
    rows = {}
    with (tmp_path / "Output" / "xva.csv").open() as file:
        for row in csv.DictReader(file):
            rows[row["NettingSetId"], row["#TradeId"]] = row
    ours = [(row["nettingSetId"], "", row) for row in whole.table("xva_netting_set")]
    ours += [(row["nettingSetId"], row["tradeId"], row) for row in whole.table("xva_trade")]
    assert {(set_id, trade_id) for set_id, trade_id, _ in ours} == rows.keys()
    for set_id, trade_id, row in ours:
        for name, header in (
            ("cva", "CVA"),
            ("dva", "DVA"),
            ("fba", "FBA"),
            ("fca", "FCA"),
            ("baselEepe", "BaselEEPE"),
        ):
            assert float(rows[set_id, trade_id][header]) == pytest.approx(row[name], abs=0.00501), (
                set_id,
                trade_id,
                name,
            )
    assert any(abs(row["cva"]) > 1 for row in whole.table("xva_netting_set"))
    with (tmp_path / "Output" / "npv.csv").open() as file:
        npv = {row["#TradeId"]: float(row["NPV(Base)"]) for row in csv.DictReader(file)}
    assert npv == pytest.approx({row["tradeId"]: row["npvBase"] for row in whole.table("npv")}, abs=1e-6)


def test_what_a_run_leaves(whole: Ran) -> None:
    assert sorted(path.name for path in whole.out.iterdir() if path.name != "logs") == sorted(
        [f"bundle-{whole.report.bundle_id}.tar", f"report-{whole.report.bundle_id}.json", "progress.json"]
    )
    assert {"ore.log", "engine-stdout.txt", "engine-stderr.txt"} <= {
        path.name for path in (whole.out / "logs").iterdir()
    }
    assert TaskProgress.model_validate_json((whole.out / "progress.json").read_bytes()).phase == "done"
    colva = {row["nettingSetId"]: row["colva"] is not None for row in whole.table("xva_netting_set")}
    assert colva == {row["nettingSetId"]: row["collateralised"] for row in whole.table("xva_netting_set")}
    assert sum(colva.values()) == 2
    assert whole.bundle.info.engine.version == "1.8.17.0"


def test_cubes_that_are_not_whole_are_refused(book: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(book / "manifest.json", tmp_path)
    shutil.copytree(book / "Input", tmp_path / "Input")
    rest = tuple(one for one in SETS if one != "NS_ELBE")
    parts: Deal = ({"NS_ELBE": ("IRS_0002",)}, rest)
    ran = [shard(book, tmp_path, part, f"shard-{number:04}") for number, part in enumerate(parts, start=1)]
    bundles = [str(next(one.out.glob("bundle-*.tar"))) for one in ran]
    manifest, task = str(tmp_path / "manifest.json"), str(tmp_path / "merge.json")
    plan = ["plan-task", "--manifest", manifest, "--root", str(tmp_path), "--out", task, "--merge", *bundles]
    assert main(plan) == 0
    assert main(["merge", "--task", task, "--root", str(tmp_path), "--out", str(tmp_path / "out")]) == 10
    assert "the cubes of NS_ELBE and the manifest disagree on trade FXF_0001" in capsys.readouterr().err
