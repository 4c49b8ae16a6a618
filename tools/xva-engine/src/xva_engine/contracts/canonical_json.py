"""Canonical JSON and its hash: the same bytes as `libs/xva-contracts/src/canonical-json.ts` makes of the same value."""

import hashlib
import json
import math
from typing import Any

_MAX_SAFE = 2**53 - 1


class NotCanonicalError(ValueError):
    """A value has no canonical form: a number that is not a safe integer, or something that JSON lacks."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path or '$'}: {problem}")
        self.path = path


def _text(value: str, path: str) -> str:
    if any("\ud800" <= char <= "\udfff" for char in value):
        raise NotCanonicalError(path, "text has a lone surrogate")
    return json.dumps(value, ensure_ascii=False)


def canonical_json(value: Any, path: str = "") -> str:  # noqa: ANN401
    """One text per value: keys sorted by code point, no white space, integers only.

    Raises NotCanonicalError for fractions, unsafe integers, keys that are no text and lone surrogates. A float that
    holds a whole number is that number, as in JavaScript, which knows one kind.
    """
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            if not math.isfinite(value) or value != int(value) or abs(value) > _MAX_SAFE:
                raise NotCanonicalError(path, f"{value} is not a safe integer")
            return str(int(value))
        case str():
            return _text(value, path)
        case list() | tuple():
            return "[" + ",".join(canonical_json(item, f"{path}[{index}]") for index, item in enumerate(value)) + "]"
        case dict():
            if not all(isinstance(key, str) for key in value):
                raise NotCanonicalError(path, "a key is no text")
            members = (
                f"{_text(key, path)}:{canonical_json(member, f'{path}.{key}')}" for key, member in sorted(value.items())
            )
            return "{" + ",".join(members) + "}"
    raise NotCanonicalError(path, f"a {type(value).__name__} has no JSON form")


def sha256_hex(data: bytes | str) -> str:
    """SHA-256 of bytes, or of a text's UTF-8, as 64 lower-case hex digits."""
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()


def canonical_hash(value: Any) -> str:  # noqa: ANN401
    """SHA-256 of the canonical form."""
    return sha256_hex(canonical_json(value))
