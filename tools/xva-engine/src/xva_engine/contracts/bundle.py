"""A task's output bundle and report, the same rules as `libs/xva-contracts/src/job/bundle.ts`."""

from typing import Literal

from pydantic import Field

from xva_engine.contracts.base import Contract, OmitsEmpty, SchemaVersion
from xva_engine.contracts.manifest import ContractWarning, Count
from xva_engine.contracts.scalars import EventId, IdToken, RelativePath, RunId, SafeInt, Sha256, TaskId, Uuid


class Rejection(Contract):
    """A netting set (or trade) that the engine ran but whose numbers were not accepted."""

    netting_set_id: str
    trade_id: str | None
    code: str
    message: str


class EngineInfo(Contract):
    """Which programs on which machine made the numbers."""

    name: str
    version: str
    runner: str
    python: str
    platform: str
    cpu_model: str
    image_digest: str | None


class BundleFile(Contract):
    """A file of the bundle; `rows` only of tables."""

    path: RelativePath
    size: Count
    sha256: Sha256
    rows: Count | None


class BundleInput(Contract):
    """A bundle that the merge used."""

    task_id: TaskId
    bundle_id: Uuid
    sha256: Sha256


class Bundle(OmitsEmpty):
    """`bundle.json`, the first entry of `bundle-<bundleId>.tar`; `timings` are seconds of wall clock by phase."""

    schema_version: SchemaVersion
    bundle_id: Uuid
    kind: Literal["shard", "cube", "merge"]
    run_id: RunId
    event_id: EventId
    attempt: int = Field(ge=1)
    task_id: TaskId
    package_id: Sha256
    shared_input_hash: Sha256
    netting_sets: list[IdToken]
    trades: list[IdToken] = Field(default_factory=list)
    """A cube's trades."""
    rejections: list[Rejection]
    warnings: list[ContractWarning]
    engine: EngineInfo
    files: list[BundleFile]
    inputs: list[BundleInput]
    timings: dict[str, float]


class TaskReport(Contract):
    """`out/report-<bundleId>.json`, written however the task ends."""

    schema_version: SchemaVersion
    run_id: RunId
    attempt: int = Field(ge=1)
    task_id: TaskId
    exit_code: SafeInt
    exit_class: str
    message: str
    rejections: list[Rejection]
    bundle_id: Uuid | None
