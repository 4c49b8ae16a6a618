"""Calendars, periods and schedules by the engine's own library, so that both know the same holidays."""

import datetime
from functools import cache, lru_cache
from typing import Any

import ORE

from xva_engine.data import IndexData

FIRST_DAY, LAST_DAY = datetime.date(1970, 1, 1), datetime.date(2190, 12, 31)
"""The engine's calendars end in 2199."""
_UNITS = {"D": ORE.Days, "W": ORE.Weeks, "M": ORE.Months, "Y": ORE.Years}


def _to_engine(day: datetime.date) -> Any:  # noqa: ANN401
    return ORE.Date(day.day, day.month, day.year)


def _from_engine(day: Any) -> datetime.date:  # noqa: ANN401
    return datetime.date(day.year(), day.month(), day.dayOfMonth())


@cache
def _calendar(name: str) -> Any:  # noqa: ANN401
    return ORE.parseCalendar(name)


@cache
def _fixing_calendar(index: str) -> Any:  # noqa: ANN401
    return ORE.parseIborIndex(index).fixingCalendar()


def joint_calendar(*names: str) -> str:
    """The calendar that has the holidays of all, in a stable order and each once."""
    return ",".join(sorted(set(",".join(names).split(","))))


def is_business_day(calendar: str, day: datetime.date) -> bool:
    """Whether the calendar (or each of several, separated by commas) is open."""
    return bool(_calendar(calendar).isBusinessDay(_to_engine(day)))


def add_period(day: datetime.date, tenor: str) -> datetime.date:
    """The date one period later, unadjusted; a month's end stays within the month, and time ends with `LAST_DAY`."""
    count, unit = int(tenor[:-1]), tenor[-1]
    if unit in "DW":
        days = count * (7 if unit == "W" else 1)
        return day + datetime.timedelta(days=days) if days < (LAST_DAY - day).days else LAST_DAY
    months = day.year * 12 + day.month - 1 + count * (12 if unit == "Y" else 1)
    if months // 12 >= LAST_DAY.year:
        return LAST_DAY
    first = datetime.date(months // 12, months % 12 + 1, 1)
    length = (datetime.date(first.year + first.month // 12, first.month % 12 + 1, 1) - first).days
    return first.replace(day=min(day.day, length))


def add_business_days(calendar: str, day: datetime.date, days: int) -> datetime.date:
    """The date `days` business days later; 0 rolls a holiday forward."""
    return _from_engine(_calendar(calendar).advance(_to_engine(day), days, ORE.Days))


def adjust(calendar: str, day: datetime.date) -> datetime.date:
    """Modified following."""
    return _from_engine(_calendar(calendar).adjust(_to_engine(day), ORE.ModifiedFollowing))


@lru_cache(maxsize=8192)
def schedule(calendar: str, start: datetime.date, end: datetime.date, tenor: str) -> tuple[datetime.date, ...]:
    """Accrual dates, rolled back from the end, modified following; the first period may be short."""
    period = ORE.Period(int(tenor[:-1]), _UNITS[tenor[-1]])
    dates = ORE.Schedule(
        _to_engine(start),
        _to_engine(end),
        period,
        _calendar(calendar),
        ORE.ModifiedFollowing,
        ORE.ModifiedFollowing,
        ORE.DateGeneration.Backward,
        False,
    )
    return tuple(_from_engine(day) for day in dates)


def fixing_dates(
    index: IndexData, start: datetime.date, end: datetime.date, before: datetime.date
) -> list[datetime.date]:
    """Days before `before` whose fixings one coupon from `start` to `end` needs."""
    calendar = _fixing_calendar(index.name)
    if not index.overnight:
        fixing = _from_engine(calendar.advance(_to_engine(start), -index.fixing_days, ORE.Days))
        return [fixing] if fixing < before else []
    last = min(end, before)
    days = ((start + datetime.timedelta(days=step)) for step in range((last - start).days))
    return [day for day in days if _is_fixing_day(index.name, day)]


@lru_cache(maxsize=65536)
def _is_fixing_day(index: str, day: datetime.date) -> bool:
    return bool(_fixing_calendar(index).isBusinessDay(_to_engine(day)))
