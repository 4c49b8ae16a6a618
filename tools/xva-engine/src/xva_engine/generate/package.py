"""A frozen request becomes an input package: the engine's files and the manifest that names them."""

import datetime
from collections import defaultdict
from dataclasses import dataclass
from importlib.metadata import version

from xva_engine import __version__
from xva_engine.contracts import (
    ContractWarning,
    CreditCurve,
    FrozenRequest,
    Manifest,
    NameVersion,
    PackagedNettingSet,
    PackagedTrade,
    PackageProblem,
    Part,
    PartRole,
    ProblemError,
    Provenance,
    Refusal,
    RefusedNettingSet,
    RunSettings,
    SnapshotUsed,
    package_id_of,
    sha256_hex,
    shared_input_hash_of,
)
from xva_engine.data import CATALOGUE, Catalogue
from xva_engine.generate.defects import Defect
from xva_engine.generate.documents import text
from xva_engine.generate.documents.conventions import conventions
from xva_engine.generate.documents.curve_config import curve_config
from xva_engine.generate.documents.netting import netting
from xva_engine.generate.documents.portfolio import BookedTrade, portfolio
from xva_engine.generate.documents.pricing_engine import pricing_engine
from xva_engine.generate.documents.setup import FILES, INPUT_FOLDER, setup
from xva_engine.generate.documents.simulation import simulation
from xva_engine.generate.documents.todays_market import todays_market
from xva_engine.generate.review import Accepted, Review, review
from xva_engine.generate.snapshots import Snapshot, SnapshotFolder, SnapshotRefusedError
from xva_engine.generate.trades import PRODUCTS
from xva_engine.preflight import preflight

MOST_ERRORS = 1000
"""Errors that a problem lists; it says how many more there are."""


class PackageRefusedError(Exception):
    """Thrown when a request gives no package; holds everything that is wrong with it."""

    def __init__(self, errors: list[Defect]) -> None:
        super().__init__(f"{len(errors)} defects: " + "; ".join(error.message for error in errors[:20]))
        self.errors = errors

    def problem(self, instance: str = "", request_id: str = "") -> PackageProblem:
        """The refusal as problem details."""
        shown = self.errors[:MOST_ERRORS]
        more = f"; {len(self.errors) - MOST_ERRORS} more are not listed" if len(self.errors) > MOST_ERRORS else ""
        members = {"instance": instance, "request_id": request_id}
        return PackageProblem(
            type="urn:xva-lab:problem:package-refused",
            title="The request cannot be packaged",
            status=422,
            code="package-refused",
            detail=f"{len(self.errors)} defects{more}",
            errors=[ProblemError(subject=item.subject, code=item.code, message=item.sentence) for item in shown],
            **{name: value for name, value in members.items() if value},
        )


@dataclass(frozen=True)
class Package:
    """The manifest, its canonical bytes, and every part's bytes by path."""

    manifest: Manifest
    manifest_bytes: bytes
    package_id: str
    files: dict[str, bytes]


def generate(
    request: FrozenRequest, catalogue: Catalogue = CATALOGUE, snapshots: SnapshotFolder | None = None
) -> Package:
    """The package of a request: the same bytes for the same request, in whatever order its lists came.

    `snapshots` is where the market snapshot is that the request may name.

    Raises PackageRefusedError with every defect when no netting set is left, when something that all netting sets need
    is wrong, or when the request is strict and anything is refused.
    """
    snapshot = _snapshot_of(request, snapshots)
    if snapshot is not None:
        values = {"quotes": request.quotes + snapshot.quotes, "fixings": request.fixings + snapshot.fixings}
        request = request.model_copy(update=values)
    outcome = review(catalogue, request)
    if outcome.accepted is None:
        errors = outcome.findings.whole | {found.defect for found in outcome.findings.sets}
        raise PackageRefusedError(sorted(errors))
    files = _files(catalogue, request, outcome.accepted)
    _check({path: content for path, (_, content) in files.items()})
    parts = [
        Part(path=path, size=len(content), sha256=sha256_hex(content), role=role)
        for path, (role, content) in sorted(files.items())
    ]
    manifest = _manifest(request, outcome, outcome.accepted, parts, snapshot)
    contents = {path: content for path, (_, content) in sorted(files.items())}
    return Package(manifest, manifest.canonical_bytes(), package_id_of(manifest), contents)


class FaultyPackageError(AssertionError):
    """Thrown when a package that was just made has a defect that pre-flight knows: a fault of the generator."""


def _check(files: dict[str, bytes]) -> None:
    report = preflight(files)
    if report.errors:
        raise FaultyPackageError("; ".join(error.sentence for error in report.errors[:20]))


def _files(catalogue: Catalogue, request: FrozenRequest, found: Accepted) -> dict[str, tuple[PartRole, bytes]]:
    as_of = _as_of(request)
    contents: dict[PartRole, bytes] = {
        "setup": setup(as_of, found.factors, request.settings),
        "market": text.market(as_of, found.quotes.items()),
        "fixings": text.fixings((index, day, value) for (index, day), value in found.fixings.items()),
        "conventions": conventions(found.factors),
        "curve-config": curve_config(found.factors),
        "todays-market": todays_market(found.factors),
        "pricing-engine": pricing_engine(),
        "simulation": simulation(found.factors, request.settings, found.grid),
        "netting": netting(found.netting_sets),
        "portfolio": portfolio(found.trades),
    }
    if request.settings.error_bars:
        coarse = request.settings.model_copy(update=error_bar_settings(request.settings))
        contents["error-bar-setup"] = setup(as_of, found.factors, coarse, FILES["error-bar-simulation"])
        contents["error-bar-simulation"] = simulation(found.factors, coarse, found.grid)
    return {f"{INPUT_FOLDER}/{FILES[role]}": (role, content) for role, content in contents.items()}


def error_bar_settings(settings: RunSettings) -> dict[str, int]:
    """Samples and seed of the rerun that error bars come from: half as many, and another scramble of the sequence."""
    return {"samples": settings.samples // 2, "seed": settings.seed % (2**31 - 1) + 1}


def _snapshot_of(request: FrozenRequest, snapshots: SnapshotFolder | None) -> Snapshot | None:
    wanted, as_of = request.market_snapshot, request.request_key.as_of
    if wanted is None:
        return None
    if snapshots is None:
        message = f"market snapshot {wanted.name} of {as_of}: there is no folder of snapshots here"
        raise PackageRefusedError([Defect(wanted.name, "unknown-snapshot", message)])
    try:
        return snapshots.find(as_of, wanted)
    except SnapshotRefusedError as error:
        raise PackageRefusedError(error.defects) from error


def _snapshot_used(found: Accepted, snapshot: Snapshot | None) -> SnapshotUsed | None:
    if snapshot is None:
        return None
    keys = {quote.key for quote in snapshot.quotes}
    days = {(fixing.index, fixing.date) for fixing in snapshot.fixings}
    return SnapshotUsed(
        name=snapshot.name,
        as_of=snapshot.as_of,
        sha256=snapshot.sha256,
        quotes=len(keys & set(found.quotes)),
        fixings=len(days & {(index, day.isoformat()) for index, day in found.fixings}),
    )


def _manifest(
    request: FrozenRequest, outcome: Review, found: Accepted, parts: list[Part], snapshot: Snapshot | None
) -> Manifest:
    settings = request.settings
    trades_of: dict[str, list[BookedTrade]] = defaultdict(list)
    for trade in found.trades:
        trades_of[trade.netting_set_id].append(trade)
    sets = [
        PackagedNettingSet(
            id=item.id,
            counterparty=item.counterparty,
            collateralised=item.csa is not None,
            trades=[
                PackagedTrade(
                    trade_id=trade.trade_id,
                    trade_type=trade.trade_type,
                    cost_nanos=PRODUCTS[trade.trade_type].cost_nanos,
                )
                for trade in trades_of[item.id]
            ],
            gross_notional=f"{outcome.gross[item.id]:f}",
        )
        for item in found.netting_sets
    ]
    return Manifest(
        schema_version="1.0",
        event_id=request.event_id,
        request_key=request.request_key,
        as_of=request.request_key.as_of,
        base_currency=settings.base_currency,
        samples=settings.samples,
        seed=settings.seed,
        quantile=settings.quantile,
        grid_dates=len(found.grid.tenors),
        strict=settings.strict,
        priority=settings.priority,
        generator=NameVersion(name="xva-engine", version=__version__),
        engine=NameVersion(name="open-source-risk-engine", version=version("open-source-risk-engine")),
        parts=parts,
        shared_input_hash=shared_input_hash_of(parts),
        netting_sets=sets,
        refused_netting_sets=[
            RefusedNettingSet(id=set_id, trade_count=count, gross_notional=None if gross is None else f"{gross:f}")
            for set_id, (count, gross) in outcome.refused.items()
        ],
        refusals=[
            Refusal(
                netting_set_id=item.netting_set_id,
                trade_id=item.trade_id or None,
                code=item.defect.code,
                subject=item.defect.subject,
                message=item.defect.sentence,
            )
            for item in sorted(outcome.findings.sets)
        ],
        warnings=[
            ContractWarning(code=item.code, subject=item.subject, message=item.sentence)
            for item in sorted(outcome.findings.warnings)
        ],
        provenance=Provenance(
            market_snapshot=_snapshot_used(found, snapshot),
            credit=[
                CreditCurve(name=item.name, curve_of=item.curve_of, kind=item.kind, reason=item.reason or None)
                for item in found.factors.credit
            ],
            what_if=found.what_if,
        ),
    )


def _as_of(request: FrozenRequest) -> datetime.date:
    return datetime.date.fromisoformat(request.request_key.as_of)
