"""Bytes of a frozen request become the model; every fault is named at once, and what is too much is told early."""

import json
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from xva_engine.contracts import FrozenRequest
from xva_engine.contracts.frozen_request import CSA_FORMS
from xva_engine.generate.defects import Defect
from xva_engine.generate.package import PackageRefusedError


@dataclass(frozen=True)
class RequestLimits:
    """How much one request may hold; `most_values` counts quotes and fixings together."""

    most_trades: int = 20_000
    most_values: int = 500_000


class TooMuchError(ValueError):
    """Thrown when a request holds more than the limits say; the caller has to split it."""

    def __init__(self, what: str, count: int, most: int) -> None:
        super().__init__(f"the request has {count} {what}, and may have {most}: split the book, or raise the limit")
        self.code = f"too-many-{what.split(' ', maxsplit=1)[0]}"


def parse_request(content: bytes, limits: RequestLimits | None = None) -> FrozenRequest:
    """Raises PackageRefusedError for bytes that are no frozen request, TooMuchError above the limits (none by default).

    A member that is named twice is refused: readers of JSON differ in which of the two they believe.
    """
    if limits is not None:
        # Members are counted in the bytes first: a huge request must not become a hundred times as many objects.
        _check(limits, content.count(b'"tradeId"'), content.count(b'"value"'))
    try:
        request = FrozenRequest.model_validate_json(content)
    except ValidationError as error:
        raise PackageRefusedError(sorted(_faults(error))) from error
    if limits is not None:  # a key may be written with escapes
        what_if = len(request.what_if.add_trades) if request.what_if is not None else 0
        _check(limits, len(request.trades) + what_if, len(request.quotes) + len(request.fixings))
    repeated: set[str] = set()
    json.loads(content, object_pairs_hook=lambda pairs: _unique(pairs, repeated))
    if repeated:
        raise PackageRefusedError(
            [
                Defect(name, "duplicate-member", f"a JSON object names the member {name!r} several times")
                for name in sorted(repeated)
            ]
        )
    return request


def _check(limits: RequestLimits, trades: int, values: int) -> None:
    if trades > limits.most_trades:
        raise TooMuchError("trades", trades, limits.most_trades)
    if values > limits.most_values:
        raise TooMuchError("values of quotes and fixings", values, limits.most_values)


def _unique(pairs: list[tuple[str, Any]], repeated: set[str]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        repeated.update(name[:100] for name in members if names.count(name) > 1)
    return members


def _faults(error: ValidationError) -> set[Defect]:
    found = set()
    for fault in error.errors(include_url=False, include_context=False, include_input=False):
        code = "too-deep" if "recursion limit" in fault["msg"] else "malformed-request"
        place = _place(fault["loc"])
        found.add(Defect(place, code, f"{place}: {fault['msg']}"))
    return found


def _place(steps: tuple[int | str, ...]) -> str:
    text = ""
    for step in (step for step in steps if step not in CSA_FORMS):
        text += f"[{step}]" if isinstance(step, int) else f".{str(step)[:100]}" if text else str(step)[:100]
    return text or "$"
