"""One merge from bundles to published tables."""

import json
import time
from collections.abc import Mapping, Sequence

from xva_engine.contracts import Bundle, BundleInput, Manifest, MergeSpec, Rejection, ShardSpec
from xva_engine.merge.combine import all_warnings, hypothetical_set, in_order, package_rejections, summarise
from xva_engine.merge.split import SplitSets, check_pieces, pieces_of
from xva_engine.merge.verify import check_coverage, check_rows, read_inputs, read_manifest
from xva_engine.run.acceptance import Defect
from xva_engine.run.bundle_file import OpenBundle, describe, write_bundle
from xva_engine.run.engine_info import engine_info
from xva_engine.run.errors import BadInputError, ModelFailureError
from xva_engine.run.parquet import TableError, decode, encode, to_arrow
from xva_engine.run.session import Session, ignore_signals
from xva_engine.run.table_specs import REJECTIONS, STAGE_PACKAGE, TableSpec, tables_for
from xva_engine.run.tables import Row, rejection_rows


def run_merge(session: Session, spec: ShardSpec | MergeSpec) -> str:
    """Verifies, unites, sums, writes; returns the line that says what came out.

    Raises BadInputError for bundles that do not belong together, ModelFailureError when the run is strict and anything
    was rejected, or when nothing is left to publish.
    """
    if not isinstance(spec, MergeSpec):
        raise BadInputError(f"task {spec.task_id} is a shard: use `xva-engine run`")
    started = time.monotonic()
    manifest = read_manifest(session.root, spec)
    bundles = read_inputs(session.root, spec)
    check_coverage(manifest, bundles)
    session.progress.advance("merging", 0, len(bundles))
    tables = tables_for(manifest.parts)
    rows: dict[str, list[Row]] = {table.name: [] for table in tables}
    infos: list[Bundle] = []

    def take(bundle: OpenBundle, read: Mapping[str, list[Row]]) -> None:
        check_rows(manifest, bundle, read)
        infos.append(bundle.info)
        for name, table in read.items():
            rows[name] += table

    pieces = pieces_of(bundles)
    check_pieces(manifest, pieces)
    whole = [bundle for bundle in bundles if bundle.info.kind != "cube"]
    for index, bundle in enumerate(whole, start=1):
        take(bundle, _read_tables(bundle, tables))
        session.progress.advance("merging", index, len(bundles))
    done = len(whole)
    for set_id, cubes in sorted(pieces.items()):
        info, read = SplitSets(session, spec).compute(set_id, cubes)
        take(OpenBundle(info, {}, ""), read)
        done += len(cubes)
        session.progress.advance("merging", done, len(bundles))
    engines = [bundle.info.engine for bundle in bundles]
    refused = package_rejections(manifest)
    rejections = in_order([*refused, *(one for info in infos for one in info.rejections)])
    session.rejections = rejections
    if manifest.strict and rejections:
        raise ModelFailureError(f"the run is strict and {_told(rejections)}")
    if rejections and hypothetical_set(manifest) is not None:
        raise ModelFailureError(f"a what-if compares two sides: {_told(rejections)}")
    if not rows["xva_netting_set"]:
        raise ModelFailureError(f"no netting set is left to publish: {_told(rejections)}")
    warnings = all_warnings(manifest, [one for info in infos for one in info.warnings], engines)
    summary = summarise(manifest, spec, rows, rejections=rejections, warnings=warnings, engine=engines[0])
    files, counts = _tables(manifest, rows, refused, spec)
    files["summary.json"] = json.dumps(summary.to_json(), indent=1, allow_nan=False).encode()
    info = Bundle(
        schema_version="1.0",
        bundle_id=session.bundle_id,
        kind="merge",
        run_id=spec.run_id,
        event_id=spec.event_id,
        attempt=spec.attempt,
        task_id=spec.task_id,
        package_id=spec.package_id,
        shared_input_hash=spec.shared_input_hash,
        netting_sets=[one.id for one in summary.netting_sets],
        rejections=rejections,
        warnings=warnings,
        engine=engine_info(engines[0].version),
        files=describe(files, counts),
        inputs=[BundleInput(task_id=o.task_id, bundle_id=o.bundle_id, sha256=o.sha256) for o in summary.shards],
        timings={"merge": round(time.monotonic() - started, 6), **pricing_seconds(manifest, rows["pricing_stats"])},
    )
    ignore_signals()
    path = write_bundle(session.out, info, files)
    session.bundle_written = True
    return f"{summary.outcome}: {len(info.netting_sets)} netting sets of {len(bundles)} bundles: {path.name}"


def pricing_seconds(manifest: Manifest, rows: Sequence[Row]) -> dict[str, float]:
    """Seconds of pricing by the manifest's trade types, under `pricing.<type>`: what the cost model learns from."""
    type_of = {trade.trade_id: trade.trade_type for one in manifest.netting_sets for trade in one.trades}
    micros: dict[str, int] = {}
    for row in rows:
        name = f"pricing.{type_of[row['tradeId']]}"
        micros[name] = micros.get(name, 0) + (row["cumulativeMicros"] or 0)
    return {name: total / 1e6 for name, total in sorted(micros.items())}


def _read_tables(bundle: OpenBundle, tables: Sequence[TableSpec]) -> dict[str, list[Row]]:
    read: dict[str, list[Row]] = {}
    for table in tables:
        if table.path not in bundle.files:
            raise BadInputError(f"bundle {bundle.info.bundle_id} has no {table.path}")
        try:
            read[table.name] = decode(table, bundle.files[table.path]).to_pylist()
        except TableError as error:
            raise BadInputError(f"bundle {bundle.info.bundle_id}: {error}") from None
    return read


def _tables(
    manifest: Manifest, rows: Mapping[str, Sequence[Row]], refused: Sequence[Rejection], spec: MergeSpec
) -> tuple[dict[str, bytes], dict[str, int]]:
    """Rows keep the task that made them; what the package refused is the merge's to tell."""
    files: dict[str, bytes] = {}
    counts: dict[str, int] = {}
    for table in tables_for(manifest.parts):
        cells = list(rows[table.name])
        if table is REJECTIONS:
            defects = [Defect(r.netting_set_id, r.trade_id, r.code, r.message) for r in refused]
            own = {"runId": spec.run_id, "taskId": spec.task_id}
            cells += [{**row, **own} for row in rejection_rows(defects, STAGE_PACKAGE)]
        files[table.path] = encode(to_arrow(table, cells))
        counts[table.path] = len(cells)
    return files, counts


def _told(rejections: Sequence[Rejection]) -> str:
    sets = sorted({one.netting_set_id for one in rejections})
    first = [
        f"{one.netting_set_id}{'/' + one.trade_id if one.trade_id else ''}: {one.message}" for one in rejections[:5]
    ]
    return f"{len(sets)} netting sets were rejected ({', '.join(sets[:20])}); {'; '.join(first)}"
