"""Whether bundles may be united: each is what the spec says, all are of one run and one shared input, none is missing.

Every refusal is a BadInputError that names both sides.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from xva_engine.contracts import Bundle, Manifest, MergeInput, MergeSpec, package_id_of
from xva_engine.precision import MEASURES
from xva_engine.run.bundle_file import OpenBundle, read_bundle
from xva_engine.run.errors import BadInputError
from xva_engine.run.tables import Row


def read_manifest(root: Path, spec: MergeSpec) -> Manifest:
    """The package's manifest, proved to be the spec's."""
    try:
        manifest = Manifest.model_validate_json((root / spec.manifest_path).read_bytes())
    except FileNotFoundError:
        raise BadInputError(f"{spec.manifest_path}: the manifest is missing") from None
    except ValidationError as error:
        raise BadInputError(f"{spec.manifest_path}: not a manifest: {error}") from None
    _same(spec.manifest_path, "packageId", package_id_of(manifest), spec.package_id)
    _same(spec.manifest_path, "eventId", manifest.event_id, spec.event_id)
    _same(spec.manifest_path, "sharedInputHash", manifest.shared_input_hash, spec.shared_input_hash)
    return manifest


def read_inputs(root: Path, spec: MergeSpec) -> list[OpenBundle]:
    """The shards' bundles in the order of their task ids, each proved to be the one that the spec names."""
    bundles = []
    for named in sorted(spec.bundles, key=lambda one: (one.task_id, one.attempt)):
        bundle = read_bundle(root / named.path)
        if bundle.sha256 != named.sha256:
            raise BadInputError(f"{named.path}: SHA-256 is {bundle.sha256}, the spec says {named.sha256}")
        _check_identity(named, bundle.info, spec)
        bundles.append(bundle)
    return bundles


def _check_identity(named: MergeInput, info: Bundle, spec: MergeSpec) -> None:
    _same(named.path, "kind", info.kind, "cube" if named.trades else "shard")
    _same(named.path, "trades", ",".join(sorted(info.trades)), ",".join(sorted(named.trades)))
    _same(named.path, "bundleId", info.bundle_id, named.bundle_id)
    _same(named.path, "taskId", info.task_id, named.task_id)
    _same(named.path, "attempt", str(info.attempt), str(named.attempt))
    _same(named.path, "runId", info.run_id, spec.run_id)
    _same(named.path, "eventId", info.event_id, spec.event_id)
    _same(named.path, "packageId", info.package_id, spec.package_id)
    _same(named.path, "sharedInputHash", info.shared_input_hash, spec.shared_input_hash)
    sets = sorted({*info.netting_sets, *(one.netting_set_id for one in info.rejections)})
    _same(named.path, "nettingSets", ",".join(sets), ",".join(sorted(named.netting_sets)))


def check_coverage(manifest: Manifest, bundles: Sequence[OpenBundle]) -> None:
    """Netting sets are disjoint over the bundles and complete against the manifest; one engine made all."""
    holder: dict[str, str] = {}
    shards: set[str] = set()
    for bundle in bundles:
        info = bundle.info
        rejected = {one.netting_set_id for one in info.rejections}
        if torn := sorted(rejected & set(info.netting_sets)):
            raise BadInputError(f"bundle {info.bundle_id} both accepts and rejects netting set {torn[0]}")
        for set_id in sorted({*info.netting_sets, *rejected}):
            # Cubes share their netting set with each other, by trade, and with no shard.
            mine = f"{set_id} by trade" if info.kind == "cube" else info.bundle_id
            if holder.setdefault(set_id, mine) != mine or (set_id in shards and info.kind != "cube"):
                raise BadInputError(f"netting set {set_id} is in bundles {holder[set_id]} and {info.bundle_id}")
            if info.kind != "cube":
                shards.add(set_id)
    asked = {one.id for one in manifest.netting_sets}
    if missing := sorted(asked - holder.keys()):
        raise BadInputError(f"no bundle has netting set {', '.join(missing)} of the manifest")
    if extra := sorted(holder.keys() - asked):
        raise BadInputError(f"bundle {holder[extra[0]]} has netting set {extra[0]}, which the manifest has not")
    first = bundles[0].info
    for bundle in bundles[1:]:
        for name in ("name", "version", "runner"):
            ours, theirs = getattr(first.engine, name), getattr(bundle.info.engine, name)
            if ours != theirs:
                both = f"bundles {first.bundle_id} and {bundle.info.bundle_id}"
                raise BadInputError(f"{both} differ in engine {name}: {ours} and {theirs}")


def check_rows(manifest: Manifest, bundle: OpenBundle, rows: Mapping[str, Sequence[Row]]) -> None:
    """A bundle's tables hold exactly what its bundle.json and the manifest say of its netting sets."""
    info = bundle.info
    who = f"bundle {info.bundle_id}"
    accepted = set(info.netting_sets)
    for name, table in rows.items():
        sets = {row["nettingSetId"] for row in table}
        if odd := sorted(sets - accepted) if name != "rejections" else []:
            raise BadInputError(f"{who}: table {name} has netting set {odd[0]}, which bundle.json does not accept")
    listed = sorted(row["nettingSetId"] for row in rows["xva_netting_set"])
    _same(who, "netting sets of table xva_netting_set", ",".join(listed), ",".join(sorted(accepted)))
    if rejected := {row["nettingSetId"] for row in rows["rejections"]} ^ {r.netting_set_id for r in info.rejections}:
        raise BadInputError(f"{who}: table rejections and bundle.json disagree on {sorted(rejected)[0]}")
    packaged = {one.id: one for one in manifest.netting_sets}
    for row in rows["xva_netting_set"]:
        one = packaged[row["nettingSetId"]]
        _same(f"{who}, netting set {one.id}", "counterparty", row["counterparty"], one.counterparty)
        _same(f"{who}, netting set {one.id}", "collateralised", str(row["collateralised"]), str(one.collateralised))
        _same(f"{who}, netting set {one.id}", "baseCurrency", row["baseCurrency"], manifest.base_currency)
    _check_profiles(who, rows)
    _check_bars(who, rows)
    matured = {warning.subject for warning in info.warnings if warning.code == "trade-matured"}
    for name in ("npv", "xva_trade"):
        for set_id in sorted(accepted):
            asked = {trade.trade_id for trade in packaged[set_id].trades}
            ids = [row["tradeId"] for row in rows[name] if row["nettingSetId"] == set_id]
            odd = sorted((asked - set(ids) - matured) | (set(ids) - asked)) or (
                ["(a repeated trade)"] * (len(ids) != len(set(ids)))
            )
            if odd:
                raise BadInputError(f"{who}: table {name} and the manifest disagree on {odd[0]} of {set_id}")


def _check_profiles(who: str, rows: Mapping[str, Sequence[Row]]) -> None:
    profiles = {(row["scope"], row["nettingSetId"], row["id"]) for row in rows["exposure_profile"]}
    wanted = {("nettingSet", row["nettingSetId"], row["nettingSetId"]) for row in rows["xva_netting_set"]}
    wanted |= {("trade", row["nettingSetId"], row["tradeId"]) for row in rows["npv"]}
    if odd := sorted(profiles ^ wanted):
        raise BadInputError(f"{who}: table exposure_profile disagrees with the others on {' '.join(odd[0])}")


def _check_bars(who: str, rows: Mapping[str, Sequence[Row]]) -> None:
    of_set = {row["nettingSetId"]: row for row in rows["xva_netting_set"]}
    seen: set[tuple[str, str]] = set()
    for bar in rows.get("error_bars", ()):
        key = (bar["nettingSetId"], bar["measure"])
        if key in seen or bar["measure"] not in MEASURES:
            raise BadInputError(f"{who}: table error_bars has {' '.join(key)} twice, or knows it alone")
        seen.add(key)
        row = of_set[bar["nettingSetId"]]
        for name, wanted in (("value", row[bar["measure"]]), ("baseCurrency", row["baseCurrency"])):
            _same(f"{who}, error bar {' '.join(key)}", name, str(bar[name]), str(wanted))


def _same(who: str, what: str, actual: str, wanted: str) -> None:
    if actual != wanted:
        raise BadInputError(f"{who}: {what} is {actual}, expected {wanted}")
