"""The result tables: names, columns, keys. What the runner writes, the merge unites and `compare` compares."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from xva_engine.contracts import Part

ColumnType = Literal["string", "double", "int64", "date", "bool"]

PROVENANCE: Final = ("runId", "taskId")
"""Columns that say which task made a row; they differ between two runs of the same numbers."""


@dataclass(frozen=True)
class Column:
    """A column of a table; doubles are the engine's, to the last bit."""

    name: str
    type: ColumnType
    nullable: bool = False
    volatile: bool = False
    """Differs from run to run by nature (timings)."""


@dataclass(frozen=True)
class TableSpec:
    """`key` identifies a row and is the order of the rows."""

    name: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def path(self) -> str:
        return f"tables/{self.name}.parquet"


def _text(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name, "string") for name in names)


def _doubles(*names: str, nullable: bool = False) -> tuple[Column, ...]:
    return tuple(Column(name, "double", nullable) for name in names)


_IDENTITY = _text(*PROVENANCE)
_XVA = _doubles(
    "cva", "dva", "fba", "fca", "fva", "fbaExOwnSp", "fcaExOwnSp", "fbaExAllSp", "fcaExAllSp", "baselEpe", "baselEepe"
)

NPV = TableSpec(
    "npv",
    ("nettingSetId", "tradeId"),
    (
        *_IDENTITY,
        *_text("nettingSetId", "tradeId", "tradeType", "counterparty"),
        Column("maturity", "date", nullable=True),
        *_doubles("maturityTime", nullable=True),
        *_doubles("npv"),
        *_text("npvCurrency"),
        *_doubles("npvBase"),
        *_text("baseCurrency"),
        *_doubles("notional", nullable=True),
        Column("notionalCurrency", "string", nullable=True),
        *_doubles("notionalBase", nullable=True),
    ),
)
XVA_NETTING_SET = TableSpec(
    "xva_netting_set",
    ("nettingSetId",),
    (
        *_IDENTITY,
        *_text("nettingSetId", "counterparty"),
        Column("collateralised", "bool"),
        *_text("baseCurrency"),
        Column("trades", "int64"),
        *_doubles("npv"),
        *_XVA,
        *_doubles("colva", nullable=True),
        *_doubles("peakPfe"),
    ),
)
XVA_TRADE = TableSpec(
    "xva_trade",
    ("nettingSetId", "tradeId"),
    (*_IDENTITY, *_text("nettingSetId", "tradeId", "baseCurrency"), *_XVA),
)
EXPOSURE_PROFILE = TableSpec(
    "exposure_profile",
    ("scope", "nettingSetId", "id", "date"),
    (
        *_IDENTITY,
        *_text("scope", "nettingSetId", "id"),
        Column("date", "date"),
        *_doubles("time", "epe", "ene", "pfe"),
        *_doubles("expectedCollateral", nullable=True),
        *_doubles("baselEe", "baselEee", "timeWeightedBaselEpe", "timeWeightedBaselEepe"),
    ),
)
PRICING_STATS = TableSpec(
    "pricing_stats",
    ("nettingSetId", "tradeId"),
    (
        *_IDENTITY,
        *_text("nettingSetId", "tradeId", "tradeType"),
        Column("pricings", "int64", nullable=True),
        Column("cumulativeMicros", "int64", nullable=True, volatile=True),
    ),
)
STAGE_PACKAGE: Final = "package"
STAGE_ENGINE: Final = "engine"
"""Who rejected: the generator of the package (known to the merge alone) or the runner."""
REJECTIONS = TableSpec(
    "rejections",
    ("stage", "nettingSetId", "tradeId", "code", "message"),
    (
        *_IDENTITY,
        *_text("stage", "nettingSetId"),
        Column("tradeId", "string", nullable=True),
        *_text("code", "message"),
    ),
)

ERROR_BARS = TableSpec(
    "error_bars",
    ("nettingSetId", "measure"),
    (
        *_IDENTITY,
        *_text("nettingSetId", "measure", "baseCurrency"),
        *_doubles("value", "halfSampleValue", "standardError"),
    ),
)
"""Amounts in base currency; there only when the package asks for it."""

TABLES: Final = (NPV, XVA_NETTING_SET, XVA_TRADE, EXPOSURE_PROFILE, PRICING_STATS, REJECTIONS)
TABLES_BY_NAME: Final = {spec.name: spec for spec in (*TABLES, ERROR_BARS)}


def tables_for(parts: "Iterable[Part]") -> tuple[TableSpec, ...]:
    """The tables of a result of a package with these parts."""
    return (*TABLES, ERROR_BARS) if any(part.role == "error-bar-setup" for part in parts) else TABLES
