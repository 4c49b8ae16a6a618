"""What one clean engine run leaves behind, as plain values: netting set A (T1, T2) and B with a CSA (T3)."""

from dataclasses import dataclass, field

from xva_engine.run.acceptance import Expected, ExpectedSet
from xva_engine.run.reports import Cell, LogLine, Report

AS_OF = "2026-09-30"
DATES = ("2026-09-30", "2026-10-30", "2027-09-30")
TRADES = {"T1": "A", "T2": "A", "T3": "B"}
PARTIES = {"A": "CPTY_A", "B": "CPTY_B"}


@dataclass
class World:
    """Rows by report, to be spoiled by a test and then frozen."""

    npv: list[dict[str, Cell]] = field(default_factory=list)
    xva: list[dict[str, Cell]] = field(default_factory=list)
    profiles: dict[str, list[dict[str, Cell]]] = field(default_factory=dict)
    log: list[LogLine] = field(default_factory=list)
    without: set[str] = field(default_factory=set)
    expected: Expected = field(
        default_factory=lambda: Expected(
            AS_OF,
            {"A": ExpectedSet("CPTY_A", False, ("T1", "T2")), "B": ExpectedSet("CPTY_B", True, ("T3",))},
            frozenset({"CPTY_C"}),
        )
    )

    def reports(self) -> dict[str, Report]:
        """Every report under the engine's name."""
        pricing: list[dict[str, Cell]] = [
            {"TradeId": t, "TradeType": "Swap", "NumberOfPricings": 7, "CumulativeTiming": 9} for t in sorted(TRADES)
        ]
        rows: dict[str, list[dict[str, Cell]]] = {
            "npv": self.npv,
            "xva": self.xva,
            "pricingstats": pricing,
            **self.profiles,
        }
        return {name: _report(table) for name, table in rows.items() if name not in self.without}

    def npv_of(self, trade_id: str) -> dict[str, Cell]:
        return next(row for row in self.npv if row["TradeId"] == trade_id)

    def xva_of(self, row_id: str) -> dict[str, Cell]:
        return next(row for row in self.xva if row_id in (row["TradeId"] or row["NettingSetId"],))

    def forget_trade(self, trade_id: str) -> None:
        self.npv = [row for row in self.npv if row["TradeId"] != trade_id]
        self.xva = [row for row in self.xva if row["TradeId"] != trade_id]
        self.profiles.pop(f"exposure_trade_{trade_id}")

    def error(self, message: str, group: str = "Trade", **fields: str) -> None:
        self.log.append(LogLine("Error", group, message, fields))

    def warning(self, message: str, **fields: str) -> None:
        self.log.append(LogLine("Warning", "Trade", message, fields))


def clean_world() -> World:
    """A run in which nothing is wrong."""
    world = World()
    for index, (trade_id, set_id) in enumerate(sorted(TRADES.items())):
        world.npv.append(_npv(trade_id, set_id, 100.0 + index))
        world.profiles[f"exposure_trade_{trade_id}"] = _profile("TradeId", trade_id)
    for index, set_id in enumerate(sorted(PARTIES)):
        world.xva.append(_xva("", set_id, 10.0 + index))
        world.xva += [_xva(t, set_id, 1.0 + index) for t in sorted(TRADES) if TRADES[t] == set_id]
        world.profiles[f"exposure_nettingset_{set_id}"] = _profile("NettingSet", set_id)
    return world


def _npv(trade_id: str, set_id: str, value: float) -> dict[str, Cell]:
    return {
        "TradeId": trade_id,
        "TradeType": "Swap",
        "Maturity": "2030-09-30",
        "MaturityTime": 4.0,
        "NPV": value,
        "NpvCurrency": "EUR",
        "NPV(Base)": value,
        "BaseCurrency": "EUR",
        "Notional": 1e6,
        "NotionalCurrency": "EUR",
        "Notional(Base)": 1e6,
        "NettingSet": set_id,
        "CounterParty": PARTIES[set_id],
    }


def _xva(trade_id: str, set_id: str, value: float) -> dict[str, Cell]:
    measures = ("CVA", "DVA", "FBA", "FCA", "FBAexOwnSP", "FCAexOwnSP", "FBAexAllSP", "FCAexAllSP")
    row: dict[str, Cell] = {"TradeId": trade_id, "NettingSetId": set_id}
    row |= {name: value + number for number, name in enumerate(measures)}
    return row | {"COLVA": None if trade_id else 0.5, "BaselEPE": 3.0, "BaselEEPE": 4.0}


def _profile(header: str, one_id: str) -> list[dict[str, Cell]]:
    names = ("EPE", "ENE", "PFE", "BaselEE", "BaselEEE", "TimeWeightedBaselEPE", "TimeWeightedBaselEEPE")
    rows: list[dict[str, Cell]] = []
    for index, date in enumerate(DATES):
        row: dict[str, Cell] = {header: one_id, "Date": date, "Time": float(index)}
        row |= {name: 10.0 * index + number for number, name in enumerate(names)}
        rows.append(row | ({"ExpectedCollateral": 2.0} if header == "NettingSet" else {}))
    return rows


def _report(rows: list[dict[str, Cell]]) -> Report:
    headers = rows[0] if rows else _profile("NettingSet", "")[0]
    return Report({header: [row[header] for row in rows] for header in headers})
