"""Error bars from request to merged summary, with the real engine: whole, sharded, by trade; nothing without."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.run.engine_runs import Ran, run_task
from tests.run.packages import spec_of, write_task
from xva_engine.cli import main
from xva_engine.generate.package import generate
from xva_engine.generate.request import parse_request
from xva_engine.precision import MEASURES
from xva_engine.run.bundle_file import read_bundle
from xva_engine.sample import frozen_request

CSA_SET, PLAIN_SET = "NS_ELBE", "NS_ALDER"
SETS = (PLAIN_SET, CSA_SET)


def _package(folder: Path, *, error_bars: bool) -> Path:
    request: dict[str, Any] = frozen_request("small", 1)
    request["trades"] = [one for one in request["trades"] if one["nettingSetId"] in SETS]
    request["nettingSets"] = [one for one in request["nettingSets"] if one["id"] in SETS]
    request["settings"] |= {"samples": 16, "grid": ["6M", "1Y", "5Y"], **({"errorBars": True} if error_bars else {})}
    package = generate(parse_request(json.dumps(request).encode()))
    for path, content in package.files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    (folder / "manifest.json").write_bytes(package.manifest_bytes)
    return folder


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _package(tmp_path_factory.mktemp("asked"), error_bars=True)


def _shard(root: Path, out: Path, sets: tuple[str, ...], trades: str = "") -> Ran:
    task = out / "task.json"
    by_trade = ["--trades", trades] if trades else []
    plan = ["plan-task", "--manifest", str(root / "manifest.json"), "--netting-sets", ",".join(sets), *by_trade]
    assert main([*plan, "--task-id", out.name, "--out", str(task)]) == 0
    ran = run_task(root, task, out / "out")
    assert ran.code == 0, ran.report.message
    return ran


def _merge(root: Path, folder: Path, *shards: Ran) -> dict[str, Any]:
    copied = shutil.copytree(root, folder / "root")
    bundles = [str(shutil.copy(next(one.out.glob("bundle-*.tar")), copied)) for one in shards]
    task = str(folder / "merge.json")
    plan = ["plan-task", "--manifest", str(copied / "manifest.json"), "--root", str(copied), "--out", task]
    assert main([*plan, "--merge", *bundles]) == 0
    assert main(["merge", "--task", task, "--root", str(copied), "--out", str(folder / "out")]) == 0
    summary: dict[str, Any] = json.loads(read_bundle(folder / "out").files["summary.json"])
    return summary


@pytest.fixture(scope="module")
def whole(asked: Path, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return _shard(asked, tmp_path_factory.mktemp("w") / "shard-0001", SETS)


def test_every_netting_set_shows_its_bars_in_the_summary(asked: Path, whole: Ran, tmp_path: Path) -> None:
    summary = _merge(asked, tmp_path, whole)
    for one in summary["nettingSets"]:
        bars = {bar["measure"]: bar for bar in one["errorBars"]}
        assert list(bars) == [name for name in MEASURES if one.get(name) is not None]
        assert ("colva" in bars) == (one["id"] == CSA_SET)
        for name, bar in bars.items():
            assert bar["currency"] == summary["currency"] == "EUR"
            assert bar["standardError"] == pytest.approx(abs(one[name] - bar["halfSampleValue"]) / 3**0.5, rel=1e-12)
        assert bars["cva"]["standardError"] > 0
    assert (whole.out / "logs" / "half-samples" / "ore.log").is_file()
    assert [one.code for one in whole.bundle.info.warnings if one.code == "no-error-bars"] == []


def test_bars_are_the_same_however_the_book_is_dealt(asked: Path, whole: Ran, tmp_path: Path) -> None:
    trades = sorted(row["tradeId"] for row in whole.table("npv") if row["nettingSetId"] == CSA_SET)
    pieces = [_shard(asked, tmp_path / f"shard-{n:04}", (CSA_SET,), one) for n, one in enumerate(trades, start=2)]
    _merge(asked, tmp_path, _shard(asked, tmp_path / "shard-0001", (PLAIN_SET,)), *pieces)
    assert len(pieces) > 1
    assert main(["compare", "--left", str(whole.out), "--right", str(tmp_path / "out")]) == 0


def test_the_numbers_are_those_of_a_run_without_bars(whole: Ran, tmp_path: Path) -> None:
    plain = _package(tmp_path / "plain", error_bars=False)
    ran = _shard(plain, tmp_path / "shard-0001", SETS)
    ours, theirs = whole.bundle.files, ran.bundle.files
    assert set(ours) - set(theirs) == {"tables/error_bars.parquet"}
    for path in theirs:
        if "pricing_stats" not in path:
            assert ours[path] == theirs[path], path
    assert not (ran.out / "logs" / "half-samples").exists()
    assert all("errorBars" not in one for one in _merge(plain, tmp_path, ran)["nettingSets"])
    assert main(["compare", "--left", str(whole.out), "--right", str(ran.out)]) == 10
    assert main(["error-bars", "--result", str(ran.out)]) == 10


def test_a_rerun_that_is_not_accepted_costs_the_bars_and_no_number(asked: Path, whole: Ran, tmp_path: Path) -> None:
    root = shutil.copytree(asked, tmp_path / "root")
    (root / "Input" / "error-bar-simulation.xml").write_text("<Simulation/>")
    ran = run_task(root, write_task(root, spec_of(root, SETS)), tmp_path / "out")
    assert ran.code == 0
    assert ran.bundle.info.netting_sets == list(SETS)
    lost = [one for one in ran.bundle.info.warnings if one.code == "no-error-bars"]
    assert [one.subject for one in lost] == list(SETS)
    assert "half the samples" in lost[0].message
    assert ran.table("error_bars") == []
    keep = [{k: v for k, v in row.items() if k not in ("runId", "taskId")} for row in ran.table("xva_netting_set")]
    assert keep == [
        {k: v for k, v in row.items() if k not in ("runId", "taskId")} for row in whole.table("xva_netting_set")
    ]
