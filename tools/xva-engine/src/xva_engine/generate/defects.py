"""What is wrong with a request: kept by what it spoils, so that a bad trade costs its netting set and no more."""

from dataclasses import dataclass, field

from xva_engine.generate.advice import ADVICE


@dataclass(frozen=True, order=True)
class Defect:
    """One thing that is wrong: the thing, the class of the defect, and a sentence that names both.

    Raises ValueError for a class that `advice` does not know.
    """

    subject: str
    code: str
    message: str

    def __post_init__(self) -> None:
        if self.code not in ADVICE:
            raise ValueError(f"the defect class {self.code} is not known")

    @property
    def sentence(self) -> str:
        """The message, and what to do."""
        return f"{self.message}; {ADVICE[self.code].do}"


@dataclass(frozen=True, order=True)
class SetDefect:
    """A defect that refuses a netting set; `trade_id` is empty when no trade is at fault."""

    netting_set_id: str
    trade_id: str
    defect: Defect


class TermsRefusedError(ValueError):
    """Thrown when a trade's terms cannot be packaged; holds every fault of the trade."""

    def __init__(self, faults: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(message for _, message in faults))
        self.faults = faults
        """Pairs of code and message."""


@dataclass
class Findings:
    """Everything that was found, gathered while nothing is thrown."""

    whole: set[Defect] = field(default_factory=set)
    """Spoils the package."""
    sets: set[SetDefect] = field(default_factory=set)
    warnings: set[Defect] = field(default_factory=set)

    def refuse_package(self, code: str, subject: str, message: str) -> None:
        """Notes a defect that leaves no netting set to compute."""
        self.whole.add(Defect(subject, code, message))

    def refuse_set(self, netting_set_id: str, code: str, subject: str, message: str, trade_id: str = "") -> None:
        """Notes a defect of one netting set."""
        self.sets.add(SetDefect(netting_set_id, trade_id, Defect(subject, code, message)))

    def warn(self, code: str, subject: str, message: str) -> None:
        """Notes something that a reader of the numbers should know."""
        self.warnings.add(Defect(subject, code, message))

    @property
    def refused_sets(self) -> set[str]:
        """Ids of the netting sets with at least one defect."""
        return {found.netting_set_id for found in self.sets}


def sentence_of(kind: str, message: str, value: object) -> str:
    """A validation fault of pydantic's (its type, message and input) as the end of a sentence."""
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        return "is not a member that is known here"
    shown = repr(value)
    return f"{message} (it is {shown if len(shown) <= 60 else f'{shown[:57]}...'})"
