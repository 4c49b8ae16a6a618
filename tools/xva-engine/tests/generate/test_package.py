"""Packages: the same bytes for the same request, values untouched, factors from what is accepted."""

import json
import os
import random
import subprocess
import sys
from decimal import Decimal

import pytest
from lxml import etree

from tests import requests as req
from xva_engine.contracts import canonical_json, package_id_of, sha256_hex, shared_input_hash_of
from xva_engine.data import CATALOGUE
from xva_engine.generate.matrix import matrix_markdown
from xva_engine.generate.package import Package
from xva_engine.generate.trades import PRODUCTS
from xva_engine.sample import frozen_request

SEED = 20260930


def _shuffled(request: req.Message, seed: int) -> req.Message:
    shuffle = random.Random(seed)  # noqa: S311 - only an order
    changed = dict(shuffle.sample(list(request.items()), len(request)))
    for name in ("nettingSets", "trades", "quotes", "fixings"):
        changed[name] = shuffle.sample(request[name], len(request[name]))
    changed["trades"] = [
        {**trade, "terms": dict(shuffle.sample(list(trade["terms"].items()), len(trade["terms"])))}
        for trade in changed["trades"]
    ]
    return changed


def _broken() -> req.Message:
    """With refusals and warnings of many kinds."""
    request = frozen_request("demo")
    request["trades"][0]["terms"]["notional"] = "x"
    request["trades"][1]["tradeType"] = "Tarn"
    request["trades"].append({**request["trades"][-1], "nettingSetId": "NS_NONE"})
    request["nettingSets"][2] = {**request["nettingSets"][2], "counterparty": "NOBODY"}
    request["quotes"].append({"key": "SOME/QUOTE", "value": "1"})
    return request


@pytest.mark.parametrize(
    "request_", [frozen_request("small"), frozen_request("demo"), _broken()], ids=["small", "demo", "broken"]
)
def test_order_makes_no_difference(request_: req.Message) -> None:
    first = req.package(request_)
    for seed in range(SEED, SEED + 3):
        other = req.package(_shuffled(request_, seed))
        assert other.files == first.files, f"seed {seed}"
        assert other.manifest_bytes == first.manifest_bytes, f"seed {seed}"


def test_processes_with_other_hash_seeds_agree() -> None:
    ids = set()
    script = (
        "import sys; from xva_engine.generate.package import generate;"
        "from xva_engine.generate.request import parse_request;"
        "print(generate(parse_request(sys.stdin.buffer.read())).package_id)"
    )
    for seed in ("0", "1", "4242"):
        answer = subprocess.run(
            [sys.executable, "-c", script],
            input=json.dumps(frozen_request("small")),
            env={**os.environ, "PYTHONHASHSEED": seed, "TZ": f"Etc/GMT+{len(seed)}"},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        ids.add(answer.stdout.strip())
    assert ids == {req.package(frozen_request("small")).package_id}


def test_manifest_names_every_part() -> None:
    package = req.package(req.message())
    manifest = package.manifest
    assert package.package_id == package_id_of(manifest) == sha256_hex(package.manifest_bytes)
    assert package.manifest_bytes.decode() == canonical_json(json.loads(package.manifest_bytes))
    assert [part.path for part in manifest.parts] == sorted(package.files)
    for part in manifest.parts:
        assert part.sha256 == sha256_hex(package.files[part.path])
        assert part.size == len(package.files[part.path])
    assert manifest.shared_input_hash == shared_input_hash_of(manifest.parts)
    assert len({part.role for part in manifest.parts}) == len(manifest.parts) == 10


def test_the_portfolio_is_not_in_the_shared_hash() -> None:
    one, other = req.message(), req.message()
    other["trades"][0]["terms"]["notional"] = "9000000"
    assert req.package(one).manifest.shared_input_hash == req.package(other).manifest.shared_input_hash
    other["quotes"][0]["value"] = "0.0189"
    assert req.package(one).manifest.shared_input_hash != req.package(other).manifest.shared_input_hash


def test_next_revision_shares_its_parts() -> None:
    one, other = (req.package(frozen_request("small", revision)) for revision in (1, 2))
    assert one.files == other.files
    assert one.package_id != other.package_id


def test_values_are_passed_through_to_the_digit() -> None:
    request = req.message(
        req.trade(
            "A", "FxForward", {**req.FORWARD, "boughtAmount": "1000000.100000000000000001", "soldAmount": "1180000.50"}
        ),
        req.trade("B", "RateSwap", {**req.SWAP, "fixedRate": "0.02310", "floatSpread": "-0.0"}),
    )
    spot = next(quote for quote in request["quotes"] if quote["key"] == "FX/RATE/EUR/USD")
    spot["value"] = "1.17250000000000000000009"
    files = req.package(request).files
    assert b"20260930 FX/RATE/EUR/USD 1.17250000000000000000009\n" in files["Input/market.txt"]
    for text in (b">1000000.100000000000000001<", b">1180000.50<", b">0.02310<", b">-0.0<"):
        assert text in files["Input/portfolio.xml"]


def test_gross_notional_is_the_larger_side_in_base_currency() -> None:
    request = req.message(
        req.trade("A", "FxForward", {**req.FORWARD, "boughtAmount": "1000000", "soldAmount": "1180000"}),
        req.trade("B", "RateSwap", {**req.GBP_SWAP, "notional": "8694000"}),
    )
    expected = (Decimal(1180000) / Decimal("1.1725")).quantize(Decimal("0.01")) + Decimal("10000000.00")
    assert req.package(request).manifest.netting_sets[0].gross_notional == str(expected)


def _simulated(package: Package, path: str) -> list[str]:
    return [element.text or "" for element in etree.fromstring(package.files["Input/simulation.xml"]).iterfind(path)]


def test_factors_come_from_accepted_netting_sets_only() -> None:
    forward, real = req.trade("A", "FxForward", req.FORWARD), req.trade("B", "FxNdf", req.NDF, "NS_CARIOCA")
    both = req.package(req.message(forward, real))
    assert _simulated(both, "Market/Currencies/Currency") == ["EUR", "BRL", "USD"]
    request = req.message(forward, {**real, "terms": {**req.NDF, "soldAmount": "0"}})
    assert _simulated(req.package(request), "Market/Currencies/Currency") == ["EUR", "USD"]


def test_a_csa_brings_its_currency_and_index() -> None:
    request = req.message(req.trade("A", "RateSwap", req.SWAP, "NS_ELBE"))
    request["nettingSets"][4]["csa"] |= {"currency": "USD", "index": "USD-SOFR"}
    package = req.package(request)
    assert _simulated(package, "Market/Currencies/Currency") == ["EUR", "USD"]
    assert _simulated(package, "Market/AggregationScenarioDataIndices/Index") == ["USD-SOFR"]


def test_only_needed_quotes_and_fixings_are_packaged() -> None:
    package = req.package(req.message(req.trade("A", "FxForward", req.FORWARD)))
    market = package.files["Input/market.txt"].decode()
    assert "/GBP/" not in market
    assert "/BRL" not in market
    assert package.files["Input/fixings.txt"] == b""
    assert any(item.code == "unused-quotes" for item in package.manifest.warnings)


def test_an_uncalibrated_model_is_said_to_be_one() -> None:
    warnings = req.package(req.message(req.trade("A", "FxNdf", req.NDF))).manifest.warnings
    assert any(item.code == "uncalibrated-model" and item.subject == "IR:BRL" for item in warnings)


def test_costs_are_those_of_the_product_files() -> None:
    costs = {
        trade.trade_type: trade.cost_nanos
        for item in req.package(req.message()).manifest.netting_sets
        for trade in item.trades
    }
    assert costs == {name: PRODUCTS[name].cost_nanos for name in costs}


def test_the_matrix_names_every_product_and_currency() -> None:
    text = matrix_markdown()
    for name in (*PRODUCTS, *CATALOGUE.currencies, *CATALOGUE.indices):
        assert f"| {name} " in text
