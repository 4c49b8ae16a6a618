"""Packages on disk: a minimal one that no engine would take, and the spec of whatever lies in a folder."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from xva_engine.contracts import Part, shared_input_hash_of

ROLES = {
    "ore.xml": "setup",
    "market.txt": "market",
    "fixings.txt": "fixings",
    "conventions.xml": "conventions",
    "curveconfig.xml": "curve-config",
    "todaysmarket.xml": "todays-market",
    "pricingengine.xml": "pricing-engine",
    "simulation.xml": "simulation",
    "netting.xml": "netting",
    "portfolio.xml": "portfolio",
    "error-bar-ore.xml": "error-bar-setup",
    "error-bar-simulation.xml": "error-bar-simulation",
}
SETUP = """<?xml version="1.0"?>
<ORE><Setup>
  <Parameter name="asofDate">2026-09-30</Parameter>
  <Parameter name="inputPath">Input</Parameter>
  <Parameter name="outputPath">Output</Parameter>
  <Parameter name="logFile">log.txt</Parameter>
  <Parameter name="marketDataFile">market.txt</Parameter>
  <Parameter name="portfolioFile">portfolio.xml</Parameter>
</Setup></ORE>"""
Envelope = tuple[str, str, str]
"""Trade id, netting set, counterparty."""
TRADES: tuple[Envelope, ...] = (("T1", "A", "CA"), ("T2", "B", "CB"), ("T3", "A", "CA"))


def portfolio_xml(trades: Iterable[Envelope] = TRADES) -> str:
    """A portfolio of envelopes."""
    rows = (
        f'<Trade id="{trade_id}"><TradeType>Swap</TradeType><Envelope><CounterParty>{party}</CounterParty>'
        f"<NettingSetId>{set_id}</NettingSetId></Envelope></Trade>"
        for trade_id, set_id, party in trades
    )
    return f"<Portfolio>{''.join(rows)}</Portfolio>"


def netting_xml(flags: Mapping[str, str]) -> str:
    """Netting set definitions."""
    rows = (
        f"<NettingSet><NettingSetId>{set_id}</NettingSetId><ActiveCSAFlag>{flag}</ActiveCSAFlag></NettingSet>"
        for set_id, flag in flags.items()
    )
    return f"<NettingSetDefinitions>{''.join(rows)}</NettingSetDefinitions>"


def write_minimal(root: Path, **files: str) -> None:
    """Writes the minimal package; a keyword such as `market` (for market.txt) replaces a file's text."""
    content = {
        "ore": SETUP,
        "market": "20260930 FX/RATE/EUR/USD 1.1\n",
        "fixings": "# none\n",
        "simulation": "<Simulation/>",
        "netting": netting_xml({"A": "false", "B": "true"}),
        "portfolio": portfolio_xml(),
        **files,
    }
    (root / "Input").mkdir(parents=True)
    for name, text in content.items():
        (root / "Input" / f"{name}{'.txt' if name in ('market', 'fixings') else '.xml'}").write_text(text)


def spec_of(root: Path, netting_sets: Sequence[str], task_id: str = "shard-0001") -> dict[str, Any]:
    """The spec of what lies in `root` now."""
    parts = [
        {
            "path": f"Input/{path.name}",
            "size": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "role": ROLES[path.name],
        }
        for path in sorted((root / "Input").iterdir())
    ]
    return {
        "schemaVersion": "1.0",
        "kind": "shard",
        "runId": "xva-20260930-unit-abcdefghijklmn",
        "eventId": "a" * 32,
        "attempt": 1,
        "taskId": task_id,
        "packageId": "c" * 64,
        "sharedInputHash": shared_input_hash_of([Part.model_validate(part) for part in parts]),
        "parts": parts,
        "nettingSets": list(netting_sets),
    }


def write_task(root: Path, spec: Mapping[str, Any]) -> Path:
    """Writes task.json."""
    path = root / "task.json"
    path.write_text(json.dumps(spec))
    return path
