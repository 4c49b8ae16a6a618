"""A swap's CVA against the strip of swaptions that it is, within the Monte Carlo error measured by other seeds.

The strip is in closed form on a model that the test calibrates itself, so this holds the calibration, the scenarios,
the simulated market, the pricing on it and the CVA sum together.
"""

import json
import math
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import requests as req
from tests.bare_engine import EngineRun, run
from xva_engine.sample.market import quotes

SEEDS = (42, 7, 2026)
GRID = ["1Y", "2Y", "3Y", "4Y", "5Y", "6Y", "7Y"]
HAZARD = "0.0121"
TERMS = {
    **req.SWAP,
    "floatIndex": "EUR-ESTER",
    "fixedRate": "0.0240",
    "startDate": "2026-09-25",
    "maturityDate": "2033-09-26",
}
"""Each exposure date is three to five days into a coupon, when the exposure is a swaption's payoff."""
SWAPS = {"NS_ALDER": TERMS, "NS_BALTIC": {**TERMS, "fixedLeg": "Receive"}}
COARSENESS = 1e-4 * float(TERMS["notional"])
"""A simulated curve is straight between its points, which moves every exposure by up to this; with 16,384 samples
it was seen as 0.04% of the payer's CVA and 0.5% of the receiver's."""


def _quotes() -> dict[str, str]:
    found = quotes()
    for name in ("ALDER_ENERGY", "BALTIC_FREIGHT"):
        found |= {f"HAZARD_RATE/RATE/{name}/SR/EUR/{pillar}": HAZARD for pillar in ("1Y", "5Y", "10Y")}
    return found


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[EngineRun]:
    found = []
    for seed in SEEDS:
        trades = [req.trade(f"T_{name}", "RateSwap", terms, name) for name, terms in SWAPS.items()]
        request = req.message(*trades, samples=1024, grid=GRID, seed=seed)
        request["quotes"] = [{"key": key, "value": value} for key, value in _quotes().items()]
        found.append(run(req.package(request), tmp_path_factory.mktemp(f"seed{seed}")))
    return found


@pytest.fixture(scope="module")
def strip(results: list[EngineRun]) -> dict[str, Any]:
    order = {
        "quotes": _quotes(),
        "swaps": SWAPS,
        "dates": [row["Date"] for row in results[0].report("exposure_nettingset_NS_ALDER")[1:]],
        "hazard": float(HAZARD),
        "recovery": float(_quotes()["RECOVERY_RATE/RATE/ALDER_ENERGY/SR/EUR"]),
    }
    answer = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("swap_strip.py"))],
        input=json.dumps(order),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


@pytest.mark.parametrize("netting_set", SWAPS)
def test_cva_is_the_strip_of_swaptions(netting_set: str, results: list[EngineRun], strip: dict[str, Any]) -> None:
    simulated = [float(result.xva(netting_set)["CVA"]) for result in results]
    mean, error = statistics.mean(simulated), statistics.stdev(simulated) / math.sqrt(len(simulated))
    expected = strip[netting_set]["cva"]
    assert error > 0, "the seed has no effect"
    recovery = float(_quotes()["RECOVERY_RATE/RATE/ALDER_ENERGY/SR/EUR"])
    coarse = COARSENESS * (1 - recovery) * (1 - math.exp(-7 * float(HAZARD)))
    assert mean == pytest.approx(expected, abs=3 * error + coarse), f"mean {mean}, error {error}, strip {expected}"


@pytest.mark.parametrize("netting_set", SWAPS)
def test_exposures_are_swaptions(netting_set: str, results: list[EngineRun], strip: dict[str, Any]) -> None:
    found = [
        [float(row["EPE"]) for row in result.report(f"exposure_nettingset_{netting_set}")[1:]] for result in results
    ]
    # Three seeds tell the error of one date badly, that of all dates well.
    error = max(statistics.stdev(values) for values in zip(*found, strict=True)) / math.sqrt(len(SEEDS))
    for place, expected in enumerate(strip[netting_set]["exposures"][:-1]):
        mean = statistics.mean(values[place] for values in found)
        assert mean == pytest.approx(expected, abs=3 * error + COARSENESS), f"date {place}: error {error}"
