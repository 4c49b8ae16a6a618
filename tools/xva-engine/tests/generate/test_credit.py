"""Default curves: hazard rates, CDS spreads and proxies, each refused by name when it is not clear which."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from lxml import etree

from tests import requests as req
from tests.bare_engine import run
from tests.generate.test_engine_accepts import assert_complete

CDS = ("0.0082", "0.0104", "0.0125", "0.0139", "0.0151")
PILLARS = ("1Y", "3Y", "5Y", "7Y", "10Y")
HAZARDS = ("HAZARD_RATE/RATE/ALDER_ENERGY/SR/EUR/1Y", "HAZARD_RATE/RATE/ALDER_ENERGY/SR/EUR/5Y")


def _without_hazards(request: req.Message, name: str) -> req.Message:
    request["quotes"] = [item for item in request["quotes"] if f"HAZARD_RATE/RATE/{name}/" not in item["key"]]
    return request


def _with_cds(request: req.Message, name: str, spreads: tuple[str, ...] = CDS) -> req.Message:
    keys = [f"CDS/CREDIT_SPREAD/{name}/SR/EUR/{pillar}" for pillar in PILLARS]
    request["quotes"] += [{"key": key, "value": value} for key, value in zip(keys, spreads, strict=True)]
    return request


def _book() -> req.Message:
    swap = req.trade("SWAP", "RateSwap", {**req.SWAP, "fixedRate": "0.0201"})
    return req.message(swap, samples=200, grid=["1M", "6M", "1Y", "2Y", "3Y", "4Y", "5Y"])


_BOOTSTRAP = """
import json, sys
import QuantLib as ql
order = json.load(sys.stdin)
ql.Settings.instance().evaluationDate = ql.Date(30, 9, 2026)
discount = ql.YieldTermStructureHandle(ql.FlatForward(ql.Date(30, 9, 2026), 0.02, ql.Actual365Fixed()))
helpers = [
    ql.SpreadCdsHelper(float(spread), ql.Period(pillar), 0, ql.WeekendsOnly(), ql.Quarterly, ql.Following,
                       ql.DateGeneration.CDS2015, ql.Actual360(), 0.4, discount, True, True, ql.Date(),
                       ql.Actual360(True))
    for pillar, spread in zip(order["pillars"], order["spreads"])
]
curve = ql.PiecewiseFlatHazardRate(ql.Date(30, 9, 2026), helpers, ql.Actual365Fixed())
print(json.dumps([curve.survivalProbability(float(time), True) for time in order["times"]]))
"""


def test_cva_on_cds_spreads_is_that_of_independently_bootstrapped_default_probabilities(tmp_path: Path) -> None:
    package = req.package(_with_cds(_without_hazards(_book(), "ALDER_ENERGY"), "ALDER_ENERGY"))
    assert package.manifest.refusals == []
    assert {item.name: item.kind for item in (package.manifest.provenance or pytest.fail()).credit} == {
        "ALDER_ENERGY": "cds-spreads",
        "LAB_BANK": "hazard-rates",
    }
    result = run(package, tmp_path)
    assert_complete(result, package.manifest)
    profile = result.report("exposure_nettingset_NS_ALDER")
    order = {"pillars": PILLARS, "spreads": CDS, "times": [row["Time"] for row in profile]}
    answer = subprocess.run(
        [sys.executable, "-c", _BOOTSTRAP],
        input=json.dumps(order),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    survival = json.loads(answer.stdout)
    cva = sum(
        0.6 * (before - after) * float(row["EPE"])
        for before, after, row in zip(survival, survival[1:], profile[1:], strict=False)
    )
    # At one year the two bootstraps agree to 1 part in 10,000, between pillars to 5 in 1,000; the CVA lies between.
    assert float(result.xva("NS_ALDER")["CVA"]) == pytest.approx(cva, rel=4e-3)


def test_a_proxy_gives_the_figures_of_the_curve_that_it_is_and_the_provenance_says_so(tmp_path: Path) -> None:
    request = _without_hazards(_book(), "ALDER_ENERGY")
    request["creditProxies"] = [{"name": "ALDER_ENERGY", "proxy": "BALTIC_FREIGHT", "reason": "same sector and rating"}]
    package = req.package(request)
    assert package.manifest.refusals == []
    provenance = package.manifest.provenance
    assert provenance is not None
    found = next(item for item in provenance.credit if item.name == "ALDER_ENERGY")
    assert (found.curve_of, found.kind, found.reason) == ("BALTIC_FREIGHT", "hazard-rates", "same sector and rating")
    assert any(item.code == "credit-proxy" and "same sector" in item.message for item in package.manifest.warnings)
    market = etree.fromstring(package.files["Input/todaysmarket.xml"])
    assert market.findtext("DefaultCurves/DefaultCurve[@name='ALDER_ENERGY']") == "Default/EUR/BALTIC_FREIGHT_SR"
    proxied = run(package, tmp_path / "proxy")
    assert_complete(proxied, package.manifest)
    own = _without_hazards(_book(), "ALDER_ENERGY")
    own["quotes"] += [
        {**item, "key": item["key"].replace("BALTIC_FREIGHT", "ALDER_ENERGY")}
        for item in own["quotes"]
        if "HAZARD_RATE/RATE/BALTIC_FREIGHT" in item["key"]
    ]
    assert run(req.package(own), tmp_path / "own").xva("NS_ALDER") == proxied.xva("NS_ALDER")


def _refusals(request: req.Message) -> set[tuple[str, str]]:
    request["trades"].append(req.trade("OTHER", "FxForward", req.FORWARD, "NS_ELBE"))
    manifest = req.package(request).manifest
    assert {item.id for item in manifest.netting_sets} == {"NS_ELBE"}
    return {(item.code, item.subject) for item in manifest.refusals}


@pytest.mark.parametrize(
    ("proxies", "expected"),
    [
        ([], ("missing-default-curve", HAZARDS[0])),
        ([("ALDER_ENERGY", "NOBODY")], ("bad-credit-proxy", "ALDER_ENERGY")),
        ([("ALDER_ENERGY", "ALDER_ENERGY")], ("bad-credit-proxy", "ALDER_ENERGY")),
        ([("ALDER_ENERGY", "X"), ("X", "BALTIC_FREIGHT")], ("bad-credit-proxy", "ALDER_ENERGY")),
        ([("ALDER_ENERGY", "BALTIC_FREIGHT"), ("ALDER_ENERGY", "DANUBE_STEEL")], ("bad-credit-proxy", "ALDER_ENERGY")),
    ],
)
def test_a_name_without_a_curve_refuses_its_netting_sets(
    proxies: list[tuple[str, str]], expected: tuple[str, str]
) -> None:
    request = _without_hazards(_book(), "ALDER_ENERGY")
    if proxies:
        request["creditProxies"] = [{"name": name, "proxy": proxy, "reason": "r"} for name, proxy in proxies]
    assert expected in _refusals(request)


def test_two_kinds_of_curve_are_one_too_many() -> None:
    assert _refusals(_with_cds(_book(), "ALDER_ENERGY")) == {("ambiguous-credit", "ALDER_ENERGY")}
    request = _book()
    request["creditProxies"] = [{"name": "ALDER_ENERGY", "proxy": "BALTIC_FREIGHT", "reason": "r"}]
    assert _refusals(request) == {("ambiguous-credit", "ALDER_ENERGY")}


@pytest.mark.parametrize(
    ("spreads", "code"),
    [
        (("0.0500", "0.0104", "0.0125", "0.0139", "0.0151"), "negative-hazard"),
        (("82", "104", "125", "139", "151"), "quote-out-of-range"),
        (("0.0082", "x", "0.0125", "0.0139", "0.0151"), "bad-quote"),
    ],
)
def test_spreads_that_make_no_curve_are_refused(spreads: tuple[str, ...], code: str) -> None:
    request = _with_cds(_without_hazards(_book(), "ALDER_ENERGY"), "ALDER_ENERGY", spreads)
    assert code in {found for found, _ in _refusals(request)}


def test_a_proxy_that_nothing_needs_is_a_warning() -> None:
    request = _book()
    request["creditProxies"] = [{"name": "SOMEBODY", "proxy": "BALTIC_FREIGHT", "reason": "r"}]
    assert any(item.code == "unused-credit-proxy" for item in req.package(request).manifest.warnings)
