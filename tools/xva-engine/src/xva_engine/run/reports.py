"""The engine's reports as the child hands them over: columns of plain values, `None` where the engine says `#N/A`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

Cell = float | int | str | None


@dataclass(frozen=True)
class Report:
    """Columns by the engine's own header (`NPV(Base)`); dates are ISO text. All columns are equally long."""

    columns: Mapping[str, Sequence[Cell]]

    @property
    def rows(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def column(self, header: str) -> Sequence[Cell]:
        """Raises MissingColumnError when the engine's report has no such column."""
        try:
            return self.columns[header]
        except KeyError:
            raise MissingColumnError(header) from None

    def texts(self, header: str) -> list[str]:
        """A column of ids; `None` becomes the empty text."""
        return ["" if cell is None else str(cell) for cell in self.column(header)]


class MissingColumnError(LookupError):
    """A report of the engine lacks a column that this version of the runner reads."""

    def __init__(self, header: str) -> None:
        super().__init__(f"the engine's report has no column {header}")
        self.header = header


@dataclass(frozen=True)
class LogLine:
    """One line of the engine's structured log."""

    category: str
    group: str
    message: str
    fields: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_error(self) -> bool:
        """The engine files its own failure as a Warning whose `warningType` is Error (ore-xva, measured)."""
        return self.category != "Warning" or self.fields.get("warningType") == "Error"


def read_reports(path: Path) -> dict[str, Report]:
    """Reads what the child wrote; doubles come back bit for bit (shortest round-trip text)."""
    raw = json.loads(path.read_bytes())
    return {name: Report(columns) for name, columns in raw.items()}


def read_structured_log(path: Path) -> list[LogLine]:
    """The engine's structured log, absent when it had nothing to say. A line that is no JSON counts as an error."""
    if not path.exists():
        return []
    lines = []
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if not text.strip():
            continue
        try:
            raw = json.loads(text)
            fields = {str(item["name"]): str(item["value"]) for item in raw.get("sub_fields", [])}
            lines.append(LogLine(str(raw["category"]), str(raw["group"]), str(raw["message"]), fields))
        except (ValueError, KeyError, TypeError, AttributeError):
            lines.append(LogLine("Error", "Log", f"unreadable line of the structured log: {text[:200]}"))
    return lines
