"""Problem details (RFC 9457), the same rules as `libs/xva-contracts/src/problem.ts`."""

from pydantic import ConfigDict, Field

from xva_engine.contracts.base import Contract
from xva_engine.contracts.scalars import SafeInt


class ProblemError(Contract):
    """One thing that is wrong, by name."""

    subject: str
    code: str
    message: str


class Problem(Contract):
    """`code` is the stable name of the problem; members that a reader does not know are kept."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: SafeInt
    code: str
    detail: str = ""
    instance: str = ""
    request_id: str = ""
    errors: list[ProblemError] = Field(default_factory=list)

    def to_json(self) -> dict[str, object]:
        """The problem without the members that are absent."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


class PackageProblem(Problem):
    """What the input API answers instead of a package: every defect at once."""

    errors: list[ProblemError]
