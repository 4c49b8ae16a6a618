"""Error bars: the arithmetic, the rerun's parts, and that the bars are as wide as the figures scatter over seeds."""

import json
import math
import statistics
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from tests import requests as req
from tests.bare_engine import run
from xva_engine.generate.package import Package
from xva_engine.precision import MEASURES, error_bars

SEEDS = (3, 11, 29)
GRID = ["6M", "1Y", "3Y", "5Y"]


def _write(package: Package, folder: Path) -> Path:
    for path, content in package.files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    (folder / "manifest.json").write_bytes(package.manifest_bytes)
    return folder


def _verb(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "xva_engine", "error-bars", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def _request(seed: int, **settings: object) -> req.Message:
    """Six netting sets with trades of several kinds."""
    trades = [
        req.trade("A", "RateSwap", {**req.SWAP, "fixedRate": "0.0231"}, "NS_ALDER"),
        req.trade("B", "FxForward", req.FORWARD, "NS_BALTIC"),
        req.trade("C", "FxForward", {**req.FORWARD, "soldAmount": "1150000"}, "NS_CARIOCA"),
        req.trade("D", "RateSwap", {**req.USD_SWAP, "fixedLeg": "Receive"}, "NS_DANUBE"),
        req.trade("E", "RateSwap", {**req.SWAP, "floatIndex": "EUR-ESTER", "fixedLeg": "Receive"}, "NS_ELBE"),
        req.trade("F", "FxOption", req.OPTION, "NS_FJORD"),
    ]
    request = req.message(*trades, seed=seed, samples=64, grid=GRID, errorBars=True, **settings)
    for item in request["nettingSets"]:
        item["csa"] = None
    return request


def _row(name: str, **values: float | None) -> dict[str, Any]:
    return {"nettingSetId": name, **dict.fromkeys(MEASURES, 0.0), **values}


def test_a_bar_is_the_difference_over_the_root_of_three() -> None:
    bars = error_bars([_row("A", cva=100.0, colva=None), _row("B")], [_row("A", cva=97.0), _row("C")])
    assert {bar.netting_set_id for bar in bars} == {"A"}
    assert {bar.measure for bar in bars} == set(MEASURES) - {"colva"}
    cva = next(bar for bar in bars if bar.measure == "cva")
    assert (cva.value, cva.half_sample_value) == (100.0, 97.0)
    assert cva.standard_error == pytest.approx(3 / math.sqrt(3))


def test_the_rerun_is_half_the_samples_under_another_seed_and_only_on_request() -> None:
    package = req.package(_request(7))
    roles = {part.role: part.path for part in package.manifest.parts}
    half = etree.fromstring(package.files[roles["error-bar-simulation"]])
    whole = etree.fromstring(package.files[roles["simulation"]])
    assert (half.findtext("Parameters/Samples"), half.findtext("Parameters/Seed")) == ("32", "8")
    assert (whole.findtext("Parameters/Samples"), whole.findtext("Parameters/Seed")) == ("64", "7")
    for root in (half, whole):
        for name in ("Samples", "Seed"):
            found = root.find(f"Parameters/{name}")
            assert found is not None
            found.text = ""
    assert etree.tostring(half) == etree.tostring(whole)
    setup = etree.fromstring(package.files[roles["error-bar-setup"]])
    named = setup.findtext("Analytics/Analytic[@type='simulation']/Parameter[@name='simulationConfigFile']")
    assert f"Input/{named}" == roles["error-bar-simulation"]
    assert len(req.package(req.message(errorBars=False)).files) == 10
    assert ("bad-error-bars", "samples") in req.refusal(req.message(errorBars=True, samples=3))
    assert req.package(req.message(errorBars=True, seed=2**31 - 1)).files


def _rows(package: Package, folder: Path) -> list[dict[str, Any]]:
    names = {"cva": "CVA", "dva": "DVA"}
    return [
        {"nettingSetId": row["NettingSetId"], **dict.fromkeys(MEASURES), **{k: float(row[v]) for k, v in names.items()}}
        for row in run(package, folder).report("xva")
        if row["TradeId"] == ""
    ]


def _halved(package: Package) -> Package:
    paths = {part.role: part.path for part in package.manifest.parts}
    coarse = {paths["simulation"]: package.files[paths["error-bar-simulation"]]}
    return replace(package, files={**package.files, **coarse})


def test_bars_are_as_wide_as_the_figures_scatter_over_seeds(tmp_path: Path) -> None:
    values: dict[tuple[str, str], list[float]] = {}
    errors: dict[tuple[str, str], list[float]] = {}
    for seed in SEEDS:
        package = req.package(_request(seed))
        whole, half = _rows(package, tmp_path / f"{seed}"), _rows(_halved(package), tmp_path / f"{seed}-half")
        for bar in error_bars(whole, half):
            values.setdefault((bar.netting_set_id, bar.measure), []).append(bar.value)
            errors.setdefault((bar.netting_set_id, bar.measure), []).append(bar.standard_error)
    assert len(values) == 12
    scatter = {key: statistics.stdev(found) for key, found in values.items() if statistics.stdev(found) > 0}
    ratios = [math.sqrt(statistics.mean(error**2 for error in errors[key])) / scatter[key] for key in scatter]
    # Twelve figures, three draws each: the typical ratio is known to about a third. One means that the bars are right.
    assert 0.6 < statistics.median(ratios) < 2.5, sorted(ratios)


def test_the_verb_prints_a_bar_per_netting_set_and_measure(tmp_path: Path) -> None:
    package = req.package(_request(3))
    answer = _verb("--package", str(_write(package, tmp_path / "p")), "--netting-sets", "NS_ALDER", "--format", "json")
    assert answer.returncode == 0, answer.stderr
    bars = json.loads(answer.stdout)
    assert {(bar["nettingSetId"], bar["baseCurrency"]) for bar in bars} == {("NS_ALDER", "EUR")}
    assert {bar["measure"] for bar in bars} == set(MEASURES) - {"colva"}
    found = next(bar for bar in bars if bar["measure"] == "cva")
    assert found["standardError"] > 0
    assert found["standardError"] == pytest.approx(abs(found["value"] - found["halfSampleValue"]) / math.sqrt(3))


def test_a_package_without_the_parts_is_refused(
    tmp_path: Path,
) -> None:
    plain = _write(req.package(req.message()), tmp_path / "plain")
    answer = _verb("--package", str(plain))
    assert answer.returncode == 10
    assert "errorBars" in answer.stderr
    assert _verb("--package", str(tmp_path / "nowhere")).returncode == 10
