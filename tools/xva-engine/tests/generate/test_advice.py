"""The page of defect classes: what each is, what to do, and that no class is without use."""

import re
from pathlib import Path

import pytest

import xva_engine
from tests.trial_book import ROOT, TrialBook
from xva_engine.generate.advice import ADVICE
from xva_engine.generate.defects import Defect

SOURCE = Path(xva_engine.__file__).parent


def test_every_class_is_used_and_only_known_ones_are() -> None:
    text = "".join(
        path.read_text()
        for folder in ("generate", "preflight")
        for path in (SOURCE / folder).rglob("*.py")
        if path.name != "advice.py"
    )
    made = {f"{stem}{kind}" for stem in ("bad-", "duplicate-") for kind in ("quote", "fixing")}
    made |= {"bad-quote-line", "bad-fixing-line"}
    unused = {code for code in ADVICE if f'"{code}"' not in text} - made
    assert unused == set()
    with pytest.raises(ValueError, match="not known"):
        Defect("x", "no-such-class", "y")


def test_the_sentence_names_the_thing_and_says_what_to_do() -> None:
    for code, advice in ADVICE.items():
        sentence = Defect("T1", code, "trade T1 is wrong").sentence
        assert sentence == f"trade T1 is wrong; {advice.do}"
        assert re.fullmatch(r"[a-z0-9-]{3,60}", code)
        assert not advice.do.endswith(".")


def test_the_page_has_every_class() -> None:
    book = TrialBook(
        "Defect classes of requests and packages",
        "docs/input-defects.md",
        "tools/xva-engine/tests/generate/test_advice.py",
        ("code", "what it is, or what the engine would do", "what to do"),
    )
    for code, advice in sorted(ADVICE.items()):
        book.record("Classes", f"`{code}`", advice.what, advice.do)
    book.close()
    assert (ROOT / "docs/input-defects.md").exists()
