"""The sample books keep what they promise, and the command line gives them out."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from xva_engine.contracts import FrozenRequest, Manifest, PackageProblem, package_id_of
from xva_engine.sample import frozen_request, rows

WORKSPACE = Path(__file__).resolve().parents[4]
NODE = WORKSPACE / "node_modules/.bin/node"


def _cli(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "xva_engine", *arguments], capture_output=True, text=True, check=False, timeout=60
    )


def test_the_demo_book_is_as_big_as_promised() -> None:
    request = frozen_request("demo")
    assert len(request["trades"]) >= 60
    assert len(request["nettingSets"]) == 6
    assert sum(item["csa"] is not None for item in request["nettingSets"]) == 2
    types = Counter(trade["tradeType"] for trade in request["trades"])
    assert set(types) == {"RateSwap", "CrossCurrencySwap", "FxForward", "FxNdf", "FxOption", "Swaption"}
    text = json.dumps([trade["terms"] for trade in request["trades"]])
    assert all(f'"{code}"' in text for code in ("EUR", "USD", "GBP", "BRL"))
    names = {quote["key"].split("/")[2] for quote in request["quotes"] if quote["key"].startswith("HAZARD_RATE")}
    assert len(names) >= 6


@pytest.mark.parametrize("book", ["demo", "small"])
def test_books_are_packaged_without_a_refusal(book: str, tmp_path: Path) -> None:
    printed = _cli("sample", "--book", book)
    assert json.loads(printed.stdout) == frozen_request(book)
    source = tmp_path / "frozen.json"
    source.write_text(printed.stdout)
    answer = _cli("generate", "--request", str(source), "--out", str(tmp_path / "package"))
    assert answer.returncode == 0, answer.stderr
    content = (tmp_path / "package/manifest.json").read_bytes()
    manifest = Manifest.model_validate_json(content)
    assert answer.stdout.strip() == package_id_of(manifest)
    assert manifest.refusals == []
    assert len(manifest.netting_sets) == 6
    for part in manifest.parts:
        assert (tmp_path / "package" / part.path).stat().st_size == part.size


def test_a_refused_request_ends_with_the_code_for_bad_input(tmp_path: Path) -> None:
    source = tmp_path / "frozen.json"
    source.write_text(json.dumps({**frozen_request("small"), "trades": []}))
    answer = _cli("generate", "--request", str(source), "--out", str(tmp_path / "package"))
    assert answer.returncode == 10
    assert PackageProblem.model_validate_json(answer.stdout).errors[0].code == "no-netting-set"
    assert not (tmp_path / "package").exists()


def test_usage_errors(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").touch()
    assert _cli("generate", "--request", "nowhere.json", "--out", str(tmp_path / "new")).returncode == 2
    assert _cli("generate", "--request", "nowhere.json", "--out", str(tmp_path / "full")).returncode == 2
    assert _cli("sample", "--book", "demo", "--revision", "0").returncode == 2
    assert _cli("nothing").returncode == 2
    assert _cli("--version").stdout.startswith("xva-engine ")
    assert "generate" in _cli("--help").stdout


def test_rows_are_the_request_by_table() -> None:
    found: dict[str, list[dict[str, Any]]] = json.loads(
        _cli("sample", "--book", "small", "--format", "rows-json", "--revision", "3").stdout
    )
    assert found == rows("small", 3)
    assert set(found) == {"requests", "nettingSets", "trades", "quotes", "fixings"}
    assert found["requests"][0]["revision"] == 3
    request = FrozenRequest.model_validate_json(json.dumps(frozen_request("small", 3)))
    assert len(found["trades"]) == len(request.trades)
    assert len(found["quotes"]) == len(request.quotes)
    assert len(found["fixings"]) == len(request.fixings)
    for table, key in (("trades", "tradeId"), ("nettingSets", "id"), ("quotes", "key")):
        assert len({row[key] for row in found[table]}) == len(found[table])


@pytest.mark.skipif(not NODE.exists(), reason="needs the workspace's node")
def test_the_manifest_fits_the_zod_contract_and_its_ids() -> None:
    package_text = _cli("sample", "--book", "small").stdout
    from tests import requests as req  # noqa: PLC0415

    package = req.package(json.loads(package_text))
    script = (
        "import { frozenRequestSchema, manifestSchema, manifestBytes, packageIdOf, sharedInputHashOf }"
        " from './libs/xva-contracts/src/index.ts';"
        "let text = ''; for await (const chunk of process.stdin) text += chunk;"
        "const { request, manifest } = JSON.parse(text); frozenRequestSchema.parse(request);"
        "const parsed = manifestSchema.parse(manifest);"
        "console.log(JSON.stringify([manifestBytes(parsed), packageIdOf(parsed), sharedInputHashOf(parsed.parts)]));"
    )
    answer = subprocess.run(
        [str(NODE), "--disable-warning=ExperimentalWarning", "--input-type=module", "--eval", script],
        input=json.dumps({"request": json.loads(package_text), "manifest": json.loads(package.manifest_bytes)}),
        capture_output=True,
        text=True,
        check=False,
        cwd=WORKSPACE,
        timeout=60,
    )
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout) == [
        package.manifest_bytes.decode(),
        package.package_id,
        package.manifest.shared_input_hash,
    ]
