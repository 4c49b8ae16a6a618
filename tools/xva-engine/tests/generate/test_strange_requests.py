"""Whatever a request holds, the generator answers with a package or with named defects, never with a crash."""

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

from tests import requests as req
from xva_engine.generate.package import PackageRefusedError

SEED = 20260930
ROUNDS = 60
STRANGE: tuple[object, ...] = (
    None,
    True,
    7,
    1.5,
    "",
    "x",
    "2026-02-30",
    "0001-01-01",
    "9999-12-31",
    "1e3",
    "-5",
    "0",
    "9999Y",
    "99999999999999999999.999999999999999999",
    "USD",
    "BRL",
    "SEK",
    [],
    {},
    "é\u0000\ud7ff",
    "<x/>&",
    "NaN",
)
Place = list[str | int]


def _places(node: Any, path: Place) -> Iterator[Place]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _places(value, [*path, key])
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _places(value, [*path, index])
    if path:
        yield path


def _changed(request: req.Message, path: Place, value: object) -> req.Message:
    changed = copy.deepcopy(request)
    node: Any = changed
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value
    return changed


def test_no_value_at_any_place_breaks_the_generator() -> None:
    request = req.message()
    market = {"quotes": request["quotes"][:2], "fixings": request["fixings"][:2]}
    places = [path for path in _places({**request, **market}, []) if path[0] not in market or len(path) > 1]
    pick = random.Random(SEED)  # noqa: S311 - only a choice
    outcomes = {"packaged": 0, "refused": 0}
    for round_number in range(ROUNDS):
        path, value = pick.choice(places), pick.choice(STRANGE)
        try:
            package = req.package(_changed(request, path, value))
        except PackageRefusedError as error:
            assert error.errors
            assert json.loads(error.problem().model_dump_json())["errors"]
            outcomes["refused"] += 1
        except Exception as error:
            raise AssertionError(f"seed {SEED}, round {round_number}: {path} = {value!r}") from error
        else:
            assert package.manifest.netting_sets
            outcomes["packaged"] += 1
    assert min(outcomes.values()) > ROUNDS // 10, outcomes
