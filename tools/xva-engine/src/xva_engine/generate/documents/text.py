"""`market.txt` and `fixings.txt`: one line of three words per value, the text of the value untouched."""

import datetime
from collections.abc import Iterable


def market(as_of: datetime.date, quotes: Iterable[tuple[str, str]]) -> bytes:
    """Lines `YYYYMMDD KEY value`, sorted by key."""
    return _lines((f"{as_of:%Y%m%d}", key, value) for key, value in sorted(quotes))


def fixings(values: Iterable[tuple[str, datetime.date, str]]) -> bytes:
    """Lines `YYYYMMDD INDEX value`, sorted by index and day."""
    return _lines((f"{day:%Y%m%d}", index, value) for index, day, value in sorted(values))


def _lines(rows: Iterable[tuple[str, str, str]]) -> bytes:
    return "".join(f"{' '.join(row)}\n" for row in rows).encode("ascii")
