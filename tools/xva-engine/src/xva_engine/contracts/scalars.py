"""Scalar types that contracts are made of, the same rules as `libs/xva-contracts/src/scalars.ts`."""

import datetime
import re
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

_T = TypeVar("_T")

# pydantic's patterns are Rust's: `$` is the end of the text and never stands before a last newline.
_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _not_a_path_step(value: str) -> str:
    if value in (".", ".."):
        raise ValueError("must not be a path step")
    return value


def _existing_date(value: str) -> str:
    if _ISO_DATE.fullmatch(value) is None:
        raise ValueError("must be a date such as 2026-09-30")
    datetime.date.fromisoformat(value)
    return value


def _positive(value: str) -> str:
    if value.startswith("-") or not value.strip("0."):
        raise ValueError("must be above zero")
    return value


IdToken = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,64}$"), AfterValidator(_not_a_path_step)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
CurrencyCode = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
IsoDate = Annotated[str, AfterValidator(_existing_date)]
Timestamp = Annotated[
    str,
    StringConstraints(
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?(Z|[+-][0-9]{2}:[0-9]{2})$"
    ),
]
UtcTimestamp = Annotated[
    str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?Z$")
]
DecimalString = Annotated[str, StringConstraints(pattern=r"^-?(0|[1-9][0-9]{0,19})(\.[0-9]{1,18})?$")]
PositiveDecimal = Annotated[DecimalString, AfterValidator(_positive)]
Tenor = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,3}[DWMY]$")]
EventId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
RunId = Annotated[str, StringConstraints(pattern=r"^xva-[0-9]{8}-[a-z0-9-]{1,27}$")]
TaskId = Annotated[str, StringConstraints(pattern=r"^(shard-[0-9]{4}|merge)$")]
Uuid = Annotated[
    str,
    StringConstraints(
        pattern=r"^([0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[1-8][0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}"
        r"|00000000-0000-0000-0000-000000000000|ffffffff-ffff-ffff-ffff-ffffffffffff)$"
    ),
]
RelativePath = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*$", max_length=200),
]


def _refuse_null(value: object) -> object:
    if value is None:
        raise ValueError("must not be null")
    return value


NotNull = Annotated[_T, BeforeValidator(_refuse_null)]
"""For a member that may be absent (its default is None) but, as in zod, never null."""
SafeInt = Annotated[int, Field(ge=-(2**53) + 1, le=2**53 - 1)]
"""An integer that JavaScript's numbers hold exactly."""
