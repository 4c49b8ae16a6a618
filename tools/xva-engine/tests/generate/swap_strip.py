"""A swap's CVA as the strip of swaptions that it is, in closed form: no simulation, nothing of the engine's.

A script, because QuantLib and the engine cannot live in one process. Reads `{"quotes": …, "swaps": {name: terms},
"dates": [iso], "hazard": …, "recovery": …}` and prints each swap's discounted expected exposures and CVA.

The model is the one-factor linear Gauss-Markov model that the simulation has: x is normal with variance zeta(t), a
discount factor over the numeraire is P(0,T) exp(-H(T) x - H(T)^2 zeta / 2), and H(t) = (1 - exp(-k t)) / k. What
follows from that is integrated over x; the volatilities are found here, swaption by swaption, from the quotes.
"""

import itertools
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import QuantLib as ql

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.generate.reference_prices import AS_OF, OVERNIGHT, Market, day

REVERSION = 0.02
STEPS = (1.0, 2.0, 3.0, 5.0, 7.0, 10.0)
BASKET = (("1Y", "15Y"), ("2Y", "15Y"), ("3Y", "15Y"), ("5Y", "10Y"), ("7Y", "10Y"))
Flow = tuple[float, float, float]
"""Amount, time of payment and its discount factor of today."""


def loading(time: float) -> float:
    """H of the model."""
    return (1 - math.exp(-REVERSION * time)) / REVERSION


def zeta(time: float, alphas: Sequence[float]) -> float:
    """Variance of the state: alpha is constant between the steps."""
    total, before = 0.0, 0.0
    for step, alpha in zip([*STEPS, 100.0], alphas, strict=False):
        upper = min(time, step)
        if upper > before:
            total += alpha * alpha * (upper - before)
        before = step
    return total


def option(flows: Sequence[Flow], variance: float) -> float:
    """Today's value of the right to receive the flows (worth of the flows where that is above zero), by quadrature."""
    deviation, nodes, total = math.sqrt(variance), 400, 0.0
    width = 16.0 / nodes
    for node in range(nodes):
        z = -8.0 + (node + 0.5) * width
        x = z * deviation
        worth = sum(
            amount * factor * math.exp(-loading(time) * x - 0.5 * loading(time) ** 2 * variance)
            for amount, time, factor in flows
        )
        if worth > 0:
            total += worth * math.exp(-0.5 * z * z) / math.sqrt(2 * math.pi) * width
    return total


def time_of(date: ql.Date) -> float:
    """As the model and the curves measure time."""
    return float(ql.Actual365Fixed().yearFraction(AS_OF, date))


def basket_swaption(market: Market, expiry: str, term: str) -> tuple[list[Flow], float, float]:
    """Flows of the at-the-money payer swap under an overnight swaption, its expiry in years, and its market price."""
    calendar, curve = ql.TARGET(), market.discount["EUR"]
    exercise = calendar.advance(AS_OF, ql.Period(expiry), ql.Following)
    start = calendar.advance(exercise, 2, ql.Days)
    end = calendar.advance(start, ql.Period(term))
    dates = list(
        ql.Schedule(
            start,
            end,
            ql.Period("1Y"),
            calendar,
            ql.ModifiedFollowing,
            ql.ModifiedFollowing,
            ql.DateGeneration.Backward,
            False,
        )
    )
    accruals = [ql.Actual360().yearFraction(one, other) for one, other in itertools.pairwise(dates)]
    payments = [calendar.advance(date, 1, ql.Days) for date in dates[1:]]
    annuity = sum(accrual * curve.discount(date) for accrual, date in zip(accruals, payments, strict=True))
    floating = sum(
        (curve.discount(one) / curve.discount(other) - 1) * curve.discount(payment)
        for one, other, payment in zip(dates, dates[1:], payments, strict=False)
    )
    rate, maturity = floating / annuity, time_of(exercise)
    volatility = volatility_at(market, maturity, time_of(end) - time_of(start))
    price = annuity * volatility * math.sqrt(maturity / (2 * math.pi))
    flows: list[Flow] = [(1.0, time_of(dates[0]), curve.discount(dates[0]))]
    flows += [(-1.0, time_of(dates[-1]), curve.discount(dates[-1]))]
    flows += [
        (-rate * accrual, time_of(payment), curve.discount(payment))
        for accrual, payment in zip(accruals, payments, strict=True)
    ]
    return flows, maturity, price


def volatility_at(market: Market, expiry: float, term: float) -> float:
    """Linear in expiry and term between quotes."""
    expiries = {"6M": 0.5, "1Y": 1.0, "2Y": 2.0, "3Y": 3.0, "5Y": 5.0, "7Y": 7.0, "10Y": 10.0}
    terms = {"5Y": 5.0, "10Y": 10.0, "20Y": 20.0}

    def row(name: str) -> float:
        points = [
            (years, market.quotes[f"SWAPTION/RATE_NVOL/EUR/{name}/{tenor}/ATM"]) for tenor, years in terms.items()
        ]
        return _between(points, term)

    return _between([(years, row(name)) for name, years in expiries.items()], expiry)


def _between(points: Sequence[tuple[float, float]], place: float) -> float:
    for (left, low), (right, high) in itertools.pairwise(points):
        if place <= right:
            return low + (high - low) * (max(place, left) - left) / (right - left)
    return points[-1][1]


def calibrated(market: Market) -> list[float]:
    """Alphas that give every swaption of the basket its market price, one after another."""
    alphas: list[float] = []
    for expiry, term in BASKET:
        flows, maturity, price = basket_swaption(market, expiry, term)
        low, high = 1e-4, 0.05
        for _ in range(40):
            middle = (low + high) / 2
            if option(flows, zeta(maturity, [*alphas, middle, middle])) < price:
                low = middle
            else:
                high = middle
        alphas.append((low + high) / 2)
    return [*alphas, alphas[-1], alphas[-1]]


def swap_flows(market: Market, terms: dict[str, str], date: ql.Date) -> list[Flow]:
    """Flows after a date of an overnight swap. A running coupon's past has today's forward rates, not the path's: the
    dates have to be a few days into a coupon, or the accrued interest, which has its own variance, is missed."""
    calendar, curve = OVERNIGHT["EUR-ESTER"][6], market.discount["EUR"]
    dates = list(
        ql.Schedule(
            day(terms["startDate"]),
            day(terms["maturityDate"]),
            ql.Period("1Y"),
            calendar,
            ql.ModifiedFollowing,
            ql.ModifiedFollowing,
            ql.DateGeneration.Backward,
            False,
        )
    )
    notional, rate = float(terms["notional"]), float(terms["fixedRate"])
    flows: list[Flow] = []
    for one, other in itertools.pairwise(dates):
        payment = calendar.advance(other, 1, ql.Days)
        if payment <= date:
            continue
        accrual = ql.Actual360().yearFraction(one, other)
        flows.append((-notional * rate * accrual, time_of(payment), curve.discount(payment)))
        # A floating coupon is a unit received at its start and paid back at its end; what has begun earned its rate.
        if one >= date:
            flows.append((notional, time_of(one), curve.discount(one)))
            flows.append((-notional, time_of(other), curve.discount(other)))
        else:
            growth = curve.discount(one) / curve.discount(date)
            flows.append((notional * growth, time_of(date), curve.discount(date)))
            flows.append((-notional, time_of(payment), curve.discount(payment)))
    sign = 1 if terms["fixedLeg"] == "Pay" else -1
    return [(sign * amount, time, factor) for amount, time, factor in flows]


def main() -> None:
    order: dict[str, Any] = json.load(sys.stdin)
    market = Market(order["quotes"], 0.149)
    alphas = calibrated(market)
    dates = [day(text) for text in order["dates"]]
    answer = {}
    for name, terms in order["swaps"].items():
        exposures = [option(swap_flows(market, terms, date), zeta(time_of(date), alphas)) for date in dates]
        cva, before = 0.0, 0.0
        for date, exposure in zip(dates, exposures, strict=True):
            survival = (math.exp(-order["hazard"] * time) for time in (before, time_of(date)))
            cva += (1 - order["recovery"]) * (next(survival) - next(survival)) * exposure
            before = time_of(date)
        answer[name] = {"cva": cva, "exposures": exposures}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
