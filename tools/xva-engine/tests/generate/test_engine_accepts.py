"""The engine takes generated packages without a word in its error log, and they hold all that it needs and no more."""

import datetime
from dataclasses import replace
from pathlib import Path

import pytest
from lxml import etree

from tests import requests as req
from tests.bare_engine import EngineRun, run
from xva_engine.contracts import Manifest
from xva_engine.generate.package import Package
from xva_engine.sample import frozen_request

NUMBERS = ("CVA", "DVA", "BaselEPE", "BaselEEPE")


def assert_complete(result: EngineRun, manifest: Manifest) -> None:
    """Nothing in the log, every trade and netting set in every report, every figure a number."""
    assert result.log == []
    assert result.errors == "[]"
    trades = {trade.trade_id: item.id for item in manifest.netting_sets for trade in item.trades}
    assert set(result.npvs()) == set(trades)
    assert {row["TradeType"] for row in result.report("npv")}.isdisjoint({"Failed"})
    rows = result.report("xva")
    assert {(row["TradeId"], row["NettingSetId"]) for row in rows} == {
        *trades.items(),
        *(("", item.id) for item in manifest.netting_sets),
    }
    for row in rows:
        assert all(float(row[name]) >= 0 for name in NUMBERS)
        assert all(abs(float(row[name])) < 1e9 for name in ("FBA", "FCA"))
    for item in manifest.netting_sets:
        profile = result.report(f"exposure_nettingset_{item.id}")
        assert len(profile) == manifest.grid_dates + 1


def test_the_small_book_runs(tmp_path: Path) -> None:
    package = req.package(frozen_request("small"))
    assert_complete(run(package, tmp_path), package.manifest)


def test_the_demo_book_runs_on_few_samples(tmp_path: Path) -> None:
    request = frozen_request("demo")
    request["settings"]["samples"] = 2
    package = req.package(request)
    assert package.manifest.warnings
    assert_complete(run(package, tmp_path), package.manifest)


@pytest.mark.parametrize(
    ("base", "trades"),
    [
        ("USD", [req.trade("A", "RateSwap", req.SWAP), req.trade("B", "FxOption", req.OPTION)]),
        (
            "USD",
            [
                req.trade(
                    "A",
                    "FxNdf",
                    {**req.NDF, "boughtCurrency": "USD", "fxIndex": "FX-PTAX-USD-BRL", "settlementCurrency": "USD"},
                )
            ],
        ),
        ("GBP", [req.trade("A", "CrossCurrencySwap", req.CROSS), req.trade("B", "RateSwap", req.GBP_SWAP)]),
        ("EUR", [req.trade("A", "FxOption", {**req.OPTION, "boughtCurrency": "GBP"})]),
        ("EUR", [req.trade("A", "FxOption", {**req.OPTION, "boughtCurrency": "USD", "soldCurrency": "BRL"})]),
        ("EUR", [req.trade("A", "RateSwap", req.PRE_CDI)]),
        ("EUR", [req.trade("A", "RateSwap", req.SWAP, "NS_ELBE")]),
        ("EUR", [req.trade("A", "FxForward", req.FORWARD, "NS_FJORD")]),
    ],
    ids=[
        "dollar base",
        "dollar base with reais",
        "sterling base",
        "cross option",
        "real option",
        "reais",
        "one currency",
        "dollar CSA",
    ],
)
def test_bases_and_crosses_run(base: str, trades: list[req.Message], tmp_path: Path) -> None:
    request = req.message(*trades, baseCurrency=base, grid=["1W", "1Y", "2Y", "5Y"], samples=20)
    request["nettingSets"][5]["csa"] |= {"currency": "USD", "index": "USD-SOFR", "spreadPay": "0.001"}
    if base != "EUR":
        request["quotes"] += [
            {
                **quote,
                "key": quote["key"].replace("/SR/EUR", f"/SR/{base}").replace("ZERO/RATE/EUR/", f"ZERO/RATE/{base}/"),
            }
            for quote in request["quotes"]
            if "/SR/EUR" in quote["key"] or quote["key"].startswith("ZERO/RATE/EUR/")
        ]
        crosses = {"USD": {"GBP/USD": "1.3486", "USD/BRL": "5.3288"}, "GBP": {"GBP/USD": "1.3486"}}
        request["quotes"] += [{"key": f"FX/RATE/{pair}", "value": value} for pair, value in crosses[base].items()]
    package = req.package(request)
    assert package.manifest.refusals == []
    assert_complete(run(package, tmp_path), package.manifest)


@pytest.mark.parametrize("direction", ["Bilateral", "CallOnly", "PostOnly"])
def test_csa_directions_run_and_differ(direction: str, tmp_path: Path) -> None:
    request = req.message(
        req.trade("A", "RateSwap", req.SWAP, "NS_FJORD"), samples=200, grid=["1W", "1M", "1Y", "3Y", "5Y"]
    )
    request["nettingSets"][5]["csa"]["direction"] = direction
    open_request = {**request, "nettingSets": [{**item, "csa": None} for item in request["nettingSets"]]}
    secured = run(req.package(request), tmp_path / "secured").xva("NS_FJORD")
    unsecured = run(req.package(open_request), tmp_path / "open").xva("NS_FJORD")
    ours, theirs = (float(secured[name]) / float(unsecured[name]) for name in ("CVA", "DVA"))
    assert (ours < 0.7) == (direction != "PostOnly")
    assert (theirs < 0.7) == (direction != "CallOnly")


SEASONED = [
    req.trade("EURIBOR", "RateSwap", {**req.SWAP, "startDate": "2025-12-17", "maturityDate": "2028-06-19"}),
    req.trade(
        "ESTER",
        "RateSwap",
        {**req.SWAP, "floatIndex": "EUR-ESTER", "startDate": "2026-05-15", "maturityDate": "2027-02-15"},
    ),
    req.trade("SOFR", "RateSwap", {**req.USD_SWAP, "startDate": "2026-04-03", "maturityDate": "2028-04-03"}),
    req.trade("SONIA", "RateSwap", {**req.GBP_SWAP, "startDate": "2026-08-31", "maturityDate": "2028-08-31"}),
    req.trade("CDI", "RateSwap", {**req.PRE_CDI, "startDate": "2026-09-05"}),
    req.trade("CROSS", "CrossCurrencySwap", {**req.CROSS, "startDate": "2026-04-06", "maturityDate": "2029-04-06"}),
    req.trade("NDF", "FxNdf", {**req.NDF, "fixingDate": "2026-09-29", "valueDate": "2026-10-02"}),
    req.trade("LAST_LAG", "RateSwap", {**req.USD_SWAP, "startDate": "2025-09-29", "maturityDate": "2026-09-29"}),
]
"""Started on Good Friday, a bank holiday, a weekend; one that is over but for its payment."""


def _without(package: Package, line: str) -> Package:
    kept = package.files["Input/fixings.txt"].replace(f"{line}\n".encode(), b"")
    return Package(
        package.manifest, package.manifest_bytes, package.package_id, {**package.files, "Input/fixings.txt": kept}
    )


def test_packaged_fixings_are_enough_and_none_is_too_many(tmp_path: Path) -> None:
    package = req.package(req.message(*SEASONED, samples=2, grid=["1W"]))
    assert package.manifest.refusals == []
    lines = package.files["Input/fixings.txt"].decode().splitlines()
    complete = run(package, tmp_path / "complete")
    assert complete.log == []
    assert set(complete.npvs()) == {trade["tradeId"] for trade in SEASONED}
    by_index: dict[str, list[str]] = {}
    for line in lines:
        by_index.setdefault(line.split()[1], []).append(line)
    assert set(by_index) == {"EUR-EURIBOR-6M", "EUR-ESTER", "USD-SOFR", "GBP-SONIA", "BRL-CDI", "FX-ECB-EUR-BRL"}
    for index, found in by_index.items():
        line = found[0]
        result = run(_without(package, line), tmp_path / index)
        day = datetime.datetime.strptime(line.split()[0], "%Y%m%d").replace(tzinfo=datetime.UTC)
        text = " ".join(str(entry) for entry in result.log)
        assert f"{day:%B} {day.day}" in text, f"nobody missed {line}: {text[:500]}"


def test_a_shard_is_exact_on_the_scrambled_sequence(tmp_path: Path) -> None:
    package = req.package(frozen_request("small"))
    whole = run(package, tmp_path / "whole")
    for item in package.manifest.netting_sets:
        root = etree.fromstring(package.files["Input/portfolio.xml"])
        for trade in root.findall("Trade"):
            if trade.findtext("Envelope/NettingSetId") != item.id:
                root.remove(trade)
        files = {**package.files, "Input/portfolio.xml": etree.tostring(root)}
        shard = run(replace(package, files=files), tmp_path / item.id)
        assert shard.report("xva") == [row for row in whole.report("xva") if row["NettingSetId"] == item.id]
        profile = f"exposure_nettingset_{item.id}"
        assert shard.report(profile) == whole.report(profile)
