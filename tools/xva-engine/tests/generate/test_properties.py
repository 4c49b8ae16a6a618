"""Whatever book is asked for: a package that passes pre-flight, or named defects; and the same bytes in any order.

`XVA_PROPERTY_EXAMPLES` sets how many books are tried (the soak tries more); a failure prints the blob that replays it.
"""

import json
import os
import random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import requests as req
from tests.generate.currency_markets import CURRENCY_MARKETS
from xva_engine.data import CATALOGUE
from xva_engine.generate.package import PackageRefusedError
from xva_engine.generate.request import parse_request
from xva_engine.sample import frozen_request

EXAMPLES = int(os.environ.get("XVA_PROPERTY_EXAMPLES", "15"))
PROFILE = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
SETS = [item["id"] for item in frozen_request("small")["nettingSets"]]
_currencies = st.sampled_from(sorted(CATALOGUE.currencies))
_indices = st.sampled_from(sorted(CATALOGUE.indices))
_amounts = st.decimals("0.01", "1e9", places=2).map(str)
_rates = st.decimals("-0.02", "0.2", places=5).map(lambda value: f"{value:f}")
_dates = st.dates(
    min_value=__import__("datetime").date(2025, 10, 1), max_value=__import__("datetime").date(2045, 12, 31)
).map(str)
_tenors = st.sampled_from(["1M", "3M", "6M", "1Y", "20Y", "7M"])
_sides = st.sampled_from(["Pay", "Receive"])
_positions = st.sampled_from(["Long", "Short"])
_FIELDS: dict[str, dict[str, Any]] = {
    "RateSwap": {"currency": _currencies, "notional": _amounts, "fixedLeg": _sides, "fixedRate": _rates}
    | {"fixedTenor": _tenors, "floatIndex": _indices, "floatSpread": _rates}
    | {"startDate": _dates, "maturityDate": _dates},
    "BasisSwap": {"currency": _currencies, "notional": _amounts, "payIndex": _indices, "paySpread": _rates}
    | {"receiveIndex": _indices, "receiveSpread": _rates, "startDate": _dates, "maturityDate": _dates},
    "CrossCurrencySwap": {"payCurrency": _currencies, "payNotional": _amounts, "payIndex": _indices}
    | {"paySpread": _rates, "receiveCurrency": _currencies, "receiveNotional": _amounts}
    | {"receiveIndex": _indices, "receiveSpread": _rates, "startDate": _dates, "maturityDate": _dates},
    "FxForward": {"boughtCurrency": _currencies, "boughtAmount": _amounts, "soldCurrency": _currencies}
    | {"soldAmount": _amounts, "valueDate": _dates},
    "FxSwap": {"nearDate": _dates, "nearBoughtCurrency": _currencies, "nearBoughtAmount": _amounts}
    | {"nearSoldCurrency": _currencies, "nearSoldAmount": _amounts, "farDate": _dates}
    | {"farBoughtAmount": _amounts, "farSoldAmount": _amounts},
    "FxOption": {"boughtCurrency": _currencies, "boughtAmount": _amounts, "soldCurrency": _currencies}
    | {"soldAmount": _amounts, "optionType": st.sampled_from(["Call", "Put"]), "position": _positions}
    | {"expiryDate": _dates},
}
_FIELDS["Swaption"] = _FIELDS["RateSwap"] | {"position": _positions, "exerciseDate": _dates}
_fitting_index = {
    code: [name for name, (owner, _) in CATALOGUE.indices.items() if owner.code == code]
    for code in CATALOGUE.currencies
}


@st.composite
def random_trades(draw: st.DrawFn) -> tuple[str, str, dict[str, str]]:
    """A trade whose parts mostly fit one another: most are packaged, some are refused."""
    kind = draw(st.sampled_from(sorted(_FIELDS)))
    terms = {name: draw(values) for name, values in _FIELDS[kind].items()}
    if draw(st.integers(0, 9)) > 0:
        for index, currency in (
            ("floatIndex", "currency"),
            ("payIndex", "payCurrency"),
            ("receiveIndex", "receiveCurrency"),
        ):
            if index in terms and currency in terms:
                terms[index] = draw(st.sampled_from(_fitting_index[terms[currency]]))
        for first, second in (("startDate", "maturityDate"), ("nearDate", "farDate"), ("exerciseDate", "startDate")):
            if first in terms and second in terms and terms[first] > terms[second]:
                terms[first], terms[second] = terms[second], terms[first]
    return draw(st.sampled_from(SETS)), kind, terms


def book_request(trades: list[tuple[str, str, dict[str, str]]]) -> req.Message:
    """The trades in the small book's netting sets, with every currency's market."""
    request = req.message(*(req.trade(f"T{n}", kind, terms, where) for n, (where, kind, terms) in enumerate(trades)))
    for market in CURRENCY_MARKETS.values():
        request["quotes"] += [{"key": key, "value": value} for key, value in market.quotes().items()]
        request["fixings"] += market.fixings()
    return request


def _outcome(request: req.Message) -> tuple[str, object]:
    try:
        package = req.package(request)
    except PackageRefusedError as error:
        return "refused", error.errors
    return package.package_id, package.files


@PROFILE
@given(st.lists(random_trades(), min_size=1, max_size=6), st.integers(0, 2**32))
def test_a_book_gives_a_sound_package_or_named_defects_in_any_order(
    trades: list[tuple[str, str, dict[str, str]]], seed: int
) -> None:
    request = book_request(trades)
    outcome = _outcome(request)  # the generator runs pre-flight on what it makes, and raises if anything is found
    if outcome[0] != "refused":
        manifest = req.package(request).manifest
        packaged = {trade.trade_id for item in manifest.netting_sets for trade in item.trades}
        matured = {item.subject for item in manifest.warnings if item.code == "matured-trade"}
        refused = {item.id for item in manifest.refused_netting_sets}
        left_out = {trade["tradeId"] for trade in request["trades"] if trade["nettingSetId"] in refused}
        everyone = {trade["tradeId"] for trade in request["trades"]}
        assert packaged | matured | left_out == everyone
        assert packaged.isdisjoint(matured | left_out)
    shuffle = random.Random(seed)  # noqa: S311 - only an order
    for name in ("trades", "nettingSets", "quotes", "fixings"):
        request[name] = shuffle.sample(request[name], len(request[name]))
    assert _outcome(dict(shuffle.sample(list(request.items()), len(request)))) == outcome


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@PROFILE
@given(
    _json
    | st.builds(
        lambda value, key: {**frozen_request("small"), key: value},
        _json,
        st.sampled_from(
            [
                "schemaVersion",
                "eventId",
                "requestKey",
                "settings",
                "nettingSets",
                "trades",
                "quotes",
                "fixings",
                "whatIf",
                "marketSnapshot",
                "creditProxies",
                "other",
            ]
        ),
    )
)
def test_any_json_is_a_package_or_named_defects(value: object) -> None:
    try:
        req.package(value) if isinstance(value, dict) else parse_request(json.dumps(value).encode())
    except PackageRefusedError as error:
        assert error.errors
        assert json.loads(error.problem().model_dump_json())["errors"]


@PROFILE
@given(
    st.binary(max_size=300)
    | st.binary(max_size=50).map(lambda noise: json.dumps(frozen_request("small")).encode()[:200] + noise)
)
def test_any_bytes_are_named_defects(content: bytes) -> None:
    try:
        parse_request(content)
    except PackageRefusedError as error:
        assert {item.code for item in error.errors} <= {"malformed-request", "too-deep", "duplicate-member"}
