"""Checks of `market.txt` and `fixings.txt`: the engine drops, skips or takes the first without a word."""

import datetime
import math

from xva_engine.preflight.reading import Folder, Found, lines

Values = dict[tuple[str, str], float]
"""By date (`YYYYMMDD`) and key."""


def read_values(folder: Folder, found: Found, path: str, kind: str) -> Values:
    """The file's values; lines that are none, values that are no numbers and contradictions are noted."""
    text = folder.text(path)
    values: Values = {}
    for number, parts in lines(text or ""):
        if len(parts) != 3:
            message = f"{path}: line {number} has {len(parts)} words, not date, key and value"
            found.refuse(f"bad-{kind}-line", path, message)
            continue
        date, key, value = parts
        day = date.replace("-", "")
        number_of = _number(value)
        if not _is_date(day):
            found.refuse(f"bad-{kind}-line", path, f"{path}: line {number}: {date!r} is no date")
        elif number_of is None:
            found.refuse(
                f"bad-{kind}", key, f"{path}: line {number}: {key} has the value {value!r}, which is no number"
            )
        elif values.setdefault((day, key), number_of) != number_of:
            found.refuse(f"duplicate-{kind}", key, f"{path}: {key} has several values on {date}")
    return values


def check_market_dates(found: Found, path: str, values: Values, as_of: datetime.date) -> dict[str, float]:
    """The quotes of the as-of date by key; those of another day are noted, for the engine leaves them out."""
    wanted = f"{as_of:%Y%m%d}"
    others = sorted({day for day, _ in values} - {wanted})
    if others:
        found.refuse("wrong-market-date", path, f"{path} has quotes of {', '.join(others[:5])}, not of {wanted}")
    quotes = {key: value for (day, key), value in values.items() if day == wanted}
    if not quotes and not others:
        found.refuse("wrong-market-date", path, f"{path} has no quote of the as-of date {as_of}")
    return quotes


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and "_" not in text else None


def _is_date(text: str) -> bool:
    try:
        datetime.datetime.strptime(text, "%Y%m%d").replace(tzinfo=datetime.UTC)
    except ValueError:
        return False
    return True
