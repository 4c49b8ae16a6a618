"""The input package's manifest, the same rules as `libs/xva-contracts/src/input-package/manifest.ts`."""

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from xva_engine.contracts.base import Contract, SchemaVersion
from xva_engine.contracts.canonical_json import canonical_hash, sha256_hex
from xva_engine.contracts.frozen_request import RequestKey
from xva_engine.contracts.scalars import (
    CurrencyCode,
    DecimalString,
    EventId,
    IdToken,
    IsoDate,
    NotNull,
    RelativePath,
    SafeInt,
    Sha256,
)

PartRole = Literal[
    "setup",
    "market",
    "fixings",
    "conventions",
    "curve-config",
    "todays-market",
    "pricing-engine",
    "simulation",
    "netting",
    "portfolio",
    "error-bar-setup",
    "error-bar-simulation",
]
Count = Annotated[int, Field(ge=0, le=2**53 - 1)]


class Part(Contract):
    """One file of the engine's input, stored once by its content as `objects/<sha256>`."""

    path: RelativePath
    size: Count
    sha256: Sha256
    role: PartRole


class Refusal(Contract):
    """Why something of the request was left out: the netting set that goes, and the thing that is wrong, by name."""

    netting_set_id: str
    trade_id: str | None
    code: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{3,60}$")]
    subject: str
    message: str


class ContractWarning(Contract):
    """Something that a reader of the numbers should know."""

    code: str
    subject: str
    message: str


class NameVersion(Contract):
    """A program and its version."""

    name: str
    version: str


class PackagedTrade(Contract):
    """`cost_nanos`: one pricing on one path and date, in nanoseconds of one core."""

    trade_id: IdToken
    trade_type: str
    cost_nanos: Count


class PackagedNettingSet(Contract):
    """`gross_notional`: sum of absolute notionals in base currency at spot."""

    id: IdToken
    counterparty: IdToken
    collateralised: bool
    trades: list[PackagedTrade] = Field(min_length=1)
    gross_notional: DecimalString


class RefusedNettingSet(Contract):
    """A netting set of the request that is not in the package; its notional is null when it cannot be known."""

    id: str
    trade_count: Count
    gross_notional: DecimalString | None


class SnapshotUsed(Contract):
    """The market snapshot that was read, and how many of its values are in the package."""

    name: IdToken
    as_of: IsoDate
    sha256: Sha256
    quotes: Count
    fixings: Count


class CreditCurve(Contract):
    """A name's default curve; `curve_of` is another name where a proxy stands in."""

    name: IdToken
    curve_of: IdToken
    kind: Literal["hazard-rates", "cds-spreads"]
    reason: str | None


class WhatIfSets(Contract):
    """The two netting sets that a what-if compares."""

    without: IdToken
    with_: IdToken = Field(alias="with")
    added_trade_ids: list[IdToken]
    removed_trade_ids: list[IdToken]


class Provenance(Contract):
    """Where the numbers come from that no part tells."""

    market_snapshot: SnapshotUsed | None
    credit: list[CreditCurve]
    what_if: WhatIfSets | None


class Manifest(Contract):
    """What an input package consists of; `package_id_of` its bytes is the package's name and therefore not in it."""

    schema_version: SchemaVersion
    event_id: EventId
    request_key: RequestKey
    as_of: IsoDate
    base_currency: CurrencyCode
    samples: SafeInt
    seed: SafeInt
    quantile: DecimalString
    grid_dates: int = Field(ge=1)
    strict: bool
    priority: SafeInt
    generator: NameVersion
    engine: NameVersion
    parts: list[Part] = Field(min_length=1, max_length=200)
    shared_input_hash: Sha256
    netting_sets: list[PackagedNettingSet] = Field(min_length=1)
    refused_netting_sets: list[RefusedNettingSet]
    refusals: list[Refusal]
    warnings: list[ContractWarning]
    provenance: NotNull[Provenance | None] = None

    def to_json(self) -> dict[str, object]:
        """Without `provenance` when it is absent, as other generators' manifests may be."""
        message = super().to_json()
        return message if self.provenance is not None else {k: v for k, v in message.items() if k != "provenance"}


def package_id_of(manifest: Manifest) -> str:
    """SHA-256 of the canonical manifest."""
    return sha256_hex(manifest.canonical_bytes())


def shared_input_hash_of(parts: Iterable[Part]) -> str:
    """Hash of `[[path, sha256], …]` of every part but the portfolio, which all shards of a run must share."""
    return canonical_hash(sorted([part.path, part.sha256] for part in parts if part.role != "portfolio"))
