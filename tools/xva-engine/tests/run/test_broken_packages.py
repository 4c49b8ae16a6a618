"""The acceptance rule against the engine itself: broken packages really run."""

from pathlib import Path

import pytest

from tests.run.engine_runs import Ran, copy_of, run, run_task
from tests.run.packages import spec_of, write_task


def in_trade(trade_id: str, pattern: str, new: str) -> tuple[str, str, str]:
    """An edit of portfolio.xml within one trade."""
    return ("portfolio.xml", rf'(<Trade id="{trade_id}">(?:(?!</Trade>).)*?){pattern}', rf"\g<1>{new}")


def rejected(ran: Ran) -> dict[str, set[tuple[str | None, str]]]:
    found: dict[str, set[tuple[str | None, str]]] = {}
    for one in ran.report.rejections:
        found.setdefault(one.netting_set_id, set()).add((one.trade_id, one.code))
    return found


@pytest.mark.parametrize(
    ("edit", "trade_id", "code"),
    [
        (in_trade("IRS_0000", "<TradeType>Swap<", "<TradeType>Swop<"), "IRS_0000", "trade-failed"),
        (in_trade("IRS_0000", "<Notional>[0-9.]+<", "<Notional>abc<"), "IRS_0000", "trade-failed"),
        (in_trade("IRS_0000", "<Currency>EUR<", "<Currency>XXX<"), "IRS_0000", "trade-missing"),
        (in_trade("IRS_0000", "<Currency>EUR<", "<Currency>JPY<"), "IRS_0000", "trade-missing"),
        (in_trade("IRS_0000", "<StartDate>....-..-..<", "<StartDate>2026-02-31<"), "IRS_0000", "trade-missing"),
        (("fixings.txt", r"\n[^\n]* EUR-EURIBOR-6M [^\n]*", ""), "IRS_0000", "value-missing"),
        (("market.txt", r"\n[^\n]*RECOVERY_RATE/RATE/ALDER_ENERGY[^\n]*", ""), None, "value-missing"),
        (("todaysmarket.xml", r'<DefaultCurve name="ALDER_ENERGY">[^<]*</DefaultCurve>', ""), None, "value-missing"),
        (
            ("netting.xml", r"<NettingSet>\s*<NettingSetId>NS_ALDER.*?</NettingSet>", ""),
            None,
            "missing-netting-definition",
        ),
        (("portfolio.xml", 'Trade id="FXO_0000"', 'Trade id="IRS_0000"'), "IRS_0000", "duplicate-trade-id"),
        (("portfolio.xml", 'Trade id="FXO_0000"', 'Trade id="../FXO"'), "../FXO", "bad-trade-id"),
    ],
)
def test_a_broken_trade_or_set_is_rejected_and_the_rest_is_right(
    book: Path, tmp_path: Path, edit: tuple[str, str, str], trade_id: str | None, code: str
) -> None:
    ran = run(copy_of(book, tmp_path, edit), "NS_ALDER", "NS_CARIOCA")
    assert ran.code == 0
    assert ran.bundle.info.rejections == ran.report.rejections
    assert (trade_id, code) in rejected(ran)["NS_ALDER"]
    assert rejected(ran).keys() == {"NS_ALDER"}
    assert ran.bundle.info.netting_sets == ["NS_CARIOCA"]
    clean = run(copy_of(book, tmp_path / "clean"), "NS_CARIOCA")
    assert ran.table("xva_netting_set") == clean.table("xva_netting_set")
    assert {row["nettingSetId"] for row in ran.table("rejections")} == {"NS_ALDER"}


@pytest.mark.parametrize(
    "defect",
    [
        (("market.txt", r"\n[^\n]* IR_SWAP/RATE/EUR/[^\n]*/10Y [^\n]*", ""), 20, "no xva report"),
        (("todaysmarket.xml", r"<FxVolatility [^>]*>[^<]*</FxVolatility>", ""), 20, "no xva report"),
        (("simulation.xml", "<Simulation>.*</Simulation>", "<Simulation/>"), 20, "no xva report"),
        (("market.txt", r"(FX/RATE/EUR/USD) \S+", r"\1 -1.1"), 20, "engine"),
        (("ore.xml", '<Analytic type="xva">', '<Analytic type="xvas">'), 10, "analytic xvas is of the whole portfolio"),
        (("ore.xml", "market.txt", "nomarket.txt"), 10, "marketDataFile names Input/nomarket.txt"),
        (("market.txt", "20260930", "20260929"), 10, "no quote of the as-of date"),
        (("portfolio.xml", "<Portfolio>.*</Portfolio>", "<Portfolio/>"), 10, "no trade of netting set"),
        (("ore.xml", "</ORE>", ""), 10, "ore.xml: not well-formed"),
    ],
)
def test_a_defect_of_all_fails_the_shard(
    book: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    defect: tuple[tuple[str, str, str], int, str],
) -> None:
    edit, code, told = defect
    ran = run(copy_of(book, tmp_path, edit), "NS_ALDER", "NS_CARIOCA")
    assert ran.code == code, ran.report.message
    assert told in ran.report.message
    assert ran.report.bundle_id is None
    assert list(ran.out.glob("*bundle-*")) == []
    assert capsys.readouterr().err.strip() == f"{ran.report.exit_class}: {ran.report.message}"


def test_a_comment_within_an_id_is_no_part_of_it(book: Path, tmp_path: Path) -> None:
    edit = in_trade("FXO_0000", "<NettingSetId>NS_ALDER<", "<NettingSetId>NS_ALDER<!-- moved --><")
    ran = run(copy_of(book, tmp_path, edit), "NS_ALDER")
    assert (ran.code, [row["tradeId"] for row in ran.table("npv")]) == (0, ["FXO_0000", "IRS_0000"])


def test_a_matured_trade_is_a_warning(book: Path, tmp_path: Path) -> None:
    maturity = in_trade("FXO_0000", "<ExerciseDate>....-..-..<", "<ExerciseDate>2026-06-30<")
    ran = run(copy_of(book, tmp_path, maturity), "NS_ALDER")
    assert ran.code == 0, ran.report.message
    assert [(one.code, one.subject) for one in ran.bundle.info.warnings] == [("trade-matured", "FXO_0000")]
    assert [row["tradeId"] for row in ran.table("npv")] == ["IRS_0000"]


def test_a_shard_with_every_set_rejected_still_says_why(book: Path, tmp_path: Path) -> None:
    twin = ("portfolio.xml", 'Trade id="FXO_0000"', 'Trade id="IRS_0000"')
    ran = run(copy_of(book, tmp_path, twin), "NS_ALDER")
    assert ran.code == 0
    assert ran.bundle.info.netting_sets == []
    assert rejected(ran) == {"NS_ALDER": {("IRS_0000", "duplicate-trade-id")}}


def test_what_lies_in_output_from_before_does_not_matter(book: Path, tmp_path: Path) -> None:
    root = copy_of(book, tmp_path)
    (root / "Output").mkdir()
    stale = '{ "category": "Error", "group": "Trade", "message": "from yesterday", "sub_fields": [] }\n'
    (root / "Output" / "log_structured.json").write_text(stale)
    (root / "Output" / "xva.csv").write_text("stale")
    ran = run(root, "NS_CARIOCA")
    assert ran.code == 0, ran.report.message
    assert (root / "Output" / "log_structured.json").read_text() == stale


def test_a_tampered_part_is_refused_by_name(book: Path, tmp_path: Path) -> None:
    root = copy_of(book, tmp_path)
    task = write_task(root, spec_of(root, ["NS_CARIOCA"]))
    market = root / "Input" / "market.txt"
    market.write_text(market.read_text().replace("0.4", "0.5", 1))
    ran = run_task(root, task, root / "out")
    assert ran.code == 10
    assert ran.report.message.startswith("Input/market.txt: SHA-256 is")
