"""The merged run's summary, the same rules as `libs/xva-contracts/src/result/summary.ts`."""

from typing import Literal

from pydantic import Field

from xva_engine.contracts.base import Contract, OmitsEmpty, SchemaVersion
from xva_engine.contracts.bundle import BundleInput, EngineInfo, Rejection
from xva_engine.contracts.frozen_request import RequestKey
from xva_engine.contracts.manifest import ContractWarning
from xva_engine.contracts.scalars import (
    CurrencyCode,
    DecimalString,
    EventId,
    IdToken,
    IsoDate,
    RunId,
    SafeInt,
    Sha256,
)


class XvaMeasures(Contract):
    """Value adjustments in base currency; `fva` is FBA - FCA; `colva` only of collateralised netting sets."""

    npv: float
    cva: float
    dva: float
    fba: float
    fca: float
    fva: float
    colva: float | None


class ErrorBarSummary(Contract):
    """The standard error of one simulated figure; amounts in `currency`."""

    measure: Literal["cva", "dva", "fba", "fca", "fva", "colva", "baselEpe", "baselEepe"]
    currency: CurrencyCode
    standard_error: float = Field(ge=0)
    half_sample_value: float


class NettingSetSummary(XvaMeasures, OmitsEmpty):
    """One netting set's numbers; `peak_pfe` is the highest value of its PFE profile; error bars only on request."""

    id: IdToken
    counterparty: IdToken
    collateralised: bool
    trades: int = Field(ge=1)
    basel_epe: float
    basel_eepe: float
    peak_pfe: float
    error_bars: list[ErrorBarSummary] = Field(default_factory=list, min_length=1)


class CountCoverage(Contract):
    """How many were asked for and how many are published."""

    requested: SafeInt
    published: SafeInt


class NotionalCoverage(Contract):
    """Gross notional in base currency at spot."""

    requested: DecimalString
    published: DecimalString


class NpvCoverage(Contract):
    """Sum of absolute NPVs."""

    published: float


class Coverage(Contract):
    """How much of the request the published numbers cover."""

    netting_sets: CountCoverage
    trades: CountCoverage
    gross_notional: NotionalCoverage
    abs_npv: NpvCoverage


class ResultSummary(Contract):
    """`summary.json` of a merged run; totals are over the published netting sets."""

    schema_version: SchemaVersion
    run_id: RunId
    event_id: EventId
    request_key: RequestKey
    package_id: Sha256
    as_of: IsoDate
    currency: CurrencyCode
    outcome: Literal["complete", "partial"]
    samples: SafeInt
    seed: SafeInt
    quantile: DecimalString
    grid_dates: SafeInt
    totals: XvaMeasures
    netting_sets: list[NettingSetSummary] = Field(min_length=1)
    coverage: Coverage
    rejections: list[Rejection]
    warnings: list[ContractWarning]
    engine: EngineInfo
    shards: list[BundleInput]
