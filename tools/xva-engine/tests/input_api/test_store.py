"""The package cache: bounded, whole files only, safe between processes."""

import os
from pathlib import Path

import pytest

from tests import requests as req
from xva_engine.input_api.store import NotStoredError, PackageStore
from xva_engine.sample import frozen_request


def _names(folder: Path) -> set[str]:
    return {path.name for kind in ("objects", "packages") for path in (folder / kind).iterdir()}


def test_what_was_used_longest_ago_goes_first(tmp_path: Path) -> None:
    old, new = req.package(frozen_request("small")), req.package(req.message(seed=7, samples=60))
    roomy = PackageStore(tmp_path, 2**30)
    roomy.put(old)
    for path in tmp_path.glob("*/*"):
        os.utime(path, (1, 1))
    bound = len(new.manifest_bytes) + sum(len(content) for content in new.files.values()) + 100
    tight = PackageStore(tmp_path, bound)
    tight.put(new)
    assert tight.total_bytes() <= bound
    for part in new.manifest.parts:
        file, size = tight.open(new.package_id, part.sha256)
        with file:
            assert (file.read(), size) == (new.files[part.path], part.size)
    with pytest.raises(NotStoredError) as caught:
        tight.open(old.package_id, next(part.sha256 for part in old.manifest.parts if part.role == "simulation"))
    assert caught.value.code in ("package-not-cached", "object-not-cached")


def test_a_package_bigger_than_the_bound_is_still_served_once(tmp_path: Path) -> None:
    store, package = PackageStore(tmp_path, 10), req.package(frozen_request("small"))
    store.put(package)
    for part in package.manifest.parts:
        store.open(package.package_id, part.sha256)[0].close()
    store.put(req.package(frozen_request("demo")))
    with pytest.raises(NotStoredError):
        store.open(package.package_id, package.manifest.parts[0].sha256)


def test_an_open_file_survives_its_eviction(tmp_path: Path) -> None:
    store, package = PackageStore(tmp_path, 10), req.package(frozen_request("small"))
    store.put(package)
    part = package.manifest.parts[0]
    file, _ = store.open(package.package_id, part.sha256)
    store.put(req.package(frozen_request("demo")))
    with file:
        assert file.read() == package.files[part.path]


def test_a_damaged_file_is_not_served_and_comes_back_with_the_next_post(tmp_path: Path) -> None:
    store, package = PackageStore(tmp_path, 2**30), req.package(frozen_request("small"))
    store.put(package)
    part = package.manifest.parts[0]
    (tmp_path / "objects" / part.sha256).write_bytes(b"")
    with pytest.raises(NotStoredError) as caught:
        store.open(package.package_id, part.sha256)
    assert caught.value.code == "object-not-cached"
    store.put(package)
    store.open(package.package_id, part.sha256)[0].close()


def test_a_shared_part_is_stored_once(tmp_path: Path) -> None:
    store = PackageStore(tmp_path, 2**30)
    packages = [req.package(frozen_request("small", revision)) for revision in (1, 2, 3)]
    for package in packages:
        store.put(package)
    parts = {part.sha256 for package in packages for part in package.manifest.parts}
    assert len(parts) == 10
    assert _names(tmp_path) == parts | {package.package_id for package in packages}


@pytest.mark.parametrize("name", ["", "..", "../lock", "0" * 63, "A" * 64, "0" * 64 + "\n"])
def test_names_that_are_no_hashes_find_nothing(tmp_path: Path, name: str) -> None:
    store = PackageStore(tmp_path, 2**30)
    with pytest.raises(NotStoredError):
        store.open(name, "0" * 64)
    with pytest.raises(NotStoredError):
        store.open("0" * 64, name)
