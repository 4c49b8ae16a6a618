"""NPVs of the engine on generated packages against independent prices, product by product."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests import requests as req
from tests.bare_engine import run
from tests.generate.currency_markets import CURRENCY_MARKETS
from xva_engine.sample.market import quotes

CDI = "0.149"


def _of_currency(code: str) -> dict[str, tuple[str, req.Message]]:
    """Every product that the currency is in, against the euro."""
    market = CURRENCY_MARKETS[code]
    spot, swap = float(market.spot), {**req.SWAP, "currency": code, "floatIndex": market.index}
    swap |= {"notional": f"{1e7 * spot:.0f}", "fixedRate": market.rates.split()[7]}
    sold = {"soldCurrency": code, "soldAmount": f"{1e6 * spot * 0.98:.0f}"}
    cross = {**req.CROSS, "receiveCurrency": code, "receiveIndex": market.index, "receiveNotional": f"{1e7 * spot:.0f}"}
    return {
        f"{code}_SWAP": ("RateSwap", swap),
        f"{code}_SWAP_RECEIVE": ("RateSwap", {**swap, "fixedLeg": "Receive", "maturityDate": "2036-11-17"}),
        f"{code}_CROSS": ("CrossCurrencySwap", cross),
        f"{code}_FORWARD": ("FxForward", {**req.FORWARD, **sold}),
        f"{code}_OPTION": ("FxOption", {**req.OPTION, **sold}),
        f"{code}_PUT": ("FxOption", {**req.OPTION, **sold, "optionType": "Put"}),
        f"{code}_SWAPTION": (
            "Swaption",
            {
                **swap,
                **{name: req.SWAPTION[name] for name in ("startDate", "maturityDate", "exerciseDate", "position")},
            },
        ),
        f"{code}_FX_SWAP": (
            "FxSwap",
            {
                **req.FX_SWAP,
                "nearSoldCurrency": code,
                "nearSoldAmount": f"{1e6 * spot:.0f}",
                "farBoughtAmount": f"{1e6 * spot * 1.01:.0f}",
            },
        ),
    }


OTHER_CURRENCIES = {name: item for code in CURRENCY_MARKETS for name, item in _of_currency(code).items()}
PRICES = {
    "SWAP_EURIBOR": ("RateSwap", {**req.SWAP, "floatSpread": "0.0005"}),
    "SWAP_EURIBOR_RECEIVE": ("RateSwap", {**req.SWAP, "fixedLeg": "Receive", "maturityDate": "2036-11-17"}),
    "SWAP_ESTER": ("RateSwap", {**req.SWAP, "floatIndex": "EUR-ESTER", "floatSpread": "0.0002"}),
    "SWAP_SOFR": ("RateSwap", {**req.USD_SWAP, "fixedRate": "0.0341"}),
    "SWAP_SONIA": ("RateSwap", {**req.GBP_SWAP, "fixedLeg": "Receive", "fixedRate": "0.0372"}),
    "PRE_CDI": ("RateSwap", req.PRE_CDI),
    "PRE_CDI_SEASONED": ("RateSwap", {**req.PRE_CDI, "startDate": "2026-07-01", "fixedLeg": "Receive"}),
    "CROSS": ("CrossCurrencySwap", req.CROSS),
    "FORWARD": ("FxForward", req.FORWARD),
    "FORWARD_BRL": ("FxForward", req.REAL_FORWARD),
    "NDF": ("FxNdf", req.NDF),
    "NDF_INVERSE_INDEX": ("FxNdf", {**req.NDF, "fxIndex": "FX-ECB-BRL-EUR"}),
    "NDF_IN_REAIS": ("FxNdf", {**req.NDF, "settlementCurrency": "BRL"}),
    "CALL": ("FxOption", req.OPTION),
    "PUT": ("FxOption", {**req.OPTION, "optionType": "Put"}),
    "SHORT_CALL": ("FxOption", {**req.OPTION, "position": "Short"}),
    "PAYER": ("Swaption", req.SWAPTION),
    "RECEIVER": ("Swaption", {**req.SWAPTION, "fixedLeg": "Receive"}),
    "SHORT_RECEIVER": ("Swaption", {**req.SWAPTION, "position": "Short"}),
    "BASIS": ("BasisSwap", req.BASIS),
    "BASIS_REVERSED": (
        "BasisSwap",
        {
            **req.BASIS,
            "payIndex": "EUR-ESTER",
            "paySpread": "0.001",
            "receiveIndex": "EUR-EURIBOR-6M",
            "receiveSpread": "-0.0005",
            "maturityDate": "2033-11-17",
        },
    ),
    "FX_SWAP": ("FxSwap", req.FX_SWAP),
    "FX_SWAP_FAR": ("FxSwap", {**req.FX_SWAP, "nearDate": "2026-09-28"}),
    "FX_SWAP_BRL": (
        "FxSwap",
        {**req.FX_SWAP, "nearSoldCurrency": "BRL", "nearSoldAmount": "6200000", "farBoughtAmount": "6930000"},
    ),
    **OTHER_CURRENCIES,
    "SHORT_PAYER": ("Swaption", {**req.SWAPTION, "position": "Short", "fixedLeg": "Receive"}),
}
"""A short swaption whose exercise makes us pay fixed is a receiver swaption that we sold."""
TOLERANCE = {
    "RateSwap": 2e-6,
    "CrossCurrencySwap": 2e-6,
    "FxForward": 1e-9,
    "FxNdf": 1e-9,
    "FxOption": 2e-6,
    "Swaption": 2e-5,
    "BasisSwap": 2e-6,
    "FxSwap": 2e-9,
}
"""Of the notional in euro, near ten million (swaps) or one (FX)."""


@pytest.fixture(scope="module")
def prices(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, float], dict[str, float]]:
    trades = [req.trade(name, kind, terms) for name, (kind, terms) in PRICES.items()]
    request = req.message(*trades, samples=2, grid=["1Y"])
    for fixing in request["fixings"]:
        if fixing["index"] == "BRL-CDI":
            fixing["value"] = CDI
    more = {key: value for market in CURRENCY_MARKETS.values() for key, value in market.quotes().items()}
    request["quotes"] += [{"key": key, "value": value} for key, value in more.items()]
    request["fixings"] += [fixing for market in CURRENCY_MARKETS.values() for fixing in market.fixings()]
    result = run(req.package(request), tmp_path_factory.mktemp("prices"))
    assert result.log == []
    order = {
        "quotes": {**quotes(), **more},
        "cdi": float(CDI),
        "trades": {name: {"type": kind, "terms": terms} for name, (kind, terms) in PRICES.items()},
    }
    answer = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("reference_prices.py"))],
        input=json.dumps(order),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return result.npvs(), json.loads(answer.stdout)


@pytest.mark.parametrize("name", PRICES)
def test_npv_is_that_of_an_independent_pricer(name: str, prices: tuple[dict[str, float], dict[str, float]]) -> None:
    engine, reference = prices[0][name], prices[1][name]
    kind = PRICES[name][0]
    notional = 1e6 if kind.startswith("Fx") else 1e7
    assert engine == pytest.approx(reference, rel=0, abs=TOLERANCE[kind] * notional)
    assert abs(reference) > 5 * TOLERANCE[kind] * notional
