"""Task spec, progress and exit codes, the same rules as `libs/xva-contracts/src/job/`."""

from typing import Annotated, Final, Literal

from pydantic import Field, TypeAdapter

from xva_engine.contracts.base import Contract, OmitsEmpty, SchemaVersion
from xva_engine.contracts.manifest import Count, Part
from xva_engine.contracts.scalars import (
    EventId,
    IdToken,
    RelativePath,
    RunId,
    Sha256,
    TaskId,
    UtcTimestamp,
    Uuid,
)


class _TaskIdentity(OmitsEmpty):
    schema_version: SchemaVersion
    run_id: RunId
    event_id: EventId
    attempt: int = Field(ge=1)
    task_id: TaskId
    package_id: Sha256
    shared_input_hash: Sha256


class ShardSpec(_TaskIdentity):
    """One shard: the package lies under `parts[].path`; the runner cuts the portfolio to these netting sets.

    With `trades` (not empty) to these trades of the one netting set: the bundle is then a cube.
    """

    kind: Literal["shard"]
    parts: list[Part] = Field(min_length=1)
    netting_sets: list[IdToken] = Field(min_length=1)
    trades: list[IdToken] = Field(default_factory=list, min_length=1)


class MergeInput(OmitsEmpty):
    """The accepted bundle of one shard, by exact name and hash."""

    task_id: TaskId
    attempt: int = Field(ge=1)
    bundle_id: Uuid
    path: RelativePath
    sha256: Sha256
    netting_sets: list[IdToken] = Field(min_length=1)
    trades: list[IdToken] = Field(default_factory=list, min_length=1)


class MergeSpec(_TaskIdentity):
    """The merge: every shard's accepted bundle, and the manifest that says what must come."""

    kind: Literal["merge"]
    manifest_path: RelativePath
    parts: list[Part] = Field(default_factory=list, min_length=1)
    """The whole package, when a netting set was split by trade."""
    bundles: list[MergeInput] = Field(min_length=1)


TaskSpec = Annotated[ShardSpec | MergeSpec, Field(discriminator="kind")]
_TASK_SPEC: TypeAdapter[ShardSpec | MergeSpec] = TypeAdapter(TaskSpec)


def parse_task_spec(text: str | bytes) -> ShardSpec | MergeSpec:
    """Reads `task.json`; raises pydantic.ValidationError naming every fault."""
    return _TASK_SPEC.validate_json(text)


class TaskProgress(Contract):
    """`out/progress.json`, replaced atomically while the task runs."""

    schema_version: SchemaVersion
    phase: Literal["starting", "market", "simulation", "xva", "accepting", "writing", "merging", "done"]
    done: Count
    total: Count
    updated_at: UtcTimestamp


EXIT_CODES: Final[dict[str, int]] = {
    "success": 0,
    "usage": 2,
    "badInput": 10,
    "modelFailure": 20,
    "engineCrash": 30,
    "outOfMemory": 40,
    "cancelled": 50,
    "infrastructure": 60,
    "internal": 70,
}
"""How a task ends, by class of failure."""
