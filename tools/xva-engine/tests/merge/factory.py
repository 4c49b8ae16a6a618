"""A run's manifest and shard bundles made of plain numbers, without an engine."""

import datetime
import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xva_engine.contracts import Bundle, ContractWarning, EngineInfo, Manifest, Part, Rejection, package_id_of
from xva_engine.contracts import shared_input_hash_of as shared_hash
from xva_engine.run.bundle_file import describe, write_bundle
from xva_engine.run.parquet import encode, to_arrow
from xva_engine.run.table_specs import TABLES
from xva_engine.run.tables import Row

RUN_ID = "xva-20260930-unit-abcdefghijklmn"
EVENT_ID = "a" * 32
ENGINE = EngineInfo(
    name="engine", version="1.0", runner="r 1", python="3", platform="p", cpu_model="cpu one", image_digest=None
)


@dataclass(frozen=True)
class SetNumbers:
    """One netting set; trades T-<id>-<n> share its NPV."""

    set_id: str
    values: tuple[float, ...] = (1.0, 2.0, 3.0, 4.0, 5.0)
    """NPV, CVA, DVA, FBA, FCA."""
    colva: float | None = None
    trades: int = 2

    @property
    def trade_ids(self) -> list[str]:
        return [f"T-{self.set_id}-{number}" for number in range(self.trades)]


def make_manifest(sets: Sequence[SetNumbers], strict: bool = False, **more: Any) -> Manifest:
    """A manifest whose parts exist nowhere: the merge never reads them."""
    parts = [
        {"path": f"Input/{name}", "size": 1, "sha256": hashlib.sha256(name.encode()).hexdigest(), "role": role}
        for name, role in (("market.txt", "market"), ("portfolio.xml", "portfolio"))
    ]
    base: dict[str, Any] = {
        "schemaVersion": "1.0",
        "eventId": EVENT_ID,
        "requestKey": {"book": "UNIT", "asOf": "2026-09-30", "cut": "EOD", "scenario": "BASE", "revision": 1},
        "asOf": "2026-09-30",
        "baseCurrency": "EUR",
        "samples": 10,
        "seed": 42,
        "quantile": "0.95",
        "gridDates": 2,
        "strict": strict,
        "priority": 0,
        "generator": {"name": "g", "version": "1"},
        "engine": {"name": "engine", "version": "1.0"},
        "parts": parts,
        "sharedInputHash": shared_hash([Part.model_validate(part) for part in parts]),
        "nettingSets": [
            {
                "id": one.set_id,
                "counterparty": f"C-{one.set_id}",
                "collateralised": one.colva is not None,
                "trades": [{"tradeId": t, "tradeType": "Swap", "costNanos": 1} for t in one.trade_ids],
                "grossNotional": "1000.5",
            }
            for one in sorted(sets, key=lambda one: one.set_id)
        ],
        "refusedNettingSets": [],
        "refusals": [],
        "warnings": [],
    }
    return Manifest.model_validate({**base, **more})


def make_rows(sets: Sequence[SetNumbers], task_id: str) -> dict[str, list[Row]]:
    """All tables of these sets."""
    own = {"runId": RUN_ID, "taskId": task_id}
    date = datetime.date(2026, 9, 30)
    rows: dict[str, list[Row]] = {table.name: [] for table in TABLES}
    for one in sets:
        npv, cva, dva, fba, fca = one.values
        xva = {"cva": cva, "dva": dva, "fba": fba, "fca": fca, "fva": fba - fca, "baselEpe": 1.0, "baselEepe": 2.0}
        xva |= {"fbaExOwnSp": 0.0, "fcaExOwnSp": 0.0, "fbaExAllSp": 0.0, "fcaExAllSp": 0.0}
        in_set = {**own, "nettingSetId": one.set_id, "baseCurrency": "EUR"}
        head = {"counterparty": f"C-{one.set_id}", "collateralised": one.colva is not None, "trades": one.trades}
        rows["xva_netting_set"].append({**in_set, **head, **xva, "npv": npv, "colva": one.colva, "peakPfe": 9.0})
        profile = {"time": 0.0, "epe": 1.0, "ene": 1.0, "pfe": 9.0, "expectedCollateral": None, "baselEe": 1.0}
        profile |= {"baselEee": 1.0, "timeWeightedBaselEpe": 1.0, "timeWeightedBaselEepe": 1.0}
        at = {**own, "nettingSetId": one.set_id, "date": date, **profile}
        rows["exposure_profile"].append({**at, "scope": "nettingSet", "id": one.set_id})
        for trade_id in one.trade_ids:
            share = npv / one.trades
            money = {"npv": share, "npvBase": share, "notional": 1.0, "notionalBase": 1.0, "maturityTime": 4.0}
            texts = {"npvCurrency": "EUR", "notionalCurrency": "EUR", "tradeType": "Swap", "counterparty": "C"}
            rows["npv"].append({**in_set, **money, **texts, "tradeId": trade_id, "maturity": date})
            rows["xva_trade"].append({**in_set, **xva, "tradeId": trade_id})
            rows["exposure_profile"].append({**at, "scope": "trade", "id": trade_id})
    return rows


@dataclass(frozen=True)
class Shard:
    """What one shard's bundle holds; `change` spoils its description."""

    task_id: str
    sets: Sequence[SetNumbers]
    rejections: Sequence[Rejection] = ()
    warnings: Sequence[ContractWarning] = ()
    engine: EngineInfo = ENGINE
    change: Mapping[str, Any] | None = None
    rows: Mapping[str, list[Row]] | None = None


def rejection(set_id: str, trade_id: str | None = None) -> Rejection:
    """A rejection by the runner."""
    return Rejection(netting_set_id=set_id, trade_id=trade_id, code="trade-failed", message="no good")


def write_shard(root: Path, manifest: Manifest, shard: Shard) -> dict[str, Any]:
    """Writes the shard's bundle; returns the merge spec's entry for it."""
    rows = dict(shard.rows if shard.rows is not None else make_rows(shard.sets, shard.task_id))
    own = {"runId": RUN_ID, "taskId": shard.task_id, "stage": "engine"}
    rows["rejections"] = [
        {**own, "nettingSetId": r.netting_set_id, "tradeId": r.trade_id, "code": r.code, "message": r.message}
        for r in shard.rejections
    ]
    files = {table.path: encode(to_arrow(table, rows[table.name])) for table in TABLES}
    info = Bundle(
        schema_version="1.0",
        bundle_id=str(uuid.uuid4()),
        kind="shard",
        run_id=RUN_ID,
        event_id=EVENT_ID,
        attempt=1,
        task_id=shard.task_id,
        package_id=package_id_of(manifest),
        shared_input_hash=manifest.shared_input_hash,
        netting_sets=[one.set_id for one in shard.sets],
        rejections=list(shard.rejections),
        warnings=list(shard.warnings),
        engine=shard.engine,
        files=describe(files, {table.path: len(rows[table.name]) for table in TABLES}),
        inputs=[],
        timings={},
    )
    info = info.model_copy(update=dict(shard.change or {}))
    path = write_bundle(root, info, files)
    return {
        "taskId": shard.task_id,
        "attempt": 1,
        "bundleId": info.bundle_id,
        "path": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "nettingSets": sorted({*info.netting_sets, *(r.netting_set_id for r in shard.rejections)}),
    }


def write_run(root: Path, manifest: Manifest, shards: Sequence[Shard]) -> dict[str, Any]:
    """Writes manifest, bundles and task.json into `root`; returns the merge's spec."""
    (root / "manifest.json").write_bytes(manifest.canonical_bytes())
    spec = {
        "schemaVersion": "1.0",
        "kind": "merge",
        "runId": RUN_ID,
        "eventId": EVENT_ID,
        "attempt": 1,
        "taskId": "merge",
        "packageId": package_id_of(manifest),
        "sharedInputHash": manifest.shared_input_hash,
        "manifestPath": "manifest.json",
        "bundles": [write_shard(root, manifest, shard) for shard in shards],
    }
    write_spec(root, spec)
    return spec


def write_spec(root: Path, spec: Mapping[str, Any]) -> None:
    """(Re)writes task.json."""
    (root / "task.json").write_text(json.dumps(spec))


def other_engine(**change: str) -> EngineInfo:
    """The engine with something else about it."""
    return ENGINE.model_copy(update=change)
