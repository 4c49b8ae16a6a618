"""The acceptance rule on every row of the measured failure matrix, and on what the matrix does not show."""

from collections.abc import Callable

import pytest

from tests.run.worlds import World, clean_world
from xva_engine.run.acceptance import ExpectedSet, Verdict, accept


def judge(world: World) -> Verdict:
    return accept(world.reports(), world.log, world.expected)


def test_a_clean_run_is_accepted_whole() -> None:
    verdict = judge(clean_world())
    assert verdict == Verdict(accepted=("A", "B"), defects=(), notices=(), failures=())


FAILED_ANALYTIC = {"analyticType": "XVA", "exceptionType": "Failed Analytic"}


def no_reports(world: World) -> None:
    world.without |= set(world.reports())


def aborted(message: str) -> Callable[[World], None]:
    """The engine's own failure, which it files as a warning."""

    def spoil(world: World) -> None:
        no_reports(world)
        world.warning(message, analyticType="OREApp::run()", warningType="Error")

    return spoil


def xva_missing(world: World) -> None:
    world.without |= {"xva", *world.profiles}


def market_not_built(world: World) -> None:
    no_reports(world)
    world.error("Failed to build market: There are no quotes available", "Analytics", **FAILED_ANALYTIC)


def portfolio_empty(world: World) -> None:
    no_reports(world)
    world.error("Portfolio does not contain any built trades", "Analytics", **FAILED_ANALYTIC)


def calibration_failed(world: World) -> None:
    xva_missing(world)
    world.error("FX BS GBP index 1 calibration error exceeds tolerance", "Analytics", **FAILED_ANALYTIC)


def curve_quote_missing(world: World) -> None:
    xva_missing(world)
    world.npv.remove(world.npv_of("T1"))
    world.error("Could not find quote for Mandatory ID X", "Curve", curveId="[DiscountCurve(USD,Yield/USD/USD1D)]")


def quote_is_nan(world: World) -> None:
    xva_missing(world)
    world.npv_of("T1")["NPV(Base)"] = None
    world.error("root not bracketed", "Curve", curveId="[DiscountCurve(USD,Yield/USD/USD1D)]")


def unknown_analytic(world: World) -> None:
    xva_missing(world)


def error_of_nobody(world: World) -> None:
    world.error("something about the whole model", "Model")


def foreign_trade_in_npv(world: World) -> None:
    world.npv.append({**world.npv_of("T1"), "TradeId": "T9"})


def foreign_set_in_xva(world: World) -> None:
    world.xva.append({**world.xva_of("A"), "NettingSetId": "Z"})


def foreign_profile(world: World) -> None:
    world.profiles["exposure_trade_T9"] = world.profiles["exposure_trade_T1"]


def own_default_curve(world: World) -> None:
    world.error("default curve building failed", "Curve", curveId="[DefaultCurve(BANK,Default/EUR/BANK)]")


def column_gone(world: World) -> None:
    for row in world.xva:
        del row["CVA"]


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (aborted("Error in ORE analytics: error opening file Input/market.txt"), "error opening file"),
        (aborted("Error in ORE analytics: Invalid CSVLoader line, expected 3 columns"), "Invalid CSVLoader line"),
        (market_not_built, "Failed to build market"),
        (portfolio_empty, "does not contain any built trades"),
        (calibration_failed, "calibration error"),
        (curve_quote_missing, "Mandatory ID"),
        (quote_is_nan, "root not bracketed"),
        (unknown_analytic, "no xva report"),
        (error_of_nobody, "whole model"),
        (foreign_trade_in_npv, "T9"),
        (foreign_set_in_xva, "netting set Z"),
        (foreign_profile, "exposure_trade_T9"),
        (own_default_curve, "default curve building failed"),
        (column_gone, "no column CVA"),
    ],
)
def test_a_defect_of_nobody_fails_the_shard(spoil: Callable[[World], None], told: str) -> None:
    world = clean_world()
    spoil(world)
    verdict = judge(world)
    assert verdict.accepted == ()
    assert any(told in failure for failure in verdict.failures), verdict.failures


def trade_absent(world: World) -> None:
    """Unknown currency, unsupported market, bad date, no pricing engine."""
    world.forget_trade("T1")
    fields = {"tradeId": "T1", "tradeType": "Swap", "exceptionType": "Error building trade for context 'analytic/XVA'"}
    world.error('Currency "XXX" not recognized', **fields)


def trade_silently_absent(world: World) -> None:
    world.forget_trade("T1")


def trade_failed(world: World) -> None:
    """Unknown trade type or unparsable XML: a row with NPV 0 and nothing in the engine's error list."""
    world.npv_of("T1").update({"TradeType": "Failed", "NPV": 0.0, "NPV(Base)": 0.0, "Maturity": "2199-12-31"})


def trade_not_parsed(world: World) -> None:
    trade_failed(world)
    world.error("TradeFactory::getBuilder(Swop): no builder found", tradeId="T1", tradeType="Swop")


def duplicate_dropped(world: World) -> None:
    world.error("Attempted to add a trade to the portfolio with an id, which already exists.", tradeId="T1")


def currency_not_simulated(world: World) -> None:
    world.xva = [row for row in world.xva if row["TradeId"] != "T1"]
    world.profiles.pop("exposure_trade_T1")


def fixings_missing(world: World) -> None:
    world.npv_of("T1").update({"NPV": None, "NPV(Base)": None, "Notional(Base)": None})
    world.xva_of("T1").update({"CVA": 0.0, "DVA": 0.0})
    world.error("T0 valuation error: Missing Euribor6M fixing", tradeId="T1", exceptionType="ScenarioValuation")


def fixings_missing_unlogged(world: World) -> None:
    world.npv_of("T1")["NPV(Base)"] = None


def no_recovery(world: World) -> None:
    for row in ("A", "T1", "T2"):
        world.xva_of(row).update({"CVA": None, "DVA": None, "FBA": None, "FCA": None})
    fields = {"analyticType": "ValueAdjustmentCalculator", "exceptionType": "Error processing netting set."}
    world.error("no market data for the requested recovery rate", "Analytics", nettingSetId="A", **fields)
    curve = "[DefaultCurve(CPTY_A,Default/EUR/CPTY_A_SR)]"
    world.error("default curve building failed", "Curve", curveId=curve, exceptionType="Failed to Build Curve")


def set_measures_missing(world: World) -> None:
    world.xva_of("A")["FCA"] = None


def no_netting_definition(world: World) -> None:
    message = "Definition for netting set A is not found. A fallback of 'uncollateralised' netting set will be used"
    world.error(message, "Analytics", exceptionType="Netting set definition not found")


def set_row_missing(world: World) -> None:
    world.xva.remove(world.xva_of("A"))


def set_profile_missing(world: World) -> None:
    world.profiles.pop("exposure_nettingset_A")


def profile_hole(world: World) -> None:
    world.profiles["exposure_nettingset_A"][1]["PFE"] = None


def trade_profile_hole(world: World) -> None:
    world.profiles["exposure_trade_T2"][1]["ENE"] = None


def profile_empty(world: World) -> None:
    world.profiles["exposure_nettingset_A"] = []


def profile_repeats(world: World) -> None:
    world.profiles["exposure_trade_T1"].append(world.profiles["exposure_trade_T1"][-1])


def trade_twice(world: World) -> None:
    world.npv.append(world.npv_of("T1"))


def set_twice(world: World) -> None:
    world.xva.append(world.xva_of("A"))


def trade_in_other_set(world: World) -> None:
    world.npv_of("T1")["NettingSet"] = "B"


def xva_in_other_set(world: World) -> None:
    world.xva_of("T1")["NettingSetId"] = "B"


def all_matured(world: World) -> None:
    for trade_id in ("T1", "T2"):
        world.forget_trade(trade_id)
        world.warning("Trade is Matured. Leg End Date is On or Before Valuation Date.", tradeId=trade_id)
    set_row_missing(world)
    set_profile_missing(world)


def matured_in_part(world: World) -> None:
    world.warning("Trade is Matured.", tradeId="T1")
    world.npv.remove(world.npv_of("T1"))


@pytest.mark.parametrize(
    ("spoil", "trade_id", "code"),
    [
        (trade_absent, "T1", "engine-error"),
        (trade_silently_absent, "T1", "trade-missing"),
        (trade_failed, "T1", "trade-failed"),
        (trade_not_parsed, "T1", "engine-error"),
        (duplicate_dropped, "T1", "engine-error"),
        (currency_not_simulated, "T1", "trade-missing"),
        (fixings_missing, "T1", "value-missing"),
        (fixings_missing_unlogged, "T1", "value-missing"),
        (no_recovery, None, "value-missing"),
        (set_measures_missing, None, "value-missing"),
        (no_netting_definition, None, "engine-error"),
        (set_row_missing, None, "netting-set-missing"),
        (set_profile_missing, None, "netting-set-missing"),
        (profile_hole, None, "value-missing"),
        (trade_profile_hole, "T2", "value-missing"),
        (profile_empty, None, "value-missing"),
        (profile_repeats, "T1", "value-missing"),
        (trade_twice, "T1", "duplicate-row"),
        (set_twice, None, "duplicate-row"),
        (trade_in_other_set, "T1", "wrong-netting-set"),
        (xva_in_other_set, "T1", "wrong-netting-set"),
        (all_matured, None, "no-live-trades"),
        (matured_in_part, "T1", "trade-missing"),
    ],
)
def test_a_defect_of_one_netting_set_rejects_that_set_alone(
    spoil: Callable[[World], None], trade_id: str | None, code: str
) -> None:
    world = clean_world()
    spoil(world)
    verdict = judge(world)
    assert verdict.failures == ()
    assert verdict.accepted == ("B",)
    assert {d.netting_set_id for d in verdict.defects} == {"A"}
    assert (trade_id, code) in {(d.trade_id, d.code) for d in verdict.defects}, verdict.defects


def test_a_missing_colva_matters_only_under_a_csa() -> None:
    world = clean_world()
    world.xva_of("A")["COLVA"] = None
    assert judge(world).accepted == ("A", "B")
    world.xva_of("B")["COLVA"] = None
    assert judge(world).accepted == ("A",)


def test_a_matured_trade_is_a_warning() -> None:
    world = clean_world()
    world.forget_trade("T1")
    world.warning("Trade is Matured. Leg End Date [2022-06-30] is On or Before Valuation Date.", tradeId="T1")
    verdict = judge(world)
    assert verdict.accepted == ("A", "B")
    assert verdict.matured == {"T1"}
    assert [(n.code, n.subject) for n in verdict.notices] == [("trade-matured", "T1")]


def test_a_trade_that_ends_before_the_first_grid_date_is_told() -> None:
    world = clean_world()
    world.npv_of("T2")["Maturity"] = "2026-10-15"
    verdict = judge(world)
    assert verdict.accepted == ("A", "B")
    assert [(n.code, n.subject) for n in verdict.notices] == [("matures-before-first-grid-date", "T2")]


@pytest.mark.parametrize(("maturity", "told"), [("2026-09-30", 0), ("2026-10-29", 1), ("2026-10-30", 0)])
def test_the_first_grid_date_itself_is_simulated(maturity: str, told: int) -> None:
    world = clean_world()
    world.npv_of("T2")["Maturity"] = maturity
    assert len(judge(world).notices) == told


def test_another_shards_default_curve_is_only_told() -> None:
    world = clean_world()
    world.error("default curve building failed", "Curve", curveId="[DefaultCurve(CPTY_C,Default/EUR/CPTY_C_SR)]")
    verdict = judge(world)
    assert verdict.accepted == ("A", "B")
    assert [n.code for n in verdict.notices] == ["other-shards-curve"]


def test_every_warning_of_the_engine_is_kept() -> None:
    world = clean_world()
    world.warning("odd", tradeId="T1")
    world.warning("odder", curveId="EUR")
    assert [(n.subject, n.message) for n in judge(world).notices] == [("EUR", "odder"), ("T1", "odd")]


def test_two_sets_of_one_counterparty_share_the_fate_of_its_curve() -> None:
    world = clean_world()
    sets = dict(world.expected.netting_sets)
    sets["B"] = ExpectedSet("CPTY_A", True, ("T3",))
    world.npv_of("T3")["CounterParty"] = "CPTY_A"
    world.expected = type(world.expected)(world.expected.as_of, sets)
    world.error("default curve building failed", "Curve", curveId="[DefaultCurve(CPTY_A,Default/EUR/CPTY_A_SR)]")
    assert judge(world).accepted == ()
    assert judge(world).failures == ()
