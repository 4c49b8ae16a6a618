"""Market snapshots: the same package as from a request that holds the values, and never a changed one."""

import json
import random
from pathlib import Path

import pytest

from tests import requests as req
from xva_engine.contracts import MarketSnapshotRef
from xva_engine.generate.package import Package, PackageRefusedError, generate
from xva_engine.generate.snapshots import (
    SnapshotExistsError,
    SnapshotFolder,
    SnapshotRefusedError,
    snapshot_file,
)
from xva_engine.sample import frozen_request
from xva_engine.sample.market import fixings, quotes

AS_OF = "2026-09-30"


@pytest.fixture
def folder(tmp_path: Path) -> SnapshotFolder:
    found = SnapshotFolder(tmp_path)
    found.put(AS_OF, "EOD", snapshot_file(quotes(), fixings()))
    return found


def _package(folder: SnapshotFolder, **reference: object) -> Package:
    request = {**frozen_request("small"), "quotes": [], "fixings": [], "marketSnapshot": reference}
    return generate(req.parsed(request), snapshots=folder)


def test_a_snapshot_gives_the_package_that_its_values_would_give(folder: SnapshotFolder) -> None:
    package, whole = _package(folder, name="EOD"), req.package(frozen_request("small"))
    assert package.files == whole.files
    provenance = package.manifest.provenance
    assert provenance is not None
    used = provenance.market_snapshot
    assert used is not None
    assert (used.name, used.as_of) == ("EOD", AS_OF)
    assert used.sha256 == folder.find(AS_OF, MarketSnapshotRef(name="EOD")).sha256
    assert used.quotes == len(package.files["Input/market.txt"].splitlines())
    assert used.fixings == len(package.files["Input/fixings.txt"].splitlines())
    assert package.package_id != whole.package_id
    assert _package(folder, name="EOD", sha256=used.sha256).package_id == package.package_id


def test_the_request_may_add_values_but_not_contradict(folder: SnapshotFolder) -> None:
    request = frozen_request("small") | {"fixings": [], "marketSnapshot": {"name": "EOD"}}
    spot = next(quote for quote in request["quotes"] if quote["key"] == "FX/RATE/EUR/USD")
    request["quotes"] = [spot]
    assert generate(req.parsed(request), snapshots=folder).manifest.refusals == []
    request["quotes"] = [{**spot, "value": "1.2"}]
    refusals = generate(req.parsed(request), snapshots=folder).manifest.refusals
    assert {(item.code, item.subject) for item in refusals} == {("duplicate-quote", "FX/RATE/EUR/USD")}


@pytest.mark.parametrize(
    ("reference", "code"),
    [({"name": "LATE"}, "unknown-snapshot"), ({"name": "EOD", "sha256": "0" * 64}, "snapshot-mismatch")],
)
def test_another_snapshot_is_refused(reference: dict[str, str], code: str, folder: SnapshotFolder) -> None:
    with pytest.raises(PackageRefusedError) as caught:
        _package(folder, **reference)
    assert [error.code for error in caught.value.errors] == [code]
    with pytest.raises(PackageRefusedError):
        generate(req.parsed({**frozen_request("small"), "marketSnapshot": {"name": "EOD"}}))


def test_a_snapshot_never_changes(folder: SnapshotFolder) -> None:
    shuffle = random.Random(1)  # noqa: S311 - only an order
    same = dict(shuffle.sample(list(quotes().items()), len(quotes())))
    snapshot, created = folder.put(
        AS_OF, "EOD", json.dumps(json.loads(snapshot_file(same, fixings())), indent=1).encode()
    )
    assert not created
    with pytest.raises(SnapshotExistsError):
        folder.put(AS_OF, "EOD", snapshot_file({**quotes(), "FX/RATE/EUR/USD": "1.2"}, fixings()))
    assert folder.find(AS_OF, MarketSnapshotRef(name="EOD")).sha256 == snapshot.sha256
    assert folder.names(AS_OF) == ["EOD"]
    assert folder.names("2026-10-01") == []


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "bad-snapshot"),
        (b"[]", "bad-snapshot"),
        (b'{"quotes":[]}', "bad-snapshot"),
        (b'{"quotes":[{"key":"A","value":1}],"fixings":[]}', "bad-snapshot"),
        (snapshot_file({"A": "NaN"}, []), "bad-quote"),
        (b'{"quotes":[{"key":"A","value":"1"},{"key":"A","value":"2"}],"fixings":[]}', "duplicate-quote"),
        (snapshot_file({}, [("I", "2026-09-29", "1"), ("I", "2026-09-29", "2")]), "duplicate-fixing"),
        (snapshot_file({}, [("I", "2026-09-29", "x")]), "bad-fixing"),
    ],
)
def test_what_is_no_snapshot_is_not_stored(content: bytes, code: str, tmp_path: Path) -> None:
    folder = SnapshotFolder(tmp_path)
    with pytest.raises(SnapshotRefusedError) as caught:
        folder.put(AS_OF, "X", content)
    assert {defect.code for defect in caught.value.defects} == {code}
    assert folder.names(AS_OF) == []
    assert not list(tmp_path.rglob("*.json"))
