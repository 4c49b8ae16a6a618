"""A forward's CVA against the strip of options that it is, within the Monte Carlo error measured by other seeds."""

import math
import statistics

import pytest

from tests import requests as req
from tests.bare_engine import EngineRun, run
from xva_engine.sample.market import quotes

SEEDS = (42, 7, 2026, 31)
GRID = ["1W", "1M", "2M", "3M", "4M", "5M", "6M", "7M", "8M", "9M", "10M", "11M", "1Y"]
TERMS = {**req.FORWARD, "boughtAmount": "10000000", "soldAmount": "11900000", "valueDate": "2027-09-30"}


def _normal(value: float) -> float:
    return 0.5 * (1 + math.erf(value / math.sqrt(2)))


def _option(forward_value: tuple[float, float], deviation: float) -> float:
    """Exchange of a known euro amount for dollars at their forward value, both discounted to today (Margrabe)."""
    receive, pay = forward_value
    d1 = math.log(receive / pay) / deviation + deviation / 2
    return receive * _normal(d1) - pay * _normal(d1 - deviation)


def _strip(result: EngineRun) -> tuple[float, list[float]]:
    """CVA and discounted expected exposures; hazard rate and volatility are flat up to a year."""
    found = {key: float(value) for key, value in quotes().items()}
    hazard = found["HAZARD_RATE/RATE/ALDER_ENERGY/SR/EUR/1Y"]
    recovery = found["RECOVERY_RATE/RATE/ALDER_ENERGY/SR/EUR"]
    volatility = found["FX_OPTION/RATE_LNVOL/EUR/USD/1Y/ATM"]
    legs = run_legs(result)
    cva, exposures, before = 0.0, [], 0.0
    for row in result.report("exposure_nettingset_NS_ALDER")[1:]:
        time = float(row["Time"])
        last = row["Date"] >= TERMS["valueDate"]
        exposure = 0.0 if last else _option(legs, volatility * math.sqrt(time))
        cva += (1 - recovery) * (math.exp(-hazard * before) - math.exp(-hazard * time)) * exposure
        exposures.append(exposure)
        before = time
    return cva, exposures


def run_legs(result: EngineRun) -> tuple[float, float]:
    """Present values of what is bought and of what is sold, in euro, from two forwards of one leg's worth each."""
    npvs = {row["TradeId"]: float(row["NPV(Base)"]) for row in result.report("npv")}
    return npvs["EUR_LEG"], -npvs["USD_LEG"]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[EngineRun]:
    legs = [
        req.trade("EUR_LEG", "FxForward", {**TERMS, "soldAmount": "0.000001"}, "NS_BALTIC"),
        req.trade("USD_LEG", "FxForward", {**TERMS, "boughtAmount": "0.000001"}, "NS_BALTIC"),
    ]
    return [
        run(
            req.package(req.message(req.trade("F", "FxForward", TERMS), *legs, samples=2000, grid=GRID, seed=seed)),
            tmp_path_factory.mktemp(f"seed{seed}"),
        )
        for seed in SEEDS
    ]


def test_cva_is_the_option_strip_within_the_monte_carlo_error(results: list[EngineRun]) -> None:
    simulated = [float(result.xva("NS_ALDER")["CVA"]) for result in results]
    expected, _ = _strip(results[0])
    mean, error = statistics.mean(simulated), statistics.stdev(simulated) / math.sqrt(len(simulated))
    assert error > 0, "the seed has no effect"
    # Stochastic rates move the forward's volatility by up to one per cent, which the strip does not know.
    assert mean == pytest.approx(expected, abs=3 * error + 0.01 * expected), (
        f"mean {mean}, error {error}, strip {expected}"
    )


def test_expected_exposures_are_the_options_of_the_strip(results: list[EngineRun]) -> None:
    _, expected = _strip(results[0])
    for place, value in enumerate(expected[:-1], start=1):
        simulated = [float(result.report("exposure_nettingset_NS_ALDER")[place]["EPE"]) for result in results]
        error = statistics.stdev(simulated) / math.sqrt(len(simulated))
        # The simulated market is a spot lag and an interpolated curve away: 2.5 parts in 10,000 of the notional.
        assert statistics.mean(simulated) == pytest.approx(value, abs=3.5 * error + 2.5e-4 * 1e7)
