"""Everything that the engine gets wrong without a word, planted one by one in the files of a good package.

The second cell of a row says what the engine does (measured with the wheel, both ways of `continueOnError`). The page
that this test writes has what pre-flight says instead.
"""

import re
from collections.abc import Callable

import pytest

from tests import requests as req
from tests.generate.currency_markets import CURRENCY_MARKETS
from tests.trial_book import TrialBook
from xva_engine.generate.trades import PRODUCTS
from xva_engine.preflight import preflight
from xva_engine.preflight.portfolio import ENGINE_TYPES
from xva_engine.sample import frozen_request

Files = dict[str, bytes]
Damage = Callable[[Files], object]
USD_5Y = "IR_SWAP/RATE/USD/2D/1D/5Y"


def _replace(name: str, old: str, new: str, count: int = 1) -> Damage:
    def damage(files: Files) -> None:
        content = files[f"Input/{name}"]
        assert old.encode() in content, f"{old} is not in {name}"
        files[f"Input/{name}"] = content.replace(old.encode(), new.encode(), count)

    return damage


def _expression(name: str, pattern: str, new: str, count: int = 1) -> Damage:
    def damage(files: Files) -> None:
        content, times = re.subn(pattern.encode(), new.encode(), files[f"Input/{name}"], count=count, flags=re.DOTALL)
        assert times, f"{pattern} is not in {name}"
        files[f"Input/{name}"] = content

    return damage


def _without(name: str) -> Damage:
    return lambda files: files.pop(f"Input/{name}")


def _trade(trade_id: str, pattern: str, new: str) -> Damage:
    """Changes one trade."""

    def damage(files: Files) -> None:
        content = files["Input/portfolio.xml"].decode()
        start = content.index(f'<Trade id="{trade_id}">')
        end = content.index("</Trade>", start)
        changed, times = re.subn(pattern, new, content[start:end], count=1, flags=re.DOTALL)
        assert times, f"{pattern} is not in {trade_id}"
        files["Input/portfolio.xml"] = (content[:start] + changed + content[end:]).encode()

    return damage


def _twice(trade_id: str) -> Damage:
    def damage(files: Files) -> None:
        content = files["Input/portfolio.xml"].decode()
        start = content.index(f'  <Trade id="{trade_id}">')
        end = content.index("</Trade>", start) + len("</Trade>\n")
        files["Input/portfolio.xml"] = (content[:end] + content[start:end] + content[end:]).encode()

    return damage


def _one_set_out_of_netting(files: Files) -> None:
    pattern = rb"  <NettingSet>\s*<NettingSetId>NS_ELBE</NettingSetId>.*?</NettingSet>\n"
    files["Input/netting.xml"], times = re.subn(pattern, b"", files["Input/netting.xml"], flags=re.DOTALL)
    assert times == 1


NOTHING = "no report at all, exit code 0"
NO_XVA = "NPVs, but no XVA report; exit code 0"
VANISHES = "the trade is in no report; exit code 0"
ZERO = "the trade stays with NPV 0 and XVA 0; exit code 0"
RISKY = "figures of the netting set become #N/A; exit code 0"
DROPPED = "the second trade is dropped; exit code 0"
Row = tuple[str, str, Damage, str, str, str]
ROWS: list[Row] = [
    (
        "ore.xml is cut short",
        "an exception",
        _expression("ore.xml", "</ORE>.*", ""),
        "malformed-xml",
        "Input/ore.xml",
        "not well-formed",
    ),
    (
        "asofDate is 2026-02-30",
        "an exception",
        _replace("ore.xml", "2026-09-30", "2026-02-30"),
        "bad-as-of",
        "asofDate",
        "2026-02-30",
    ),
    (
        "market.txt is missing",
        NOTHING,
        _without("market.txt"),
        "missing-file",
        "Input/market.txt",
        "not in the package",
    ),
    (
        "a quote of two words",
        NOTHING,
        _expression("market.txt", f"{USD_5Y} [0-9.]+", USD_5Y),
        "bad-quote-line",
        "Input/market.txt",
        "2 words",
    ),
    (
        "a quote of four words",
        NOTHING,
        _expression("market.txt", f"({USD_5Y} [0-9.]+)", r"\1 0.5"),
        "bad-quote-line",
        "Input/market.txt",
        "4 words",
    ),
    (
        "a market of the day before",
        NOTHING,
        _replace("market.txt", "20260930", "20260929", -1),
        "wrong-market-date",
        "Input/market.txt",
        "20260929",
    ),
    (
        "one quote of the day before",
        "the quote is left out without a word",
        _replace("market.txt", f"20260930 {USD_5Y}", f"20260929 {USD_5Y}"),
        "missing-quote",
        USD_5Y,
        "missing",
    ),
    (
        "asofDate on a Sunday",
        NOTHING,
        _replace("ore.xml", "2026-09-30", "2026-09-27"),
        "as-of-not-business-day",
        "2026-09-27",
        "Sunday",
    ),
    (
        "portfolio.xml is cut short",
        NOTHING,
        _expression("portfolio.xml", "</Portfolio>.*", ""),
        "malformed-xml",
        "Input/portfolio.xml",
        "not well-formed",
    ),
    (
        "a portfolio without trades",
        NOTHING,
        _expression("portfolio.xml", "<Trade .*</Trade>", ""),
        "empty-portfolio",
        "Input/portfolio.xml",
        "no trade",
    ),
    (
        "simulation.xml is cut short",
        NO_XVA,
        _expression("simulation.xml", "</Simulation>.*", ""),
        "malformed-xml",
        "Input/simulation.xml",
        "not well-formed",
    ),
    (
        "the model and the market simulate other currencies",
        NO_XVA,
        _expression("simulation.xml", "<Currency>USD</Currency>", ""),
        "malformed-simulation",
        "currencies",
        "USD",
    ),
    (
        "no FX volatility of a simulated currency",
        NO_XVA,
        _expression("todaysmarket.xml", '<FxVolatility pair="EURUSD">[^\n]*\n', ""),
        "missing-market-object",
        "USD FX volatility",
        "USD is simulated",
    ),
    (
        "no swaption volatility of a simulated currency",
        NO_XVA,
        _expression("todaysmarket.xml", '<SwaptionVolatility currency="BRL">[^\n]*\n', ""),
        "missing-market-object",
        "BRL swaption volatility",
        "BRL is simulated",
    ),
    (
        "no funding curve",
        NO_XVA,
        _expression("todaysmarket.xml", '<YieldCurve name="LAB_BANK_LEND">[^\n]*\n', ""),
        "missing-market-object",
        "LAB_BANK_LEND",
        "funds on",
    ),
    (
        "one mandatory quote of a curve is missing",
        "the currency's trades vanish and XVA is missing; exit code 0",
        _expression("market.txt", f"[0-9]+ {USD_5Y} [^\n]*\n", ""),
        "missing-quote",
        USD_5Y,
        "USD1D needs",
    ),
    (
        "an FX spot is missing",
        "the currency's trades vanish and XVA is missing; exit code 0",
        _expression("market.txt", "[0-9]+ FX/RATE/EUR/USD [^\n]*\n", ""),
        "missing-quote",
        "FX/RATE/EUR/USD",
        "today's market needs",
    ),
    (
        "a quote is NaN",
        RISKY,
        _expression("market.txt", f"{USD_5Y} [0-9.]+", f"{USD_5Y} nan"),
        "bad-quote",
        USD_5Y,
        "'nan'",
    ),
    (
        "a quote is 1e999",
        RISKY,
        _expression("market.txt", f"{USD_5Y} [0-9.]+", f"{USD_5Y} 1e999"),
        "bad-quote",
        USD_5Y,
        "1e999",
    ),
    (
        "a quote is there twice with two values",
        "the first is taken without a word",
        _expression("market.txt", f"([0-9]+ {USD_5Y}) ([0-9.]+)\n", r"\1 \2\n\1 0.5\n"),
        "duplicate-quote",
        USD_5Y,
        "several values",
    ),
    (
        "a trade in an unknown currency",
        VANISHES,
        _trade("FXF_0000", "<BoughtCurrency>USD", "<BoughtCurrency>XXX"),
        "unknown-currency",
        "FXF_0000",
        "XXX",
    ),
    (
        "a trade in a currency that is not simulated",
        "in the NPV report, but in no XVA or exposure; exit code 0",
        _trade("FXF_0000", "<BoughtCurrency>USD", "<BoughtCurrency>CHF"),
        "unknown-currency",
        "FXF_0000",
        "CHF is not simulated",
    ),
    (
        "a trade on an index that is not simulated",
        VANISHES,
        _trade("IRS_0000", "EUR-EURIBOR-6M", "EUR-EURIBOR-3M"),
        "unknown-index",
        "IRS_0000",
        "EUR-EURIBOR-3M",
    ),
    (
        "a trade with a date that does not exist",
        VANISHES,
        _trade("FXF_0000", "<ValueDate>[^<]*", "<ValueDate>2027-02-30"),
        "bad-terms",
        "FXF_0000",
        "2027-02-30",
    ),
    (
        "a trade whose amount is no number",
        VANISHES,
        _trade("FXF_0000", "<SoldAmount>[^<]*", "<SoldAmount>many"),
        "bad-terms",
        "FXF_0000",
        "many",
    ),
    (
        "a trade without its terms",
        ZERO,
        _trade("FXF_0000", "<FxForwardData>.*</FxForwardData>", ""),
        "bad-terms",
        "FXF_0000",
        "no FxForwardData",
    ),
    (
        "no pricing engine for a product",
        VANISHES,
        _expression("pricingengine.xml", '<Product type="FxOption">.*?</Product>', ""),
        "no-pricing-engine",
        "FXO_0000",
        "FxOption",
    ),
    (
        "an unknown trade type",
        ZERO,
        _trade("FXF_0000", "<TradeType>FxForward", "<TradeType>FxForwards"),
        "unknown-trade-type",
        "FXF_0000",
        "FxForwards",
    ),
    ("a trade id is there twice", DROPPED, _twice("FXF_0000"), "duplicate-trade-id", "FXF_0000", "2 times"),
    (
        "a trade id with a slash",
        "reports are written elsewhere, or not at all",
        _replace("portfolio.xml", 'id="FXF_0000"', 'id="../FXF/0"'),
        "bad-trade-id",
        "../FXF/0",
        "A-Z",
    ),
    (
        "missing fixings",
        "NPV #N/A and XVA 0.00; exit code 0",
        _expression("fixings.txt", "20260929 USD-SOFR [^\n]*\n", ""),
        "missing-fixing",
        "USD-SOFR 2026-09-29",
        "there is none",
    ),
    (
        "no fixings at all",
        "NPV #N/A and XVA 0.00; exit code 0",
        _expression("fixings.txt", ".*", ""),
        "missing-fixing",
        "GBP-SONIA 2026-09-29",
        "there is none",
    ),
    (
        "a missing recovery rate",
        RISKY,
        _expression("market.txt", "[0-9]+ RECOVERY_RATE/RATE/FJORD_PENSION/SR/EUR [^\n]*\n", ""),
        "missing-recovery",
        "RECOVERY_RATE/RATE/FJORD_PENSION/SR/EUR",
        "FJORD_PENSION",
    ),
    (
        "a missing hazard rate",
        RISKY,
        _expression("market.txt", "[0-9]+ HAZARD_RATE/RATE/FJORD_PENSION/SR/EUR/5Y [^\n]*\n", ""),
        "missing-default-curve",
        "HAZARD_RATE/RATE/FJORD_PENSION/SR/EUR/5Y",
        "FJORD_PENSION",
    ),
    (
        "a missing default curve",
        RISKY,
        _expression("todaysmarket.xml", '<DefaultCurve name="FJORD_PENSION">[^\n]*\n', ""),
        "missing-default-curve",
        "FJORD_PENSION",
        "counterparty of trade",
    ),
    (
        "a negative hazard rate",
        RISKY,
        _expression("market.txt", "(HAZARD_RATE/RATE/FJORD_PENSION/SR/EUR/5Y) [0-9.]+", r"\1 -0.01"),
        "negative-hazard",
        "HAZARD_RATE/RATE/FJORD_PENSION/SR/EUR/5Y",
        "-0.01",
    ),
    (
        "our own default curve is missing",
        RISKY,
        _expression("todaysmarket.xml", '<DefaultCurve name="LAB_BANK">[^\n]*\n', ""),
        "missing-default-curve",
        "LAB_BANK",
        "our name",
    ),
    (
        "a netting set is not in netting.xml",
        "it is taken for uncollateralised",
        _one_set_out_of_netting,
        "unknown-netting-set",
        "FXF_0001",
        "NS_ELBE",
    ),
    (
        "a CSA without its details",
        "it is taken for uncollateralised",
        _expression("netting.xml", "<CSADetails>.*?</CSADetails>", ""),
        "bad-csa",
        "NS_ELBE",
        "ActiveCSAFlag",
    ),
    (
        "a trade without NettingSetId",
        NO_XVA,
        _trade("FXF_0000", "<NettingSetId>[^<]*</NettingSetId>", ""),
        "no-netting-set-id",
        "FXF_0000",
        "no netting set",
    ),
    (
        "an unknown analytic",
        "it is ignored",
        _replace("ore.xml", 'type="xva"', 'type="xvas"'),
        "unknown-analytic",
        "xvas",
        "not known",
    ),
    (
        "the analytic xva is off",
        "its report is missing",
        _expression("ore.xml", '(<Analytic type="xva">\\s*<Parameter name="active">)Y', r"\1N"),
        "missing-analytic",
        "xva",
        "not active",
    ),
    (
        "a context names a configuration that is not there",
        "another market is taken, slowly",
        _replace("ore.xml", 'name="pricing">default', 'name="pricing">libor'),
        "unknown-market-context",
        "pricing",
        "libor",
    ),
    (
        "a document type in an XML file",
        "it is accepted",
        _replace(
            "netting.xml",
            "<NettingSetDefinitions>",
            '<!DOCTYPE n [<!ENTITY e SYSTEM "file:///etc/passwd">]><NettingSetDefinitions>',
        ),
        "xml-doctype",
        "Input/netting.xml",
        "document type",
    ),
]


@pytest.fixture(scope="module")
def good() -> Files:
    return dict(req.package(frozen_request("small")).files)


def test_a_good_package_passes(good: Files) -> None:
    assert preflight(good).errors == []
    assert preflight(good).warnings == []


def test_a_package_of_every_product_passes() -> None:
    market = CURRENCY_MARKETS["CHF"]
    swap = {**req.SWAP, "currency": "CHF", "floatIndex": market.index, "startDate": "2026-06-15"}
    terms = {
        "RateSwap": swap,
        "CrossCurrencySwap": {**req.CROSS, "startDate": "2026-04-06", "maturityDate": "2029-04-06"},
        "FxForward": req.FORWARD,
        "FxNdf": {**req.NDF, "fixingDate": "2026-09-29", "valueDate": "2026-10-02"},
        "FxOption": req.OPTION,
        "Swaption": req.SWAPTION,
        "BasisSwap": {**req.BASIS, "startDate": "2026-01-16", "maturityDate": "2029-01-16"},
        "FxSwap": req.FX_SWAP,
    }
    assert set(terms) == set(PRODUCTS)
    request = req.message(
        *(req.trade(kind, kind, found) for kind, found in terms.items()), req.trade("CDI", "RateSwap", req.PRE_CDI)
    )
    request["quotes"] += [{"key": key, "value": value} for key, value in market.quotes().items()]
    request["fixings"] += market.fixings()
    package = req.package(request)
    assert package.manifest.refusals == []
    assert preflight(package.files).errors == []
    assert {engine.product for product in PRODUCTS.values() for engine in product.engines} == {
        product for _, product in ENGINE_TYPES.values()
    }


def test_a_matured_trade_is_a_warning(good: Files) -> None:
    files = dict(good)
    _trade("FXF_0000", "<ValueDate>.*</SettlementData>", "<ValueDate>2026-09-15</ValueDate>")(files)
    report = preflight(files)
    assert report.errors == []
    assert [item.code for item in report.warnings] == ["matured-trade"]


def test_each_silent_error_is_found_by_name(good: Files) -> None:
    book = TrialBook(
        "What the engine would not tell",
        "docs/trials/input-silent-errors.md",
        "tools/xva-engine/tests/preflight/test_silent_errors.py",
        ("bad input", "what the engine does", "what pre-flight says"),
    )
    for name, engine, damage, code, subject, words in ROWS:
        files = dict(good)
        damage(files)
        errors = preflight(files).errors
        found = [error for error in errors if (error.code, error.subject) == (code, subject)]
        assert found, f"{name}: {errors}"
        assert words in found[0].message, f"{name}: {found}"
        book.record("Pre-flight of a package", name, engine, f"`{code}`: {found[0].sentence}")
    book.close()


def test_everything_is_told_at_once(good: Files) -> None:
    files = dict(good)
    rows = {name: (damage, code) for name, _, damage, code, _, _ in ROWS}
    chosen = (
        "a trade whose amount is no number",
        "a negative hazard rate",
        "a CSA without its details",
        "a quote is NaN",
    )
    for name in chosen:
        rows[name][0](files)
    assert {rows[name][1] for name in chosen} <= {error.code for error in preflight(files).errors}


@pytest.mark.parametrize(
    "role", ["ore.xml", "todaysmarket.xml", "curveconfig.xml", "conventions.xml", "pricingengine.xml"]
)
def test_a_missing_or_empty_file_never_breaks_the_check(role: str, good: Files) -> None:
    for content in (None, b"", b"<", b"<a/>", b"\xff\xfe", b"<a>" * 5000):
        files = {path: data for path, data in good.items() if path != f"Input/{role}"}
        if content is not None:
            files[f"Input/{role}"] = content
        report = preflight(files)
        assert report.errors or (role == "conventions.xml" and content == b"<a/>")
