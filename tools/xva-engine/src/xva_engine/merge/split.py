"""Netting sets that were simulated in pieces: the cubes of their trades united, the numbers computed from the union."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence

from xva_engine.contracts import Bundle, Manifest, MergeSpec, Rejection, ShardSpec
from xva_engine.run.acceptance import Defect, Expected, accept
from xva_engine.run.bundle_file import OpenBundle
from xva_engine.run.cube import CUBE_FILE, SCENARIO_FILE, merge_cubes, readable_scenarios
from xva_engine.run.engine import EngineProcess
from xva_engine.run.engine_run import Layout, run_engine
from xva_engine.run.errors import BadInputError, ModelFailureError
from xva_engine.run.package import Package, load_package
from xva_engine.run.parquet import decode
from xva_engine.run.prechecks import check_sets
from xva_engine.run.rerun import HALF_CUBE, HALF_SCENARIOS, Bars, bars_of, half_logs, told, without_bars
from xva_engine.run.session import Session
from xva_engine.run.shard import contract_warnings, rejections_of
from xva_engine.run.stages import from_cube
from xva_engine.run.table_specs import PRICING_STATS, tables_for
from xva_engine.run.tables import Row, build_rows, rejection_rows

_CUBE = f"cube/{CUBE_FILE}"
_SCENARIOS = f"cube/{SCENARIO_FILE}"


def pieces_of(bundles: Sequence[OpenBundle]) -> dict[str, list[OpenBundle]]:
    """Cubes by their netting set."""
    found: dict[str, list[OpenBundle]] = defaultdict(list)
    for bundle in bundles:
        if bundle.info.kind == "cube":
            sets = {*bundle.info.netting_sets, *(one.netting_set_id for one in bundle.info.rejections)}
            if len(sets) != 1:
                raise BadInputError(f"cube {bundle.info.bundle_id} is of {len(sets)} netting sets, one is needed")
            found[sets.pop()].append(bundle)
    return dict(found)


def check_pieces(manifest: Manifest, pieces: Mapping[str, Sequence[OpenBundle]]) -> None:
    """The cubes of a netting set hold every trade of it once, of one set of scenarios."""
    trades_of = {one.id: {trade.trade_id for trade in one.trades} for one in manifest.netting_sets}
    for set_id, bundles in pieces.items():
        holder: dict[str, str] = {}
        for info in (bundle.info for bundle in bundles):
            for trade_id in info.trades:
                if trade_id in holder:
                    raise BadInputError(
                        f"trade {trade_id} of {set_id} is in cubes {holder[trade_id]} and {info.bundle_id}"
                    )
                holder[trade_id] = info.bundle_id
        if odd := sorted(trades_of.get(set_id, set()) ^ holder.keys()):
            raise BadInputError(f"the cubes of {set_id} and the manifest disagree on trade {odd[0]}")
        for name in (_SCENARIOS, HALF_SCENARIOS):
            hashes = {
                hashlib.sha256(bundle.files[name]).hexdigest(): bundle.info.bundle_id
                for bundle in bundles
                if name in bundle.files
            }
            if len(hashes) > 1:
                one, other, *_ = hashes.values()
                raise BadInputError(f"cubes {one} and {other} of {set_id} were simulated on different scenarios")


class SplitSets:
    """Computes split netting sets one after the other, each in an engine of its own."""

    def __init__(self, session: Session, spec: MergeSpec) -> None:
        if not spec.parts:
            raise BadInputError("the spec names cubes and no parts of the package to compute them with")
        self._session = session
        self._spec = spec

    def compute(self, set_id: str, bundles: Sequence[OpenBundle]) -> tuple[Bundle, dict[str, list[Row]]]:
        """What a shard with the whole netting set would have said, and its rows.

        Raises BadInputError for cubes that do not belong together, TaskError for an engine that failed.
        """
        first = bundles[0].info
        warnings = list({(w.code, w.subject, w.message): w for b in bundles for w in b.info.warnings}.values())
        rejections = [one for bundle in bundles for one in bundle.info.rejections]
        empty: dict[str, list[Row]] = {table.name: [] for table in tables_for(self._spec.parts)}
        if rejections:
            unique = {(r.trade_id, r.code, r.message): r for r in rejections}
            info = first.model_copy(
                update={"netting_sets": [], "rejections": list(unique.values()), "warnings": warnings}
            )
            return info, {**empty, "rejections": self._rejection_rows(list(unique.values()))}
        package = self._package(set_id)
        expected, early = check_sets(package, [set_id])
        cubes = [(f"cube of {b.info.task_id}", b.files[_CUBE]) for b in bundles if _CUBE in b.files]
        scenarios = next((b.files[_SCENARIOS] for b in bundles if _SCENARIOS in b.files), None)
        defects: tuple[Defect, ...] = early
        rows: dict[str, list[Row]] = {}
        notices = warnings
        if not early and scenarios is not None:
            before = {CUBE_FILE: merge_cubes(cubes), SCENARIO_FILE: readable_scenarios(SCENARIO_FILE, scenarios)}
            logs = self._session.logs / set_id
            logs.mkdir(parents=True, exist_ok=True)
            with EngineProcess(logs) as engine:
                layout = Layout(setup=from_cube(package.setup_tree), before=before, logs=logs)
                result = run_engine(self._session, engine, package, expected, layout)
            if result.version != first.engine.version:
                raise BadInputError(
                    f"the cubes of {set_id} were made by engine {first.engine.version}, this is {result.version}"
                )
            verdict = accept(result.reports, result.log, expected)
            if verdict.failures:
                raise ModelFailureError(f"{set_id} from its cubes: {told(verdict.failures)}")
            defects = verdict.defects
            rows = build_rows(result.reports, verdict, expected, defects)
            told_of = verdict.notices
            if verdict.accepted and (half := package.on_half_the_samples()) is not None:
                bars = self._bars(half, expected, bundles, rows["xva_netting_set"])
                rows["error_bars"] = bars.rows
                told_of = (*told_of, *bars.notices)
            known = {(w.code, w.subject) for w in warnings}
            notices = [*warnings, *(w for w in contract_warnings(told_of) if (w.code, w.subject) not in known)]
        elif not early:
            defects = (Defect(set_id, None, "no-live-trades", "every trade has matured; the engine gives no numbers"),)
        accepted = [] if defects else [set_id]
        found = rejections_of(defects)
        info = first.model_copy(update={"netting_sets": accepted, "rejections": found, "warnings": notices})
        own = {"runId": self._spec.run_id, "taskId": self._spec.task_id}
        named = {name: [{**row, **own} for row in table] for name, table in rows.items()} if accepted else {}
        # What pricing took is known to those who simulated.
        tables = [b.files[PRICING_STATS.path] for b in bundles if accepted and PRICING_STATS.path in b.files]
        pricing = [row for table in tables for row in decode(PRICING_STATS, table).to_pylist()]
        return info, {**empty, **named, PRICING_STATS.name: pricing, "rejections": self._rejection_rows(found)}

    def _bars(self, half: Package, expected: Expected, bundles: Sequence[OpenBundle], whole: Sequence[Row]) -> Bars:
        cubes = [(f"half cube of {b.info.task_id}", b.files[HALF_CUBE]) for b in bundles if HALF_CUBE in b.files]
        scenarios = next((b.files[HALF_SCENARIOS] for b in bundles if HALF_SCENARIOS in b.files), None)
        if scenarios is None or len(cubes) != sum(_CUBE in b.files for b in bundles):
            return Bars([], without_bars(expected.netting_sets, "a shard has no cube of it"))
        before = {CUBE_FILE: merge_cubes(cubes), SCENARIO_FILE: readable_scenarios(SCENARIO_FILE, scenarios)}
        logs = half_logs(self._session.logs / next(iter(expected.netting_sets)))
        with EngineProcess(logs) as engine:
            layout = Layout(setup=from_cube(half.setup_tree), before=before, logs=logs)
            try:
                result = run_engine(self._session, engine, half, expected, layout)
            except ModelFailureError as error:
                return Bars([], without_bars(expected.netting_sets, str(error)))
        return bars_of(result, expected, whole)

    def _rejection_rows(self, found: Sequence[Rejection]) -> list[Row]:
        own = {"runId": self._spec.run_id, "taskId": self._spec.task_id}
        defects = [Defect(r.netting_set_id, r.trade_id, r.code, r.message) for r in found]
        return [{**row, **own} for row in rejection_rows(defects)]

    def _package(self, set_id: str) -> Package:
        spec = self._spec
        shard = ShardSpec(
            schema_version="1.0",
            run_id=spec.run_id,
            event_id=spec.event_id,
            attempt=spec.attempt,
            task_id=spec.task_id,
            package_id=spec.package_id,
            shared_input_hash=spec.shared_input_hash,
            kind="shard",
            parts=list(spec.parts),
            netting_sets=[set_id],
        )
        return load_package(self._session.root, shard)
