"""The small sample book as a package, generated once."""

import json
from pathlib import Path

import pytest

from xva_engine.generate.package import generate
from xva_engine.generate.request import parse_request
from xva_engine.sample import frozen_request


@pytest.fixture(scope="session")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with `Input/` and `manifest.json`; six netting sets. Not to be changed: copy it."""
    root = tmp_path_factory.mktemp("book")
    package = generate(parse_request(json.dumps(frozen_request("small", 1)).encode()))
    for path, content in package.files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    (root / "manifest.json").write_bytes(package.manifest_bytes)
    return root
