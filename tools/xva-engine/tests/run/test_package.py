"""What the runner refuses before any engine runs, by file and reason; how it cuts the portfolio."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from tests.run.packages import SETUP, TRADES, Envelope, netting_xml, portfolio_xml, spec_of, write_minimal
from xva_engine.contracts import ShardSpec
from xva_engine.run.errors import BadInputError
from xva_engine.run.package import Package, cut_portfolio, load_package
from xva_engine.run.prechecks import check_quotes, check_sets


def load(root: Path, change: Callable[[dict[str, Any]], None] = lambda _spec: None, sets: str = "A,B") -> Package:
    spec = spec_of(root, sets.split(","))
    change(spec)
    return load_package(root, ShardSpec.model_validate(spec))


def test_a_good_package_is_read(tmp_path: Path) -> None:
    write_minimal(tmp_path)
    package = load(tmp_path)
    check_quotes(package)
    assert package.setup.as_of == "2026-09-30"
    assert package.collateralised == {"A": False, "B": True}
    assert [trade.trade_id for trade in package.trades] == ["T1", "T2", "T3"]


def test_the_cut_keeps_the_sets_trades_in_their_order(tmp_path: Path) -> None:
    write_minimal(tmp_path)
    cut = etree.fromstring(cut_portfolio(load(tmp_path), ["A"]))
    assert [trade.get("id") for trade in cut] == ["T1", "T3"]
    whole = etree.fromstring(cut_portfolio(load(tmp_path), ["A", "B"]))
    assert etree.tostring(whole[1], with_tail=False) == etree.tostring(etree.fromstring(portfolio_xml())[1])


def shrink(spec: dict[str, Any]) -> None:
    spec["parts"][0]["size"] -= 1


def other_hash(spec: dict[str, Any]) -> None:
    spec["parts"][0]["sha256"] = "0" * 64


def other_shared_hash(spec: dict[str, Any]) -> None:
    spec["sharedInputHash"] = "0" * 64


def absent(spec: dict[str, Any]) -> None:
    spec["parts"][0]["path"] = "Input/nowhere.txt"


def twice(spec: dict[str, Any]) -> None:
    spec["parts"].append(spec["parts"][0])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (shrink, "Input/fixings.txt: 7 bytes, the spec says 6"),
        (other_hash, "Input/fixings.txt: SHA-256 is"),
        (other_shared_hash, "sharedInputHash of the parts is"),
        (absent, "Input/nowhere.txt: the file is missing"),
        (twice, "Input/fixings.txt: the spec lists the file twice"),
    ],
)
def test_a_package_other_than_the_spec_is_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], told: str
) -> None:
    write_minimal(tmp_path)
    with pytest.raises(BadInputError, match=told):
        load(tmp_path, change)


ENTITY = '<!DOCTYPE Portfolio [<!ENTITY x SYSTEM "file:///etc/passwd">]><Portfolio>&x;</Portfolio>'


@pytest.mark.parametrize(
    ("files", "sets", "told"),
    [
        ({"portfolio": ENTITY}, "A", "Input/portfolio.xml: a DOCTYPE is not allowed"),
        ({"portfolio": "<Portfolio>"}, "A", "Input/portfolio.xml: not well-formed XML"),
        ({"simulation": "<Simulation>"}, "A", "Input/simulation.xml: not well-formed XML"),
        ({}, "C", "no trade of netting set C"),
        ({}, "A,A", "names netting set A 2 times"),
        ({"portfolio": portfolio_xml([("T1", "", "CA")])}, "A", "trade T1 has no NettingSetId"),
        ({"portfolio": portfolio_xml([("", "A", "CA")])}, "A", r"trade \(no id\) has no id"),
        ({"netting": netting_xml({"A": "false"}) * 1 + "x"}, "A", "Input/netting.xml: not well-formed"),
        ({"ore": SETUP.replace("2026-09-30", "30/09/2026")}, "A", "asofDate 30/09/2026"),
        ({"ore": SETUP.replace("Output", "../Output")}, "A", "outputPath ../Output is not a plain relative path"),
        ({"ore": SETUP.replace("Output", "Input")}, "A", "outputPath Input holds input files"),
        ({"ore": SETUP.replace("log.txt", "/log.txt")}, "A", "logFile /log.txt"),
        ({"ore": SETUP.replace("market.txt", "../m.txt")}, "A", "marketDataFile names Input/../m.txt"),
        ({"ore": SETUP.replace('"asofDate"', '"asof"')}, "A", "Setup has no asofDate"),
    ],
)
def test_a_bad_file_is_refused_by_name(tmp_path: Path, files: dict[str, str], sets: str, told: str) -> None:
    write_minimal(tmp_path, **files)
    with pytest.raises(BadInputError, match=told):
        load(tmp_path, sets=sets)


def test_a_doctype_in_another_encoding_is_refused(tmp_path: Path) -> None:
    write_minimal(tmp_path)
    text = '<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE Simulation [<!ENTITY a "b">]><Simulation/>'
    (tmp_path / "Input" / "simulation.xml").write_bytes(text.encode("utf-16"))
    with pytest.raises(BadInputError, match=r"simulation\.xml: a DOCTYPE"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"market": "20260930 FX/RATE/EUR/USD\n"}, "market.txt: line 1 is not"),
        ({"market": "20260930 K 1\n20260930 K nan\n"}, "market.txt: line 2: K has the value nan"),
        ({"market": "20260930 K 1\n20260930 K x\n"}, "market.txt: line 2: K has the value x"),
        ({"market": "20260930 K 1\n2026-09-30 K 2\n"}, "market.txt: line 2: K has two values"),
        ({"market": "20260929 K 1\n"}, "no quote of the as-of date 2026-09-30"),
        ({"market": ""}, "no quote of the as-of date"),
        ({"fixings": "20260929 EUR-ESTER inf\n"}, "fixings.txt: line 1: EUR-ESTER has the value inf"),
        ({"fixings": "20260929 I 1\n20260929 I 2\n"}, "fixings.txt: line 2: I has two values"),
    ],
)
def test_bad_quotes_are_refused_by_line(tmp_path: Path, files: dict[str, str], told: str) -> None:
    write_minimal(tmp_path, **files)
    package = load(tmp_path)
    with pytest.raises(BadInputError, match=told):
        check_quotes(package)


def test_a_repeated_quote_of_the_same_value_passes(tmp_path: Path) -> None:
    write_minimal(tmp_path, market="20260930 K 1.0\n\n# note\n20260930 K 1\n")
    check_quotes(load(tmp_path))


def codes(root: Path, trades: list[Envelope], sets: str) -> list[tuple[str, str | None, str]]:
    write_minimal(root, portfolio=portfolio_xml([*TRADES, *trades]))
    _, defects = check_sets(load(root, sets=sets), sets.split(","))
    return [(d.netting_set_id, d.trade_id, d.code) for d in defects]


@pytest.mark.parametrize(
    ("trades", "sets", "found"),
    [
        ([], "A,B", []),
        ([("T1", "A", "CA")], "A,B", [("A", "T1", "duplicate-trade-id")]),
        ([("T1", "B", "CB")], "A", [("A", "T1", "duplicate-trade-id")]),
        ([("T1", "B", "CB")], "B", [("B", "T1", "duplicate-trade-id")]),
        ([("../T4", "A", "CA")], "A,B", [("A", "../T4", "bad-trade-id")]),
        ([("T4", "A", "CX")], "A,B", [("A", None, "several-counterparties")]),
        ([("T4", "C", "")], "A,C", [("C", None, "missing-netting-definition"), ("C", "T4", "missing-counterparty")]),
    ],
)
def test_a_sets_own_defects_reject_it_however_the_run_is_sharded(
    tmp_path: Path, trades: list[Envelope], sets: str, found: list[tuple[str, str | None, str]]
) -> None:
    assert codes(tmp_path, trades, sets) == found


def test_what_is_expected_leaves_out_rejected_sets_and_knows_the_others(tmp_path: Path) -> None:
    write_minimal(tmp_path, netting=netting_xml({"B": "Y"}))
    expected, defects = check_sets(load(tmp_path), ["A", "B"])
    assert [d.code for d in defects] == ["missing-netting-definition"]
    assert list(expected.netting_sets) == ["B"]
    assert expected.netting_sets["B"].collateralised
    assert expected.foreign_counterparties == {"CA"}
