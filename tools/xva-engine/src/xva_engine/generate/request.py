"""Bytes of a frozen request become the model; every fault is named at once."""

from pydantic import ValidationError

from xva_engine.contracts import FrozenRequest
from xva_engine.generate.defects import Defect
from xva_engine.generate.package import PackageRefusedError


def parse_request(content: bytes) -> FrozenRequest:
    """Raises PackageRefusedError for bytes that are no frozen request."""
    try:
        return FrozenRequest.model_validate_json(content)
    except ValidationError as error:
        defects = {
            Defect(_place(fault["loc"]), "malformed-request", f"{_place(fault['loc'])}: {fault['msg']}")
            for fault in error.errors(include_url=False, include_context=False, include_input=False)
        }
        raise PackageRefusedError(sorted(defects)) from error


def _place(steps: tuple[int | str, ...]) -> str:
    text = ""
    for step in steps:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text or "$"
