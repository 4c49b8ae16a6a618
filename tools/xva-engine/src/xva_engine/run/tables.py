"""From accepted reports to rows: plain values under the tables' column names. Pure."""

import datetime
import math
from collections.abc import Mapping, Sequence
from typing import Any

from xva_engine.run.acceptance import Defect, Expected, ExpectedSet, Verdict
from xva_engine.run.reports import Report
from xva_engine.run.table_specs import STAGE_ENGINE

Row = dict[str, Any]

_XVA_COLUMNS = {
    "cva": "CVA",
    "dva": "DVA",
    "fba": "FBA",
    "fca": "FCA",
    "fbaExOwnSp": "FBAexOwnSP",
    "fcaExOwnSp": "FCAexOwnSP",
    "fbaExAllSp": "FBAexAllSP",
    "fcaExAllSp": "FCAexAllSP",
    "baselEpe": "BaselEPE",
    "baselEepe": "BaselEEPE",
}
_PROFILE_COLUMNS = {
    "time": "Time",
    "epe": "EPE",
    "ene": "ENE",
    "pfe": "PFE",
    "baselEe": "BaselEE",
    "baselEee": "BaselEEE",
    "timeWeightedBaselEpe": "TimeWeightedBaselEPE",
    "timeWeightedBaselEepe": "TimeWeightedBaselEEPE",
}
_NPV_COLUMNS = {
    "tradeType": "TradeType",
    "counterparty": "CounterParty",
    "maturityTime": "MaturityTime",
    "npv": "NPV",
    "npvCurrency": "NpvCurrency",
    "npvBase": "NPV(Base)",
    "baseCurrency": "BaseCurrency",
    "notional": "Notional",
    "notionalCurrency": "NotionalCurrency",
    "notionalBase": "Notional(Base)",
}


def build_rows(
    reports: Mapping[str, Report], verdict: Verdict, expected: Expected, defects: Sequence[Defect]
) -> dict[str, list[Row]]:
    """Rows by table name of the accepted netting sets alone, plus the rejections."""
    accepted = {set_id: expected.netting_sets[set_id] for set_id in verdict.accepted}
    set_of_trade = {trade: set_id for set_id, one in accepted.items() for trade in one.trade_ids}
    npv = _npv_rows(reports["npv"], set_of_trade)
    profiles = _profile_rows(reports, set_of_trade, accepted)
    currencies = {row["baseCurrency"] for row in npv}
    currency = next(iter(currencies), "")
    xva_sets, xva_trades = _xva_rows(reports["xva"], set_of_trade, set(accepted), currency)
    for row in xva_sets:
        set_id = row["nettingSetId"]
        values = [trade["npvBase"] for trade in npv if trade["nettingSetId"] == set_id]
        peak = max(p["pfe"] for p in profiles if p["scope"] == "nettingSet" and p["id"] == set_id)
        one = accepted[set_id]
        row |= {"counterparty": one.counterparty, "collateralised": one.collateralised, "trades": len(values)}
        row |= {"npv": math.fsum(values), "peakPfe": peak, "colva": row["colva"] if one.collateralised else None}
    return {
        "npv": npv,
        "xva_netting_set": xva_sets,
        "xva_trade": xva_trades,
        "exposure_profile": profiles,
        "pricing_stats": pricing_rows(reports.get("pricingstats"), set_of_trade),
        "rejections": rejection_rows(defects),
    }


def rejection_rows(defects: Sequence[Defect], stage: str = STAGE_ENGINE) -> list[Row]:
    """One row per defect."""
    return [
        {"stage": stage, "nettingSetId": d.netting_set_id, "tradeId": d.trade_id, "code": d.code, "message": d.message}
        for d in defects
    ]


def _npv_rows(report: Report, set_of_trade: Mapping[str, str]) -> list[Row]:
    rows = []
    for index, trade_id in enumerate(report.texts("TradeId")):
        if trade_id not in set_of_trade:
            continue
        row: Row = {name: report.column(header)[index] for name, header in _NPV_COLUMNS.items()}
        row |= {"tradeId": trade_id, "nettingSetId": set_of_trade[trade_id]}
        row["maturity"] = _date(report.column("Maturity")[index])
        rows.append(row)
    return rows


def _xva_rows(
    report: Report, set_of_trade: Mapping[str, str], accepted: set[str], currency: str
) -> tuple[list[Row], list[Row]]:
    sets: list[Row] = []
    trades: list[Row] = []
    for index, (trade_id, set_id) in enumerate(zip(report.texts("TradeId"), report.texts("NettingSetId"), strict=True)):
        row: Row = {name: report.column(header)[index] for name, header in _XVA_COLUMNS.items()}
        if set_id not in accepted:
            continue
        # FVA is FBA - FCA: benefit less cost, both as the engine signs them.
        row |= {"nettingSetId": set_id, "baseCurrency": currency, "fva": row["fba"] - row["fca"]}
        if not trade_id:
            sets.append({**row, "colva": report.column("COLVA")[index]})
        elif trade_id in set_of_trade:
            trades.append({**row, "tradeId": trade_id})
    return sets, trades


def _profile_rows(
    reports: Mapping[str, Report], set_of_trade: Mapping[str, str], accepted: Mapping[str, ExpectedSet]
) -> list[Row]:
    rows: list[Row] = []
    for scope, prefix, set_of in (
        ("nettingSet", "exposure_nettingset_", {set_id: set_id for set_id in accepted}),
        ("trade", "exposure_trade_", set_of_trade),
    ):
        for one_id, set_id in set_of.items():
            report = reports.get(prefix + one_id)
            if report is None:
                continue  # a matured trade; the acceptance rule has seen to all others
            dates = report.column("Date")
            columns = {name: report.column(header) for name, header in _PROFILE_COLUMNS.items()}
            # Without a CSA the engine's column holds the value at time zero, which is nobody's collateral.
            secured = scope == "nettingSet" and accepted[set_id].collateralised
            collateral = report.column("ExpectedCollateral") if secured else [None] * report.rows
            for index in range(report.rows):
                row: Row = {name: cells[index] for name, cells in columns.items()}
                row |= {"scope": scope, "id": one_id, "nettingSetId": set_id, "date": _date(dates[index])}
                rows.append({**row, "expectedCollateral": collateral[index]})
    return rows


def pricing_rows(report: Report | None, set_of_trade: Mapping[str, str]) -> list[Row]:
    """What pricing each of these trades took."""
    if report is None:
        return []
    return [
        {
            "tradeId": trade_id,
            "nettingSetId": set_of_trade[trade_id],
            "tradeType": report.column("TradeType")[index],
            "pricings": report.column("NumberOfPricings")[index],
            "cumulativeMicros": report.column("CumulativeTiming")[index],
        }
        for index, trade_id in enumerate(report.texts("TradeId"))
        if trade_id in set_of_trade
    ]


def _date(cell: object) -> datetime.date | None:
    return None if cell is None else datetime.date.fromisoformat(str(cell))
