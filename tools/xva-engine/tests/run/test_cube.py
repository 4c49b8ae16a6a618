"""Cubes united: any order gives the same bytes, and what does not belong together is refused by name."""

import gzip
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xva_engine.run.cube import merge_cubes, readable_scenarios, trades_of
from xva_engine.run.errors import BadInputError

Rows = Mapping[str, Sequence[tuple[int, int, float]]]


def cube(rows: Rows, samples: int = 2, dates: Sequence[str] = ("2026-10-07", "2026-10-30")) -> bytes:
    """A cube file as the engine writes it: zero values left out."""
    lines = ["# asof       : 2026-09-30", f"# numIds     : {len(rows)}", f"# numDates   : {len(dates)}"]
    lines += [f"# samples    : {samples}", "# dates      : ", *(f"# {date}" for date in dates)]
    lines += ["# ids        : ", *(f"# {trade}" for trade in sorted(rows)), "# storeFlows : false"]
    lines += ["#id,date,sample,depth,value"]
    lines += [f"{i},{d},{s},0,{v}" for i, t in enumerate(sorted(rows)) for d, s, v in rows[t] if v]
    return gzip.compress("".join(f"{line}\n" for line in lines).encode())


BOOK: Rows = {
    "A": [(0, 0, 1.5), (1, 1, -2.25)],
    "B": [(0, 0, 0.0)],
    "C_1": [(1, 0, 3.0)],
    "D": [(0, 1, 7.0), (1, 0, 8.0)],
}


@given(st.lists(st.integers(0, 2), min_size=4, max_size=4))
def test_the_union_is_the_whole_however_it_was_dealt(deal: list[int]) -> None:
    parts = [{t: BOOK[t] for t, place in zip(BOOK, deal, strict=True) if place == part} for part in range(3)]
    cubes = [(f"part {index}", cube(part)) for index, part in enumerate(parts) if part]
    united = merge_cubes(cubes)
    assert gzip.decompress(united) == gzip.decompress(cube(BOOK))
    assert merge_cubes(cubes[::-1]) == united
    assert trades_of("united", united) == tuple(sorted(BOOK))


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (cube({"A": [(0, 0, 1.0)]}), "both hold trade A"),
        (cube({"B": [(0, 0, 1.0)]}, samples=3), "different simulations.*samples"),
        (cube({"B": [(0, 0, 1.0)]}, dates=("2026-10-07", "2026-10-31")), "different simulations.*2026-10-3"),
        (gzip.compress(b"# asof : 2026-09-30\n1,2,3\n"), "not a cube file"),
        (b"no gzip", "not readable"),
        (cube({"B": [(0, 0, 1.0)]})[:-9], "not readable"),
        (gzip.compress(gzip.decompress(cube({"B": [(0, 0, 1.0)]})) + b"1,0,0,0,5\n"), "not in the order"),
    ],
    ids=["a trade twice", "samples", "dates", "no cube", "no gzip", "cut off", "a row of nobody"],
)
def test_what_does_not_belong_together_is_refused(other: bytes, told: str) -> None:
    with pytest.raises(BadInputError, match=told):
        merge_cubes([("one", cube({"A": [(0, 0, 1.0)]})), ("other", other)])


def test_the_row_that_the_engine_drops_comes_twice() -> None:
    text = b"# keys : 1\n# 0,EUR-ESTER\n#date,sample,key,value\n1,0,0,0.02\n1,1,0,0.03\n"
    lines = gzip.decompress(readable_scenarios("s", gzip.compress(text))).splitlines()
    assert lines[-3:] == [b"1,0,0,0.02", b"1,0,0,0.02", b"1,1,0,0.03"]
