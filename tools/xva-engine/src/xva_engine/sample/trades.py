"""Trades of the two books, dealt out to six netting sets by fixed rules."""

import datetime
from collections.abc import Iterator
from typing import Any

from xva_engine.generate.dates import add_business_days, add_period, adjust
from xva_engine.sample.market import AS_OF

_SETS = ("NS_ALDER", "NS_BALTIC", "NS_CARIOCA", "NS_DANUBE", "NS_ELBE", "NS_FJORD")
_SWAPS = (
    ("EUR", "EUR-EURIBOR-6M", "0.0231"),
    ("USD", "USD-SOFR", "0.0352"),
    ("EUR", "EUR-ESTER", "0.0214"),
    ("GBP", "GBP-SONIA", "0.0371"),
    ("EUR", "EUR-EURIBOR-6M", "0.0258"),
    ("USD", "USD-SOFR", "0.0339"),
)
_YEARS = (5, 3, 7, 10, 2, 8, 4, 6, 12, 9)
_PAIRS = (
    ("USD", "11725", "EUR", "10000"),
    ("EUR", "10000", "GBP", "8750"),
    ("EUR", "10000", "USD", "11840"),
    ("GBP", "8650", "EUR", "10000"),
    ("USD", "13480", "GBP", "10000"),
)
"""Bought and sold currency with amounts per 10,000 that are near the forward."""
_FORWARD_MONTHS = (1, 3, 6, 9, 12, 18, 24, 4, 30)

Trade = dict[str, Any]


def _month(months: int, day: int) -> datetime.date:
    """A day of the month that lies so many months after the as-of date's."""
    count = AS_OF.year * 12 + AS_OF.month - 1 + months
    return datetime.date(count // 12, count % 12 + 1, day)


def _trade(kind: str, number: int, netting_set: str, terms: dict[str, str]) -> Trade:
    return {"tradeId": f"{kind}_{number:04d}", "nettingSetId": netting_set, "tradeType": _TYPES[kind], "terms": terms}


_TYPES = {
    "IRS": "RateSwap",
    "XCCY": "CrossCurrencySwap",
    "FXF": "FxForward",
    "NDF": "FxNdf",
    "FXO": "FxOption",
    "SWPT": "Swaption",
}


def _swap_terms(number: int, start: datetime.date, years: int) -> dict[str, str]:
    currency, index, rate = _SWAPS[number % len(_SWAPS)]
    return {
        "currency": currency,
        "notional": f"{8 + 3 * (number * 5 % 9)}000000",
        "fixedLeg": ("Pay", "Receive", "Receive", "Pay")[number % 4],
        "fixedRate": rate,
        "fixedTenor": "1Y",
        "floatIndex": index,
        "floatSpread": "0" if number % 5 else "0.0005",
        "startDate": start.isoformat(),
        "maturityDate": start.replace(year=start.year + years).isoformat(),
    }


def _rate_swap(number: int, netting_set: str) -> Trade:
    """Started up to ten months ago, or to start in two."""
    start = _month((-4, -10, 0, -1, 2, -7)[number * 5 % 6], 15)
    return _trade("IRS", number, netting_set, _swap_terms(number, start, _YEARS[number * 3 % len(_YEARS)]))


def _cross_currency_swap(number: int, netting_set: str) -> Trade:
    millions = 10 + 5 * (number % 4)
    one = ("EUR", f"{millions}000000", "EUR-EURIBOR-6M" if number % 2 else "EUR-ESTER", "0")
    other = (
        ("USD", f"{millions * 1172500}", "USD-SOFR", "0.0004")
        if number % 3
        else ("GBP", f"{millions * 869400}", "GBP-SONIA", "-0.0003")
    )
    pay, receive = (one, other) if number % 4 < 2 else (other, one)
    start = _month(-(number % 3) * 3 - 1, 10)
    terms = {
        **dict(zip(("payCurrency", "payNotional", "payIndex", "paySpread"), pay, strict=True)),
        **dict(zip(("receiveCurrency", "receiveNotional", "receiveIndex", "receiveSpread"), receive, strict=True)),
        "startDate": start.isoformat(),
        "maturityDate": start.replace(year=start.year + (3, 5, 7, 4)[number % 4]).isoformat(),
    }
    return _trade("XCCY", number, netting_set, terms)


def _amounts(number: int) -> dict[str, str]:
    bought, bought_units, sold, sold_units = _PAIRS[number % len(_PAIRS)]
    thousands = 500 + 250 * (number * 3 % 7)
    return {
        "boughtCurrency": bought,
        "boughtAmount": f"{int(bought_units) * thousands}.00",
        "soldCurrency": sold,
        "soldAmount": f"{int(sold_units) * thousands}.00",
    }


def _forward(number: int, netting_set: str) -> Trade:
    value_date = adjust("TARGET,UK,US", _month(_FORWARD_MONTHS[number % len(_FORWARD_MONTHS)], 18))
    return _trade("FXF", number, netting_set, {**_amounts(number), "valueDate": value_date.isoformat()})


def _real_forward(number: int, netting_set: str) -> Trade:
    """EUR/BRL or USD/BRL, near the forward; the bank buys and sells in turn."""
    months = (2, 6, 9, 12, 18, 4)[number % 6]
    hard, spot, index = ("EUR", 624800, "FX-ECB-EUR-BRL") if number % 2 == 0 else ("USD", 532900, "FX-PTAX-USD-BRL")
    millions = 4 + number % 5
    reals = millions * (spot + spot * months * 9 // 1200) * 10
    calendar = "BRL,TARGET" if hard == "EUR" else "BRL,US"
    fixing = adjust(calendar, _month(months, 9))
    hard_side, real_side = (hard, f"{millions}000000"), ("BRL", str(reals))
    bought, sold = (hard_side, real_side) if number % 4 < 2 else (real_side, hard_side)
    terms = {
        "boughtCurrency": bought[0],
        "boughtAmount": bought[1],
        "soldCurrency": sold[0],
        "soldAmount": sold[1],
        "valueDate": add_business_days(calendar, fixing, 2).isoformat(),
        "settlementCurrency": hard,
        "fixingDate": fixing.isoformat(),
        "fxIndex": index,
    }
    return _trade("NDF", number, netting_set, terms)


def _fx_option(number: int, netting_set: str) -> Trade:
    expiry = adjust("TARGET,UK,US", _month((6, 12, 3, 18, 24)[number % 5], 21))
    terms = {
        **_amounts(number),
        "optionType": "Call" if number % 3 else "Put",
        "position": "Long" if number % 2 else "Short",
        "expiryDate": expiry.isoformat(),
    }
    return _trade("FXO", number, netting_set, terms)


def _swaption(number: int, netting_set: str) -> Trade:
    exercise = adjust("TARGET,UK,US", add_period(AS_OF, ("1Y", "2Y", "3Y", "18M")[number % 4]))
    start = add_business_days("TARGET,UK,US", exercise, 2)
    terms = {
        **_swap_terms(number, start, (5, 7, 3, 10)[number % 4]),
        "position": "Long" if number % 3 else "Short",
        "exerciseDate": exercise.isoformat(),
    }
    return _trade("SWPT", number, netting_set, terms)


_MAKERS = {
    "IRS": _rate_swap,
    "XCCY": _cross_currency_swap,
    "FXF": _forward,
    "NDF": _real_forward,
    "FXO": _fx_option,
    "SWPT": _swaption,
}


def _deal(counts: dict[str, tuple[int, ...]]) -> Iterator[Trade]:
    """As many trades of each kind as each netting set has, numbered through."""
    for kind, per_set in counts.items():
        owners = [set_id for set_id, count in zip(_SETS, per_set, strict=True) for _ in range(count)]
        for number, set_id in enumerate(owners):
            yield _MAKERS[kind](number, set_id)


def demo_trades() -> list[Trade]:
    """66 trades, unevenly over the sets, so that shards differ in size."""
    return list(
        _deal(
            {
                "IRS": (6, 5, 2, 4, 4, 5),
                "XCCY": (1, 2, 1, 1, 1, 2),
                "FXF": (2, 3, 2, 2, 2, 1),
                "NDF": (1, 1, 4, 1, 0, 0),
                "FXO": (2, 1, 1, 1, 1, 1),
                "SWPT": (1, 0, 0, 1, 2, 2),
            }
        )
    )


def small_trades() -> list[Trade]:
    """12 trades: every type, two for each set."""
    return list(
        _deal(
            {
                "IRS": (1, 0, 0, 1, 1, 1),
                "XCCY": (0, 1, 0, 0, 0, 0),
                "FXF": (0, 1, 0, 0, 1, 0),
                "NDF": (0, 0, 2, 0, 0, 0),
                "FXO": (1, 0, 0, 0, 0, 0),
                "SWPT": (0, 0, 0, 1, 0, 1),
            }
        )
    )
