"""Dates of the exposure grid."""

import datetime
import itertools
from dataclasses import dataclass

from xva_engine.data import Catalogue
from xva_engine.generate.dates import add_business_days, add_period


@dataclass(frozen=True)
class Grid:
    """Periods from the as-of date and the dates they fall on."""

    tenors: tuple[str, ...]
    dates: tuple[datetime.date, ...]


def grid_dates(as_of: datetime.date, tenors: list[str], calendar: str) -> tuple[datetime.date, ...]:
    """Each period's date, rolled to the next business day."""
    return tuple(add_business_days(calendar, add_period(as_of, tenor), 0) for tenor in tenors)


def is_increasing(dates: tuple[datetime.date, ...]) -> bool:
    """Whether every date is after the one before."""
    return all(one < other for one, other in itertools.pairwise(dates))


def choose_grid(
    catalogue: Catalogue, asked: list[str], as_of: datetime.date, calendar: str, longest: datetime.date
) -> Grid:
    """The periods that the request names; else the default ones up to the first that covers the longest maturity."""
    tenors = asked or catalogue.market.grid.default
    dates = grid_dates(as_of, tenors, calendar)
    if not asked:
        count = next((index + 1 for index, date in enumerate(dates) if date >= longest), len(dates))
        tenors, dates = tenors[:count], dates[:count]
    return Grid(tuple(tenors), dates)
