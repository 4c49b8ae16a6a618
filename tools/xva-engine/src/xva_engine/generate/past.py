"""The request's fixings, and which of the past ones are missing."""

import datetime
from collections import defaultdict
from collections.abc import Iterable

from xva_engine.contracts import Fixing
from xva_engine.generate.defects import Defect
from xva_engine.generate.needs import parse_number

FixingKey = tuple[str, datetime.date]
_SHOWN = 10


class FixingBook:
    """Fixings by index and day; the order in which they came makes no difference."""

    def __init__(self, fixings: Iterable[Fixing]) -> None:
        values: dict[tuple[str, str], set[str]] = defaultdict(set)
        for fixing in fixings:
            values[fixing.index, fixing.date].add(fixing.value)
        self._values = {key: sorted(texts) for key, texts in values.items()}

    def text(self, key: FixingKey) -> str:
        """The fixing as it was given."""
        return self._values[key[0], key[1].isoformat()][0]

    def defects(self, keys: Iterable[FixingKey]) -> list[Defect]:
        """What is wrong with these fixings: one defect per index and kind, naming the days."""
        days: dict[tuple[str, str], list[datetime.date]] = defaultdict(list)
        for index, day in sorted(keys):
            code = self._fault(index, day)
            if code:
                days[index, code].append(day)
        return [_defect(index, code, found) for (index, code), found in days.items()]

    def contradictions(self) -> list[Defect]:
        """Every fixing that is no number or has several values."""
        keys = ((index, datetime.date.fromisoformat(day)) for index, day in self._values)
        return self.defects(keys)

    def _fault(self, index: str, day: datetime.date) -> str:
        texts = self._values.get((index, day.isoformat()))
        if texts is None:
            return "missing-fixing"
        numbers = {parse_number(text) for text in texts}
        if None in numbers:
            return "bad-fixing"
        return "duplicate-fixing" if len(numbers) > 1 else ""


_SENTENCES = {
    "missing-fixing": "{index} has no fixing for {days}",
    "bad-fixing": "{index} has a fixing that is no number for {days}",
    "duplicate-fixing": "{index} has fixings that contradict each other for {days}",
}


def _defect(index: str, code: str, days: list[datetime.date]) -> Defect:
    shown = ", ".join(day.isoformat() for day in days[:_SHOWN])
    more = f" and {len(days) - _SHOWN} more days" if len(days) > _SHOWN else ""
    subject = f"{index} {days[0]}" if len(days) == 1 else index
    return Defect(subject, code, _SENTENCES[code].format(index=index, days=shown + more))
