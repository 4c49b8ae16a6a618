"""However a run is cut into shards, the totals have the same bits."""

import random
import struct
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.merge.factory import SetNumbers, Shard, make_manifest, make_rows, write_run
from tests.merge.test_merge import merge, merged
from xva_engine.contracts import Manifest, Rejection, XvaMeasures
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


def _what_if(book: list[SetNumbers]) -> Manifest:
    sides = {"without": "NS", "with": "NS.whatif", "addedTradeIds": ["T-NS.whatif-0"], "removedTradeIds": []}
    return make_manifest(book, provenance={"marketSnapshot": None, "credit": [], "whatIf": sides})


def test_the_hypothetical_side_of_a_what_if_adds_to_no_total(tmp_path: Path) -> None:
    book = [SetNumbers("NS", (1.0, 2.0, 3.0, 4.0, 5.0), 7.0), SetNumbers("NS.whatif", (10.0, 20.0, 30.0, 40.0, 50.0))]
    write_run(tmp_path, _what_if(book), [Shard("shard-0001", book)])
    assert merge(tmp_path) == 0
    _, summary = merged(tmp_path)
    assert [one.id for one in summary.netting_sets] == ["NS", "NS.whatif"]
    assert summary.totals == totals(make_rows(book[:1], "shard-0001")["xva_netting_set"])


def test_a_what_if_without_both_sides_is_no_result(tmp_path: Path) -> None:
    book = [SetNumbers("NS"), SetNumbers("NS.whatif")]
    lost = Rejection(netting_set_id="NS", trade_id="T-NS-0", code="trade-missing", message="not there")
    write_run(tmp_path, _what_if(book), [Shard("shard-0001", book[1:], rejections=[lost])])
    assert merge(tmp_path) == 20
