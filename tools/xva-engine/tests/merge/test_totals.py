"""However a run is cut into shards, the totals have the same bits."""

import random
import struct
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.merge.factory import SetNumbers, Shard, make_manifest, make_rows, write_run
from tests.merge.test_merge import merge, merged
from xva_engine.contracts import XvaMeasures
from xva_engine.merge.combine import totals

money = st.floats(min_value=-1e12, max_value=1e12, allow_nan=False)
numbers = st.tuples(money, money, money, money, money)
books = st.lists(st.tuples(numbers, st.none() | money), min_size=1, max_size=8).map(
    lambda rows: [SetNumbers(f"NS{index}", values, colva) for index, (values, colva) in enumerate(rows)]
)


def bits(one: XvaMeasures) -> list[bytes | None]:
    return [None if value is None else struct.pack("<d", value) for value in one.model_dump().values()]


@given(books, st.randoms(use_true_random=False))
def test_totals_do_not_depend_on_the_order(book: list[SetNumbers], shuffler: random.Random) -> None:
    rows = make_rows(book, "shard-0001")["xva_netting_set"]
    shuffled = list(rows)
    shuffler.shuffle(shuffled)
    assert bits(totals(rows)) == bits(totals(shuffled))
    assert (totals(rows).colva is None) == all(one.colva is None for one in book)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(books, st.data())
def test_any_partition_gives_the_same_totals_and_tables(book: list[SetNumbers], data: st.DataObject) -> None:
    homes = [data.draw(st.integers(1, 3), label=one.set_id) for one in book]
    parts = [[one for one, home in zip(book, homes, strict=True) if home == number] for number in (1, 2, 3)]
    ways = ([book], [part for part in parts if part])
    results = []
    for way in ways:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            shards = [Shard(f"shard-{index:04}", part) for index, part in enumerate(way, start=1)]
            write_run(root, make_manifest(book), shards)
            assert merge(root) == 0
            bundle, summary = merged(root)
            rows = {file.path: file.rows for file in bundle.info.files}
            results.append((bits(summary.totals), summary.netting_sets, summary.coverage, rows["tables/npv.parquet"]))
    assert results[0] == results[1]
