"""What-ifs: both sides on the whole book's simulation, so that the difference is the trade's and nothing else's."""

from pathlib import Path

import pytest

from tests import requests as req
from tests.bare_engine import run
from tests.generate.test_engine_accepts import assert_complete
from xva_engine.sample import frozen_request

NEW = {"tradeId": "NEW_1", "tradeType": "RateSwap", "terms": {**req.USD_SWAP, "fixedLeg": "Receive"}}


def _request(*added: req.Message, remove: tuple[str, ...] = (), netting_set: str = "NS_ALDER") -> req.Message:
    what_if = {"nettingSetId": netting_set, "addTrades": list(added), "removeTradeIds": list(remove)}
    return {**frozen_request("small"), "whatIf": what_if}


def test_both_sides_have_the_figures_that_the_whole_book_would_give_them(tmp_path: Path) -> None:
    package = req.package(_request(NEW, remove=("FXO_0000",)))
    before = req.package(frozen_request("small"))
    for part in ("simulation.xml", "market.txt", "todaysmarket.xml", "curveconfig.xml", "conventions.xml"):
        assert package.files[f"Input/{part}"] == before.files[f"Input/{part}"]
    assert [item.id for item in package.manifest.netting_sets] == ["NS_ALDER", "NS_ALDER.whatif"]
    provenance = package.manifest.provenance
    assert provenance is not None
    assert provenance.what_if is not None
    assert provenance.what_if.to_json() == {
        "without": "NS_ALDER",
        "with": "NS_ALDER.whatif",
        "addedTradeIds": ["NEW_1"],
        "removedTradeIds": ["FXO_0000"],
    }
    result = run(package, tmp_path / "what-if")
    assert_complete(result, package.manifest)
    assert result.xva("NS_ALDER") == run(before, tmp_path / "before").xva("NS_ALDER")
    after = frozen_request("small")
    after["trades"] = [trade for trade in after["trades"] if trade["tradeId"] != "FXO_0000"]
    after["trades"].append({**NEW, "nettingSetId": "NS_ALDER"})
    expected = run(req.package(after), tmp_path / "after").xva("NS_ALDER")
    found = result.xva("NS_ALDER.whatif")
    assert {**found, "NettingSetId": ""} == {**expected, "NettingSetId": ""}
    assert found["CVA"] != result.xva("NS_ALDER")["CVA"]


BRL_FORWARD = {**NEW, "tradeType": "FxForward", "terms": req.REAL_FORWARD}
CROSS_OPTION = {**NEW, "tradeType": "FxOption", "terms": {**req.OPTION, "boughtCurrency": "GBP"}}
ROWS: list[tuple[str, req.Message, str, str]] = [
    ("long", _request({**NEW, "terms": {**req.SWAP, "maturityDate": "2046-10-02"}}), "beyond-the-grid", "NEW_1"),
    ("volatility", _request(CROSS_OPTION), "new-risk-factor", "NEW_1"),
    ("unknown set", _request(NEW, netting_set="NS_NONE"), "bad-what-if", "NS_NONE"),
    ("unknown removal", _request(NEW, remove=("FXF_0000",)), "bad-what-if", "FXF_0000"),
    ("known id", _request({**NEW, "tradeId": "FXF_0000"}), "bad-what-if", "FXF_0000"),
    ("twice", _request(NEW, NEW), "duplicate-trade-id", "NEW_1"),
    ("bad id", _request({**NEW, "tradeId": "../x"}), "bad-trade-id", "../x"),
    ("long id", _request({**NEW, "tradeId": "X" * 60}), "bad-what-if", f"{'X' * 60}.whatif"),
    (
        "matured",
        _request({**NEW, "terms": {**req.SWAP, "startDate": "2020-01-02", "maturityDate": "2025-01-02"}}),
        "bad-what-if",
        "NEW_1",
    ),
    ("bad terms", _request({**NEW, "terms": {}}), "bad-terms", "NEW_1"),
    ("unknown type", _request({**NEW, "tradeType": "Tarn"}), "unknown-trade-type", "NEW_1"),
    ("nothing", _request(), "bad-what-if", "NS_ALDER"),
    ("everything", _request(remove=("FXO_0000", "IRS_0000")), "bad-what-if", "NS_ALDER"),
]


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_a_what_if_that_cannot_be_compared_is_refused(row: tuple[str, req.Message, str, str]) -> None:
    _, request, code, subject = row
    assert (code, subject) in req.refusal(request)


def test_a_new_currency_is_a_new_factor_and_named() -> None:
    request = _request(BRL_FORWARD)
    request["trades"] = [trade for trade in request["trades"] if trade["nettingSetId"] != "NS_CARIOCA"]
    assert "the currency BRL" in req.refusal(request)["new-risk-factor", "NEW_1"]
    assert [item.id for item in req.package(_request(BRL_FORWARD)).manifest.netting_sets][1] == "NS_ALDER.whatif"


def test_a_new_trade_needs_its_past_fixings() -> None:
    request = _request({**NEW, "terms": {**req.SWAP, "startDate": "2024-05-15"}})
    assert req.package(request).manifest.refusals == []
    request["fixings"] = [item for item in request["fixings"] if item["date"] < "2026-09-01"]
    request["trades"] = [trade for trade in request["trades"] if trade["tradeType"] == "FxForward"]
    forward = {**NEW, "tradeType": "BasisSwap", "terms": {**req.BASIS, "startDate": "2026-07-15"}}
    request["whatIf"] |= {"nettingSetId": "NS_BALTIC", "addTrades": [forward]}
    found = req.refusal(request)
    assert ("missing-fixing", "EUR-ESTER") in found or ("new-risk-factor", "NEW_1") in found


def test_a_set_that_is_refused_cannot_be_compared() -> None:
    request = _request(NEW)
    request["nettingSets"][0]["csa"] = {"raw": "threshold: none"}
    assert ("bad-what-if", "NS_ALDER") in req.refusal(request)


def test_defects_of_other_sets_do_not_matter() -> None:
    request = _request(NEW)
    request["nettingSets"][4]["csa"] = {"raw": "threshold: none"}
    manifest = req.package(request).manifest
    assert manifest.refusals == []
    assert manifest.refused_netting_sets == []
