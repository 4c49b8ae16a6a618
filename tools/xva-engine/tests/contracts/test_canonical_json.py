"""Canonical JSON must be the same bytes in both languages."""

import json
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xva_engine.contracts import NotCanonicalError, canonical_json, sha256_hex

WORKSPACE = Path(__file__).resolve().parents[4]
NODE = WORKSPACE / "node_modules/.bin/node"

SCALARS = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(st.characters(codec="utf-8"))
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=6), inner, max_size=4)
    ),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": [True, None, "x"]}, '{"a":[true,null,"x"],"b":1}'),
        ({"￿": 1, "😀": 2, "é": 3}, '{"é":3,"￿":1,"😀":2}'),
        ('\u0000\u001f\u007f\u2028"\\/\b\f\n\r\t', '"\\u0000\\u001f\u007f\u2028\\"\\\\/\\b\\f\\n\\r\\t"'),
        (1.0, "1"),
        (-0.0, "0"),
        ([], "[]"),
        ({}, "{}"),
    ],
)
def test_known_texts(value: object, text: str) -> None:
    assert canonical_json(value) == text


@pytest.mark.parametrize("value", [0.5, float("nan"), float("inf"), 2**53, {"a": [{1: 2}]}, "\ud800", {1, 2}, b"x"])
def test_refuses_what_has_no_canonical_form(value: object) -> None:
    with pytest.raises(NotCanonicalError):
        canonical_json(value)


def test_names_the_place_of_the_fault() -> None:
    with pytest.raises(NotCanonicalError, match=r"^\.a\[1\]: "):
        canonical_json({"a": [1, 0.5]})


@given(VALUES)
def test_is_json_and_does_not_depend_on_key_order(value: object) -> None:
    text = canonical_json(value)
    assert json.loads(text) == value
    assert canonical_json(_reversed(value)) == text


def _reversed(value: object) -> object:
    if isinstance(value, dict):
        return {key: _reversed(value[key]) for key in reversed(list(value))}
    return [_reversed(item) for item in value] if isinstance(value, list) else value


@pytest.mark.skipif(not NODE.exists(), reason="needs the workspace's node")
def test_same_bytes_as_typescript() -> None:
    values: list[object] = []

    @settings(max_examples=300, database=None, derandomize=True)
    @given(VALUES)
    def collect(value: object) -> None:
        values.append(value)

    collect()
    script = (
        "import { canonicalJson, sha256Hex } from './libs/xva-contracts/src/canonical-json.ts';"
        "let text = ''; for await (const chunk of process.stdin) text += chunk;"
        "console.log(JSON.stringify(JSON.parse(text).map((value) => sha256Hex(canonicalJson(value)))));"
    )
    answer = subprocess.run(
        [str(NODE), "--disable-warning=ExperimentalWarning", "--input-type=module", "--eval", script],
        input=json.dumps(values),
        capture_output=True,
        text=True,
        check=True,
        cwd=WORKSPACE,
        timeout=60,
    )
    assert json.loads(answer.stdout) == [sha256_hex(canonical_json(value)) for value in values]
