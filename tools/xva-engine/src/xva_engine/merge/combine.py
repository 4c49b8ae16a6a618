"""The union of shards and what adds up over netting sets. Pure."""

import math
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from xva_engine.contracts import (
    BundleInput,
    ContractWarning,
    EngineInfo,
    Manifest,
    MergeSpec,
    NettingSetSummary,
    Rejection,
    ResultSummary,
    XvaMeasures,
)
from xva_engine.contracts.summary import CountCoverage, Coverage, ErrorBarSummary, NotionalCoverage, NpvCoverage
from xva_engine.precision import MEASURES
from xva_engine.run.tables import Row

_ADDITIVE = ("npv", "cva", "dva", "fba", "fca", "fva")


def totals(rows: Sequence[Row]) -> XvaMeasures:
    """Sums over netting sets, correctly rounded, so that the order of shards cannot show in the last digit.

    Only what adds: never EPE, EEPE or PFE. COLVA is over the collateralised sets, and null when there is none.
    """
    sums = {name: math.fsum(row[name] for row in rows) for name in _ADDITIVE}
    colva = [row["colva"] for row in rows if row["colva"] is not None]
    return XvaMeasures(**sums, colva=math.fsum(colva) if colva else None)


def hypothetical_set(manifest: Manifest) -> str | None:
    """The what-if's netting set that nobody holds: shown beside the one it is compared with, it adds to nothing."""
    compared = manifest.provenance.what_if if manifest.provenance is not None else None
    return None if compared is None else compared.with_


def package_rejections(manifest: Manifest) -> list[Rejection]:
    """What the generator of the package refused, each netting set at least once."""
    refused = [
        Rejection(netting_set_id=r.netting_set_id, trade_id=r.trade_id, code=r.code, message=r.message)
        for r in manifest.refusals
    ]
    named = {one.netting_set_id for one in refused}
    return refused + [
        Rejection(netting_set_id=one.id, trade_id=None, code="refused", message="not in the input package")
        for one in manifest.refused_netting_sets
        if one.id not in named
    ]


def in_order(rejections: Iterable[Rejection]) -> list[Rejection]:
    """By netting set, trade and code."""
    return sorted(rejections, key=lambda one: (one.netting_set_id, one.trade_id or "", one.code, one.message))


def all_warnings(
    manifest: Manifest, warnings: Sequence[ContractWarning], engines: Sequence[EngineInfo]
) -> list[ContractWarning]:
    """Warnings of package and shards once each, and those about a mixture of machines."""
    found = {(w.code, w.subject, w.message) for w in (*manifest.warnings, *warnings)}
    models = sorted({engine.cpu_model for engine in engines})
    if len(models) > 1:
        message = f"shards ran on {', '.join(models)}: last digits can differ between processors"
        found.add(("mixed-cpu-models", "engine", message))
    digests = sorted({engine.image_digest or "none" for engine in engines})
    if len(digests) > 1:
        found.add(("mixed-images", "engine", f"shards ran in images {', '.join(digests)}"))
    planned = (manifest.engine.name, manifest.engine.version)
    for ran in sorted({(engine.name, engine.version) for engine in engines} - {planned}):
        message = f"the package was made for {' '.join(planned)}, the shards ran {' '.join(ran)}"
        found.add(("other-engine-version", "engine", message))
    return [ContractWarning(code=code, subject=subject, message=text) for code, subject, text in sorted(found)]


def summarise(
    manifest: Manifest,
    spec: MergeSpec,
    rows: Mapping[str, Sequence[Row]],
    *,
    rejections: Sequence[Rejection],
    warnings: Sequence[ContractWarning],
    engine: EngineInfo,
) -> ResultSummary:
    """`summary.json` from the united tables, at least one netting set; `rejections` is the whole list."""
    sets = sorted(rows["xva_netting_set"], key=lambda row: str(row["nettingSetId"]))
    bars: dict[str, list[Row]] = {}
    for bar in rows.get("error_bars", ()):
        bars.setdefault(bar["nettingSetId"], []).append(bar)
    return ResultSummary(
        schema_version="1.0",
        run_id=spec.run_id,
        event_id=spec.event_id,
        request_key=manifest.request_key,
        package_id=spec.package_id,
        as_of=manifest.as_of,
        currency=manifest.base_currency,
        outcome="partial" if rejections else "complete",
        samples=manifest.samples,
        seed=manifest.seed,
        quantile=manifest.quantile,
        grid_dates=manifest.grid_dates,
        totals=totals([row for row in sets if row["nettingSetId"] != hypothetical_set(manifest)]),
        netting_sets=[_summary_of(row, bars.get(row["nettingSetId"], [])) for row in sets],
        coverage=_coverage(manifest, rows),
        rejections=list(rejections),
        warnings=list(warnings),
        engine=engine,
        shards=[
            BundleInput(task_id=one.task_id, bundle_id=one.bundle_id, sha256=one.sha256)
            for one in sorted(spec.bundles, key=lambda one: (one.task_id, one.attempt))
        ],
    )


def _summary_of(row: Row, bars: Sequence[Row]) -> NettingSetSummary:
    same = ("counterparty", "collateralised", "trades", *_ADDITIVE, "colva", "baselEpe", "baselEepe", "peakPfe")
    found = [
        ErrorBarSummary(
            measure=bar["measure"],
            currency=bar["baseCurrency"],
            standard_error=bar["standardError"],
            half_sample_value=bar["halfSampleValue"],
        )
        for bar in sorted(bars, key=lambda one: MEASURES.index(one["measure"]))
    ]
    plain = {"id": row["nettingSetId"], **{name: row[name] for name in same}}
    return NettingSetSummary.model_validate({**plain, **({"errorBars": found} if found else {})})


def _coverage(manifest: Manifest, rows: Mapping[str, Sequence[Row]]) -> Coverage:
    """Requested counts the netting sets that the generator refused too; their notional only where it is known."""
    published = {row["nettingSetId"] for row in rows["xva_netting_set"]}
    known = [Decimal(one.gross_notional) for one in manifest.netting_sets]
    known += [Decimal(o.gross_notional) for o in manifest.refused_netting_sets if o.gross_notional is not None]
    done = [Decimal(one.gross_notional) for one in manifest.netting_sets if one.id in published]
    trades = sum(len(one.trades) for one in manifest.netting_sets)
    return Coverage(
        netting_sets=CountCoverage(
            requested=len(manifest.netting_sets) + len(manifest.refused_netting_sets), published=len(published)
        ),
        trades=CountCoverage(
            requested=trades + sum(one.trade_count for one in manifest.refused_netting_sets),
            published=len(rows["npv"]),
        ),
        gross_notional=NotionalCoverage(
            requested=_plain(sum(known, Decimal())), published=_plain(sum(done, Decimal()))
        ),
        abs_npv=NpvCoverage(published=math.fsum(abs(row["npvBase"]) for row in rows["npv"])),
    )


def _plain(value: Decimal) -> str:
    text = format(value, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("", "-0") else text
