"""A currency is one file: with it the generator packages its trades and the engine runs them, else neither does."""

import shutil
from pathlib import Path

import pytest

import xva_engine.data
from tests import requests as req
from tests.bare_engine import run
from tests.generate.currency_markets import CURRENCY_MARKETS
from tests.generate.test_engine_accepts import assert_complete
from xva_engine.data import load_catalogue
from xva_engine.generate.package import PackageRefusedError, generate


def _with_market(request: req.Message, code: str) -> req.Message:
    market = CURRENCY_MARKETS[code]
    request["quotes"] += [{"key": key, "value": value} for key, value in market.quotes().items()]
    request["fixings"] += market.fixings()
    return request


def _book(code: str) -> req.Message:
    """A seasoned swap, a swaption, a cross-currency swap, a forward, an FX swap and an option, one set under a CSA."""
    market = CURRENCY_MARKETS[code]
    amount = {"soldCurrency": code, "soldAmount": f"{1e6 * float(market.spot):.0f}"}
    swap = {**req.SWAP, "currency": code, "floatIndex": market.index, "startDate": "2026-06-15"}
    swap["notional"] = f"{1e7 * float(market.spot):.0f}"
    option = {name: req.SWAPTION[name] for name in ("startDate", "maturityDate", "exerciseDate", "position")}
    cross = {"receiveCurrency": code, "receiveIndex": market.index, "receiveNotional": swap["notional"]}
    near = {"nearSoldCurrency": code, "nearSoldAmount": amount["soldAmount"], "farBoughtAmount": amount["soldAmount"]}
    request = req.message(
        req.trade("SWAP", "RateSwap", swap, "NS_ELBE"),
        req.trade("SWAPTION", "Swaption", {**swap, **option}),
        req.trade("CROSS", "CrossCurrencySwap", {**req.CROSS, **cross}, "NS_BALTIC"),
        req.trade("FORWARD", "FxForward", {**req.FORWARD, **amount}),
        req.trade("FX_SWAP", "FxSwap", {**req.FX_SWAP, **near}),
        req.trade("OPTION", "FxOption", {**req.OPTION, **amount}),
        grid=["1W", "1Y", "2Y", "5Y"],
        samples=10,
    )
    request["nettingSets"][4]["csa"] |= {"currency": code, "index": market.index}
    return _with_market(request, code)


@pytest.mark.parametrize("code", CURRENCY_MARKETS)
def test_a_currency_runs_in_every_product_and_in_a_csa(code: str, tmp_path: Path) -> None:
    package = req.package(_book(code))
    assert package.manifest.refusals == []
    assert_complete(run(package, tmp_path), package.manifest)


@pytest.mark.parametrize("code", CURRENCY_MARKETS)
def test_a_currency_may_be_the_base(code: str, tmp_path: Path) -> None:
    request = _book(code) | {"settings": {**_book(code)["settings"], "baseCurrency": code}}
    request["quotes"] += [
        {
            **quote,
            "key": quote["key"].replace("/SR/EUR", f"/SR/{code}").replace("ZERO/RATE/EUR/", f"ZERO/RATE/{code}/"),
        }
        for quote in request["quotes"]
        if "/SR/EUR" in quote["key"] or quote["key"].startswith("ZERO/RATE/EUR/")
    ]
    package = req.package(request)
    assert package.manifest.refusals == []
    assert_complete(run(package, tmp_path), package.manifest)


@pytest.mark.parametrize("code", CURRENCY_MARKETS)
def test_a_currency_is_one_file(code: str, tmp_path: Path) -> None:
    source = Path(xva_engine.data.__file__).parent
    for path in ("market.toml", *(f"currencies/{entry.name}" for entry in (source / "currencies").iterdir())):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        shutil.copy(source / path, tmp_path / path)
    (tmp_path / "currencies" / f"{code}.toml").unlink()
    request = req.parsed(_book(code))
    with pytest.raises(PackageRefusedError) as caught:
        generate(request, load_catalogue(tmp_path))
    assert {"unknown-currency", "unknown-index"} <= {error.code for error in caught.value.errors}
    shutil.copy(source / f"currencies/{code}.toml", tmp_path / f"currencies/{code}.toml")
    assert generate(request, load_catalogue(tmp_path)).files == generate(request).files


def test_basis_and_fx_swaps_run_also_when_they_have_begun(tmp_path: Path) -> None:
    request = req.message(
        req.trade("BASIS", "BasisSwap", req.BASIS),
        req.trade("BASIS_OLD", "BasisSwap", {**req.BASIS, "startDate": "2026-01-16", "maturityDate": "2029-01-16"}),
        req.trade("FX", "FxSwap", req.FX_SWAP),
        req.trade("FX_OLD", "FxSwap", {**req.FX_SWAP, "nearDate": "2026-09-15"}),
        req.trade("FX_TODAY", "FxSwap", {**req.FX_SWAP, "nearDate": "2026-09-30"}),
        req.trade(
            "FX_TODAY_AS_FORWARD",
            "FxForward",
            {
                "boughtCurrency": "USD",
                "boughtAmount": "1202000",
                "soldCurrency": "EUR",
                "soldAmount": "1000000",
                "valueDate": "2027-10-05",
            },
        ),
        grid=["1W", "6M", "1Y", "2Y", "5Y"],
        samples=50,
    )
    package = req.package(request)
    assert package.manifest.refusals == []
    result = run(package, tmp_path)
    assert_complete(result, package.manifest)
    npvs = result.npvs()
    assert npvs["FX_TODAY"] == pytest.approx(npvs["FX_TODAY_AS_FORWARD"], abs=0.01)
    assert npvs["FX_OLD"] == pytest.approx(npvs["FX_TODAY_AS_FORWARD"], abs=0.01)
