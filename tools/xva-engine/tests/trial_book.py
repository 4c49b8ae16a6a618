"""A page of `docs/trials/` that holds what a test saw; the page is compared, or written with XVA_WRITE_DOCS=true."""

import os
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


class TrialBook:
    """One page per test: rows by section, in the order in which they came.

    What was seen is told in short, stable sentences: no times, ports, ids or seeds. The page's tables may be laid out
    anew (prettier does), so blanks and dashes are not compared.
    """

    def __init__(
        self, title: str, page: str, source: str, columns: tuple[str, ...] = ("tried", "what happened")
    ) -> None:
        self._title, self._path, self._source, self._columns = title, ROOT / page, source, columns
        self._sections: dict[str, list[tuple[str, ...]]] = {}

    def record(self, section: str, *cells: str) -> None:
        """One row."""
        assert len(cells) == len(self._columns)
        rows = self._sections.setdefault(section, [])
        assert cells[0] not in {row[0] for row in rows}, f"{section}: {cells[0]} was recorded twice"
        rows.append(cells)

    def close(self) -> None:
        """Writes the page, or fails if it says something else."""
        text = self._text()
        if os.environ.get("XVA_WRITE_DOCS") == "true":
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text(text)
            return
        page = self._path.read_text() if self._path.exists() else ""
        assert _plain(page) == _plain(text), (
            f"{self._path} is not what {self._source} saw: XVA_WRITE_DOCS=true writes it"
        )

    def _text(self) -> str:
        count = sum(len(rows) for rows in self._sections.values())
        head = f"Written by `{self._source}` from what it saw ({count} rows); the test fails when this page differs."
        parts = [f"# {self._title}", head]
        for section, rows in self._sections.items():
            table = [_row(self._columns), _row(("---",) * len(self._columns)), *(_row(row) for row in rows)]
            parts += [f"## {section}", "\n".join(table)]
        return "\n\n".join(parts) + "\n"


def _row(cells: tuple[str, ...]) -> str:
    escaped = (cell.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ") for cell in cells)
    return f"| {' | '.join(escaped)} |"


def _plain(text: str) -> str:
    return re.sub(r" +", " ", re.sub(r"-{3,}", "---", text))
