"""Specs by hand."""

import json
from pathlib import Path

import pytest

from xva_engine.cli import main
from xva_engine.contracts import Manifest, ShardSpec, package_id_of, parse_task_spec
from xva_engine.run.plan_task_command import derive_run_id


def plan(book: Path, out: Path, *more: str) -> int:
    return main(["plan-task", "--manifest", str(book / "manifest.json"), "--out", str(out), *more])


def test_all_sets_of_the_manifest(book: Path, tmp_path: Path) -> None:
    assert plan(book, tmp_path / "deep" / "task.json", "--netting-sets", "all") == 0
    spec = parse_task_spec((tmp_path / "deep" / "task.json").read_bytes())
    manifest = Manifest.model_validate_json((book / "manifest.json").read_bytes())
    assert isinstance(spec, ShardSpec)
    assert spec.netting_sets == [one.id for one in manifest.netting_sets]
    assert spec.package_id == package_id_of(manifest)
    assert spec.parts == manifest.parts
    assert spec.task_id == "shard-0001"


def test_some_sets_for_a_named_task(book: Path, tmp_path: Path) -> None:
    more = ("--netting-sets", "NS_FJORD,NS_ALDER", "--task-id", "shard-0007", "--attempt", "3")
    assert plan(book, tmp_path / "task.json", *more) == 0
    spec = json.loads((tmp_path / "task.json").read_text())
    assert (spec["nettingSets"], spec["taskId"], spec["attempt"]) == (["NS_FJORD", "NS_ALDER"], "shard-0007", 3)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (("--netting-sets", "NS_NOBODY"), "no netting set NS_NOBODY"),
        (("--netting-sets", "all", "--task-id", "Shard 1"), "taskId"),
        (("--merge", "nowhere.tar"), "nowhere.tar: the bundle is missing"),
    ],
)
def test_what_can_not_be_planned(
    book: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: tuple[str, ...], told: str
) -> None:
    assert plan(book, tmp_path / "task.json", *more) == 10
    assert told in capsys.readouterr().err
    assert not (tmp_path / "task.json").exists()


@pytest.mark.parametrize(
    ("event_id", "book_name", "run_id"),
    [
        ("0123456789abcdef0123456789abcdef", "Rates & FX_EMEA", "xva-20260930-rates-fx-eme-lhvwxkgh7xiglw"),
        ("a" * 32, "__", "xva-20260930-book-hgoupz5auacckh"),
    ],
)
def test_run_ids_are_those_of_the_contracts(event_id: str, book_name: str, run_id: str) -> None:
    """Vectors from `deriveRunId` of libs/xva-contracts."""
    assert derive_run_id(event_id, book_name, "2026-09-30") == run_id
