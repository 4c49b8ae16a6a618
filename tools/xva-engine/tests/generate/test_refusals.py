"""Everything that the engine would get silently wrong is refused before it runs, by name.

Each row damages the small book in one way and says what must come of it: a netting set refused, or the package.
"""

from collections.abc import Callable

import pytest

from tests import requests as req
from tests.requests import Message

Damage = Callable[[Message], object]


def _trade(request: Message, trade_id: str) -> Message:
    found: Message = next(trade for trade in request["trades"] if trade["tradeId"] == trade_id)
    return found


def _terms(trade_id: str, **changes: object) -> Damage:
    def damage(request: Message) -> None:
        trade = _trade(request, trade_id)
        trade["terms"] = {**trade["terms"], **changes}

    return damage


def _set(netting_set: str, **changes: object) -> Damage:
    def damage(request: Message) -> None:
        request["nettingSets"] = [
            {**item, **changes} if item["id"] == netting_set else item for item in request["nettingSets"]
        ]

    return damage


def _csa(netting_set: str, **changes: object) -> Damage:
    def damage(request: Message) -> None:
        request["nettingSets"] = [
            {**item, "csa": {**item["csa"], **changes}} if item["id"] == netting_set else item
            for item in request["nettingSets"]
        ]

    return damage


def _quote(key: str, value: str | None) -> Damage:
    def damage(request: Message) -> None:
        request["quotes"] = [quote for quote in request["quotes"] if quote["key"] != key]
        if value is not None:
            request["quotes"].append({"key": key, "value": value})

    return damage


def _extra_quote(key: str, value: str) -> Damage:
    return lambda request: request["quotes"].append({"key": key, "value": value})


def _fixings(index: str, value: str | None) -> Damage:
    def damage(request: Message) -> None:
        kept = [fixing for fixing in request["fixings"] if fixing["index"] != index]
        changed = [{**fixing, "value": value} for fixing in request["fixings"] if fixing["index"] == index]
        request["fixings"] = kept + (changed if value is not None else [])

    return damage


def _settings(**changes: object) -> Damage:
    return lambda request: request["settings"].update(changes)


def _as_of(day: str) -> Damage:
    return lambda request: request["requestKey"].update(asOf=day)


def _duplicate(trade_id: str, netting_set: str) -> Damage:
    return lambda request: request["trades"].append({**_trade(request, trade_id), "nettingSetId": netting_set})


def _change_trade(trade_id: str, **changes: object) -> Damage:
    return lambda request: _trade(request, trade_id).update(changes)


USD_5Y = "IR_SWAP/RATE/USD/2D/1D/5Y"
USD_SETS = {"NS_BALTIC", "NS_CARIOCA", "NS_DANUBE", "NS_FJORD", "NS_ALDER"}
SONIA_SETS = {"NS_BALTIC", "NS_FJORD"}
SET_ROWS: list[tuple[str, Damage, set[str], str, str, str]] = [
    (
        "unknown type",
        _change_trade("IRS_0000", tradeType="Tarn"),
        {"NS_ALDER"},
        "unknown-trade-type",
        "IRS_0000",
        "Tarn",
    ),
    (
        "empty terms",
        _change_trade("IRS_0000", terms={}),
        {"NS_ALDER"},
        "bad-terms",
        "IRS_0000",
        "fixedRate: is missing",
    ),
    (
        "raw terms",
        _change_trade("IRS_0000", terms={"raw": "notional=5"}),
        {"NS_ALDER"},
        "bad-terms",
        "IRS_0000",
        "terms are no JSON object",
    ),
    ("bad date", _terms("FXF_0000", valueDate="2027-02-30"), {"NS_BALTIC"}, "bad-terms", "FXF_0000", "valueDate"),
    ("far date", _terms("FXF_0000", valueDate="2999-01-01"), {"NS_BALTIC"}, "bad-terms", "FXF_0000", "2999-01-01"),
    ("numeric amount", _terms("FXF_0000", soldAmount=5.0), {"NS_BALTIC"}, "bad-terms", "FXF_0000", "soldAmount"),
    ("NaN amount", _terms("FXF_0000", soldAmount="NaN"), {"NS_BALTIC"}, "bad-terms", "FXF_0000", "NaN"),
    ("negative", _terms("IRS_0000", notional="-5"), {"NS_ALDER"}, "bad-terms", "IRS_0000", "above zero"),
    ("percent", _terms("IRS_0000", fixedRate="2.31"), {"NS_ALDER"}, "bad-terms", "IRS_0000", "fixedRate 2.31 is 231"),
    ("spread", _terms("IRS_0000", floatSpread="-25"), {"NS_ALDER"}, "bad-terms", "IRS_0000", "floatSpread -25 is"),
    ("XCCY spread", _terms("XCCY_0000", paySpread="3"), {"NS_BALTIC"}, "bad-terms", "XCCY_0000", "paySpread 3 is 300"),
    (
        "immense",
        _terms("IRS_0000", notional="10000000000001"),
        {"NS_ALDER"},
        "notional-out-of-range",
        "IRS_0000",
        "above 10000000000000",
    ),
    ("unknown ccy", _terms("FXF_0000", boughtCurrency="SEK"), {"NS_BALTIC"}, "unknown-currency", "FXF_0000", "SEK"),
    (
        "unsupported ccy",
        _terms("SWPT_0000", currency="BRL"),
        {"NS_DANUBE"},
        "unsupported-currency",
        "SWPT_0000",
        "Swaption is not supported in BRL",
    ),
    (
        "unknown index",
        _terms("IRS_0000", floatIndex="EUR-EONIA"),
        {"NS_ALDER"},
        "unknown-index",
        "IRS_0000",
        "EUR-EONIA",
    ),
    ("other index", _terms("IRS_0000", floatIndex="USD-SOFR"), {"NS_ALDER"}, "bad-terms", "IRS_0000", "not in EUR"),
    ("fixed tenor", _terms("IRS_0000", fixedTenor="7M"), {"NS_ALDER"}, "bad-terms", "IRS_0000", "fixedTenor 7M"),
    (
        "backwards",
        _terms("IRS_0000", maturityDate="2026-01-01"),
        {"NS_ALDER"},
        "bad-terms",
        "IRS_0000",
        "is not before maturityDate",
    ),
    ("same ccy", _terms("FXO_0000", soldCurrency="USD"), {"NS_ALDER"}, "bad-terms", "FXO_0000", "both USD"),
    (
        "too long",
        _terms("IRS_0000", maturityDate="2061-05-15"),
        {"NS_ALDER"},
        "maturity-out-of-range",
        "IRS_0000",
        "2061-05-15",
    ),
    ("NDF index", _terms("NDF_0000", fxIndex="FX-ECB-EUR-USD"), {"NS_CARIOCA"}, "bad-terms", "NDF_0000", "fxIndex"),
    ("NDF payout", _terms("NDF_0000", settlementCurrency="USD"), {"NS_CARIOCA"}, "bad-terms", "NDF_0000", "neither"),
    (
        "NDF weekend",
        _terms("NDF_0000", fixingDate="2026-11-08"),
        {"NS_CARIOCA"},
        "bad-terms",
        "NDF_0000",
        "business day",
    ),
    (
        "NDF late",
        _terms("NDF_0000", fixingDate="2026-12-08"),
        {"NS_CARIOCA"},
        "bad-terms",
        "NDF_0000",
        "before fixingDate",
    ),
    (
        "late exercise",
        _terms("SWPT_0000", exerciseDate="2027-10-11"),
        {"NS_DANUBE"},
        "bad-terms",
        "SWPT_0000",
        "after start",
    ),
    (
        "weekend exercise",
        _terms("SWPT_0000", exerciseDate="2027-09-25"),
        {"NS_DANUBE"},
        "bad-terms",
        "SWPT_0000",
        "business",
    ),
    ("bad trade id", _change_trade("IRS_0000", tradeId="../IRS/0"), {"NS_ALDER"}, "bad-trade-id", "../IRS/0", "A-Z"),
    ("duplicate", _duplicate("IRS_0000", "NS_ALDER"), {"NS_ALDER"}, "duplicate-trade-id", "IRS_0000", "2 times"),
    (
        "duplicate elsewhere",
        _duplicate("IRS_0000", "NS_ELBE"),
        {"NS_ALDER", "NS_ELBE"},
        "duplicate-trade-id",
        "IRS_0000",
        "NS_ALDER, NS_ELBE",
    ),
    ("lost set", _change_trade("IRS_0000", nettingSetId="NS_X"), {"NS_X"}, "unknown-netting-set", "IRS_0000", "NS_X"),
    ("no set", _change_trade("IRS_0000", nettingSetId=""), {""}, "unknown-netting-set", "IRS_0000", "not defined"),
    ("bad party", _set("NS_ELBE", counterparty="A/B"), {"NS_ELBE"}, "bad-counterparty-id", "A/B", "A-Z"),
    (
        "two definitions",
        lambda request: request["nettingSets"].append({"id": "NS_ELBE", "counterparty": "ELBE_CHEMICALS", "csa": None}),
        {"NS_ELBE"},
        "duplicate-netting-set",
        "NS_ELBE",
        "2 times",
    ),
    ("CSA currency", _csa("NS_ELBE", currency="SEK"), {"NS_ELBE"}, "bad-csa", "NS_ELBE.csa.currency", "SEK"),
    ("CSA index", _csa("NS_ELBE", index="EUR-EURIBOR-6M"), {"NS_ELBE"}, "bad-csa", "NS_ELBE.csa.index", "no overnight"),
    ("CSA amount", _csa("NS_ELBE", thresholdPay="-1"), {"NS_ELBE"}, "bad-csa", "NS_ELBE.csa.thresholdPay", "negative"),
    (
        "CSA margin period",
        _csa("NS_ELBE", marginPeriodOfRisk="5Y"),
        {"NS_ELBE"},
        "bad-csa",
        "NS_ELBE.csa.marginPeriodOfRisk",
        "5Y",
    ),
    (
        "CSA that is no JSON",
        _set("NS_ELBE", csa={"raw": "threshold: none"}),
        {"NS_ELBE"},
        "bad-csa",
        "NS_ELBE.csa",
        "Invalid JSON",
    ),
    (
        "CSA without an index",
        _set("NS_ELBE", csa={"raw": '{"currency":"EUR"}'}),
        {"NS_ELBE"},
        "bad-csa",
        "NS_ELBE.csa.index",
        "index is missing",
    ),
    (
        "CSA with a number",
        _set("NS_ELBE", csa={"raw": '{"currency":"EUR","thresholdPay":1.5}'}),
        {"NS_ELBE"},
        "bad-csa",
        "NS_ELBE.csa.thresholdPay",
        "1.5",
    ),
    (
        "CSA that is an empty text",
        _set("NS_ELBE", csa={"raw": ""}),
        {"NS_ELBE"},
        "bad-csa",
        "NS_ELBE.csa",
        "EOF",
    ),
    (
        "basis swap on one index",
        _change_trade("IRS_0000", tradeType="BasisSwap", terms={**req.BASIS, "payIndex": "EUR-ESTER"}),
        {"NS_ALDER"},
        "bad-terms",
        "IRS_0000",
        "both EUR-ESTER",
    ),
    (
        "basis swap in dollars",
        _change_trade(
            "IRS_0000",
            tradeType="BasisSwap",
            terms={**req.BASIS, "currency": "USD", "payIndex": "USD-SOFR", "receiveIndex": "USD-LIBOR-3M"},
        ),
        {"NS_ALDER"},
        "unsupported-currency",
        "IRS_0000",
        "BasisSwap is not supported in USD",
    ),
    (
        "FX swap backwards",
        _change_trade("IRS_0000", tradeType="FxSwap", terms={**req.FX_SWAP, "farDate": "2026-10-05"}),
        {"NS_ALDER"},
        "bad-terms",
        "IRS_0000",
        "not before farDate",
    ),
    (
        "FX swap in one currency",
        _change_trade("IRS_0000", tradeType="FxSwap", terms={**req.FX_SWAP, "nearSoldCurrency": "EUR"}),
        {"NS_ALDER"},
        "bad-terms",
        "IRS_0000",
        "both EUR",
    ),
    (
        "no default curve",
        _set("NS_ELBE", counterparty="NOBODY"),
        {"NS_ELBE"},
        "missing-default-curve",
        "HAZARD_RATE/RATE/NOBODY/SR/EUR/5Y",
        "default curve of NOBODY",
    ),
    (
        "no recovery",
        _quote("RECOVERY_RATE/RATE/FJORD_PENSION/SR/EUR", None),
        {"NS_FJORD"},
        "missing-recovery",
        "RECOVERY_RATE/RATE/FJORD_PENSION/SR/EUR",
        "is missing",
    ),
    (
        "impossible recovery",
        _quote("RECOVERY_RATE/RATE/FJORD_PENSION/SR/EUR", "40"),
        {"NS_FJORD"},
        "quote-out-of-range",
        "RECOVERY_RATE/RATE/FJORD_PENSION/SR/EUR",
        "40",
    ),
    (
        "negative hazard",
        _quote("HAZARD_RATE/RATE/FJORD_PENSION/SR/EUR/5Y", "-0.01"),
        {"NS_FJORD"},
        "negative-hazard",
        "HAZARD_RATE/RATE/FJORD_PENSION/SR/EUR/5Y",
        "-0.01",
    ),
    ("missing quote", _quote(USD_5Y, None), USD_SETS, "missing-quote", USD_5Y, "currency USD"),
    ("NaN quote", _quote(USD_5Y, "NaN"), USD_SETS, "bad-quote", USD_5Y, "NaN"),
    ("comma", _quote(USD_5Y, "0,034"), USD_SETS, "bad-quote", USD_5Y, "0,034"),
    ("per cent", _quote(USD_5Y, "3.46"), USD_SETS, "quote-out-of-range", USD_5Y, "3.46"),
    ("two values", _extra_quote(USD_5Y, "0.02"), USD_SETS, "duplicate-quote", USD_5Y, "0.02, 0.0346"),
    (
        "missing volatility",
        _quote("FX_OPTION/RATE_LNVOL/EUR/BRL/5Y/ATM", None),
        {"NS_CARIOCA"},
        "missing-quote",
        "FX_OPTION/RATE_LNVOL/EUR/BRL/5Y/ATM",
        "currency BRL",
    ),
    ("no fixings", _fixings("GBP-SONIA", None), SONIA_SETS, "missing-fixing", "GBP-SONIA", "more days"),
    ("bad fixings", _fixings("GBP-SONIA", "n/a"), SONIA_SETS, "bad-fixing", "GBP-SONIA", "no number"),
    (
        "two fixings",
        lambda request: request["fixings"].extend(
            {**fixing, "value": "0.5"} for fixing in list(request["fixings"]) if fixing["index"] == "GBP-SONIA"
        ),
        SONIA_SETS,
        "duplicate-fixing",
        "GBP-SONIA",
        "contradict",
    ),
]


@pytest.mark.parametrize("row", SET_ROWS, ids=[row[0] for row in SET_ROWS])
def test_a_defect_refuses_its_netting_sets_and_no_other(row: tuple[str, Damage, set[str], str, str, str]) -> None:
    _, damage, refused, code, subject, words = row
    request = req.message()
    damage(request)
    manifest = req.package(request).manifest
    assert {item.id for item in manifest.refused_netting_sets} == refused
    for netting_set in refused:
        found = [item for item in manifest.refusals if item.netting_set_id == netting_set and item.code == code]
        assert any(item.subject == subject and words in item.message for item in found), manifest.refusals
    everyone = {item["id"] for item in request["nettingSets"]}
    emptied = {item.subject for item in manifest.warnings if item.code == "no-live-trade"}
    assert {item.id for item in manifest.netting_sets} == everyone - refused - emptied
    request["settings"]["strict"] = True
    assert words in req.refusal(request)[code, subject]


GLOBAL_ROWS: list[tuple[str, Damage, str, str]] = [
    ("Sunday", _as_of("2026-09-27"), "as-of-not-business-day", "2026-09-27"),
    ("holiday", _as_of("2026-12-25"), "as-of-not-business-day", "2026-12-25"),
    ("ancient", _as_of("0999-01-04"), "bad-as-of", "0999-01-04"),
    ("base currency", _settings(baseCurrency="SEK"), "unsupported-base-currency", "SEK"),
    ("base without surface", _settings(baseCurrency="BRL"), "unsupported-base-currency", "BRL"),
    ("quantile", _settings(quantile="1.5"), "bad-quantile", "quantile"),
    ("grid order", _settings(grid=["1Y", "6M"]), "bad-grid", "grid"),
    ("grid twice", _settings(grid=["1Y", "12M"]), "bad-grid", "grid"),
    ("grid end", _settings(grid=["1Y", "9999Y"]), "bad-grid", "grid"),
    ("own name", _settings(dvaName="NOBODY"), "missing-default-curve", "HAZARD_RATE/RATE/NOBODY/SR/EUR/1Y"),
    ("funding", _settings(dvaName="NOBODY"), "missing-quote", "ZERO/RATE/EUR/NOBODY_LEND/A365/1Y"),
    ("base curve", _quote("IR_SWAP/RATE/EUR/2D/1D/10Y", None), "missing-quote", "IR_SWAP/RATE/EUR/2D/1D/10Y"),
    (
        "base volatility",
        _quote("SWAPTION/RATE_NVOL/EUR/5Y/5Y/ATM", "x"),
        "bad-quote",
        "SWAPTION/RATE_NVOL/EUR/5Y/5Y/ATM",
    ),
    ("no trades", lambda request: request["trades"].clear(), "no-netting-set", "SMALL"),
    ("no sets", lambda request: request["nettingSets"].clear(), "no-netting-set", "SMALL"),
]


@pytest.mark.parametrize("row", GLOBAL_ROWS, ids=[row[0] for row in GLOBAL_ROWS])
def test_what_spoils_everything_refuses_the_package(row: tuple[str, Damage, str, str]) -> None:
    _, damage, code, subject = row
    request = req.message()
    damage(request)
    assert (code, subject) in req.refusal(request)


def test_everything_is_told_at_once() -> None:
    request = req.message()
    for damage in (_as_of("2026-09-27"), _quote(USD_5Y, None), _terms("FXF_0000", soldAmount="0", boughtCurrency="x")):
        damage(request)
    _change_trade("IRS_0001", tradeType="Tarn")(request)
    found = req.refusal(request)
    assert {"as-of-not-business-day", "missing-quote", "bad-terms", "unknown-trade-type"} <= {code for code, _ in found}


def test_every_fault_of_a_trade_is_named() -> None:
    request = req.message()
    _terms("IRS_0000", notional="0", fixedLeg="Both", extra=1)(request)
    del _trade(request, "IRS_0000")["terms"]["startDate"]
    messages = [item.message for item in req.package(request).manifest.refusals if item.trade_id == "IRS_0000"]
    for member in ("notional", "fixedLeg", "extra", "startDate"):
        assert sum(f": {member}: " in message for message in messages) == 1


def test_a_matured_trade_is_dropped_with_a_warning() -> None:
    request = req.message()
    _terms("FXF_0000", valueDate="2026-09-30")(request)
    _terms("FXO_0000", expiryDate="2026-09-29")(request)
    manifest = req.package(request).manifest
    assert manifest.refusals == []
    warned = {item.subject for item in manifest.warnings if item.code == "matured-trade"}
    assert warned == {"FXF_0000", "FXO_0000"}
    packaged = {trade.trade_id for item in manifest.netting_sets for trade in item.trades}
    assert warned.isdisjoint(packaged)


def test_a_trade_that_ends_before_the_first_exposure_date_is_warned_of() -> None:
    request = req.message()
    _terms("FXF_0000", valueDate="2026-10-02")(request)
    warnings = req.package(request).manifest.warnings
    assert any(item.code == "matures-before-grid" and item.subject == "FXF_0000" for item in warnings)


def test_a_grid_that_ends_early_is_warned_of() -> None:
    warnings = req.package(req.message(grid=["1W", "1Y"])).manifest.warnings
    assert any(item.code == "grid-too-short" for item in warnings)


def test_the_default_grid_covers_the_longest_maturity() -> None:
    request = req.message()
    del request["settings"]["grid"]
    manifest = req.package(request).manifest
    assert not any(item.code == "grid-too-short" for item in manifest.warnings)
    assert manifest.grid_dates > 20


def test_a_quote_given_twice_with_one_value_is_fine() -> None:
    request = req.message()
    request["quotes"] += [{"key": USD_5Y, "value": "0.03460"}]
    package = req.package(request)
    assert package.manifest.refusals == []
    assert f"20260930 {USD_5Y} 0.0346\n" in package.files["Input/market.txt"].decode()


def test_unread_refused_sets_have_no_notional() -> None:
    request = req.message()
    _terms("IRS_0000", notional="x")(request)
    _set("NS_ELBE", counterparty="NOBODY")(request)
    found = {item.id: item for item in req.package(request).manifest.refused_netting_sets}
    assert found["NS_ALDER"].gross_notional is None
    assert found["NS_ALDER"].trade_count == 2
    assert found["NS_ELBE"].gross_notional == "23580515.30"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'{"schemaVersion":"2.0"}', b"\xff\xfe"])
def test_bytes_that_are_no_request_are_refused_by_name(content: bytes) -> None:
    from xva_engine.generate.package import PackageRefusedError  # noqa: PLC0415
    from xva_engine.generate.request import parse_request  # noqa: PLC0415

    with pytest.raises(PackageRefusedError) as caught:
        parse_request(content)
    assert {error.code for error in caught.value.errors} == {"malformed-request"}
