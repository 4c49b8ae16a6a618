"""A package on disk: verified against the task's spec, read without trust, laid out for the engine."""

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from xva_engine.contracts import Part, ShardSpec, shared_input_hash_of
from xva_engine.run.errors import BadInputError
from xva_engine.run.stages import not_separable

if TYPE_CHECKING:
    from lxml.etree import _Element

_PLAIN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*")
_ID = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9_.-]{1,64}")
_INPUT_FILES = frozenset(
    {
        "marketDataFile",
        "fixingDataFile",
        "curveConfigFile",
        "conventionsFile",
        "marketConfigFile",
        "pricingEnginesFile",
        "portfolioFile",
        "simulationConfigFile",
        "csaFile",
    }
)
_SINGLE_ROLES = ("setup", "portfolio", "netting", "market", "fixings", "simulation")


@dataclass(frozen=True)
class Setup:
    """What the runner needs of ore.xml; folders are relative to the engine's working directory."""

    path: str
    as_of: str
    output_path: str
    log_file: str


@dataclass(frozen=True)
class TradeRef:
    """A trade's envelope."""

    trade_id: str
    netting_set_id: str
    counterparty: str


@dataclass(frozen=True)
class Package:
    """A verified package: its bytes by path, and what its XML says about trades and netting sets."""

    parts: tuple[Part, ...]
    content: Mapping[str, bytes]
    setup: Setup
    setup_tree: "_Element"
    portfolio: "_Element"
    trades: tuple[TradeRef, ...]
    collateralised: Mapping[str, bool]
    rerun: "tuple[Setup, _Element] | None" = None
    """The set-up on half the samples, where error bars are asked for."""

    def path_of(self, role: str) -> str:
        return next(part.path for part in self.parts if part.role == role)

    def on_half_the_samples(self) -> "Package | None":
        """The same package under the set-up of the rerun; None when no error bars are asked for."""
        if self.rerun is None:
            return None
        setup, tree = self.rerun
        return replace(self, setup=setup, setup_tree=tree, rerun=None)


def load_package(root: Path, spec: ShardSpec) -> Package:
    """Verifies every part's size and hash and the shared input hash, then reads the XML.

    Raises BadInputError naming the file and what is wrong with it.
    """
    content = _verified(root, spec.parts)
    if (actual := shared_input_hash_of(spec.parts)) != spec.shared_input_hash:
        raise BadInputError(f"sharedInputHash of the parts is {actual}, the spec says {spec.shared_input_hash}")
    by_role = {role: [part.path for part in spec.parts if part.role == role] for role in _SINGLE_ROLES}
    for role, paths in by_role.items():
        if len(paths) != 1:
            raise BadInputError(f"the package has {len(paths)} parts of role {role}, one is needed")
    trees = {path: _parse(path, data) for path, data in content.items() if path.endswith(".xml")}
    for role in ("setup", "portfolio", "netting", "simulation"):
        if by_role[role][0] not in trees:
            raise BadInputError(f"{by_role[role][0]}: role {role} must be an .xml file")
    portfolio_path = by_role["portfolio"][0]
    package = Package(
        parts=tuple(spec.parts),
        content=content,
        setup=_read_setup(by_role["setup"][0], trees[by_role["setup"][0]], frozenset(content)),
        setup_tree=trees[by_role["setup"][0]],
        portfolio=trees[portfolio_path],
        trades=_read_trades(portfolio_path, trees[portfolio_path]),
        collateralised=_read_netting(by_role["netting"][0], trees[by_role["netting"][0]]),
        rerun=_read_rerun(spec.parts, trees, frozenset(content)),
    )
    known = {trade.netting_set_id for trade in package.trades}
    for set_id, count in Counter(spec.netting_sets).items():
        if set_id not in known:
            raise BadInputError(f"{portfolio_path}: no trade of netting set {set_id}, which the spec asks for")
        if count > 1:
            raise BadInputError(f"the spec names netting set {set_id} {count} times")
    _check_whole(package, spec, known)
    return package


def _check_whole(package: Package, spec: ShardSpec, known: set[str]) -> None:
    """A part of the book gives the numbers of the whole only under settings that let it."""
    if spec.trades:
        if len(spec.netting_sets) != 1:
            raise BadInputError(f"the spec names trades and {len(spec.netting_sets)} netting sets: one is needed")
        there = {trade.trade_id for trade in package.trades if trade.netting_set_id == spec.netting_sets[0]}
        for trade_id, count in Counter(spec.trades).items():
            if trade_id not in there:
                raise BadInputError(f"netting set {spec.netting_sets[0]} has no trade {trade_id}, which the spec names")
            if count > 1:
                raise BadInputError(f"the spec names trade {trade_id} {count} times")
    part = spec.trades or set(spec.netting_sets) != known
    for setup, tree in ((package.setup, package.setup_tree), *([package.rerun] if package.rerun else [])):
        if setup.as_of != package.setup.as_of:
            raise BadInputError(f"{setup.path}: asofDate is {setup.as_of}, that of {package.setup.path} is another")
        if part and (odd := not_separable(tree)):
            raise BadInputError(f"{setup.path}: {odd[0]}: the numbers of a part of the book would not be exact")


def lay_out(
    package: Package,
    directory: Path,
    netting_sets: Sequence[str],
    *,
    trades: Sequence[str] = (),
    setup: bytes | None = None,
) -> None:
    """Writes the engine's working directory: every part as it was verified, the portfolio cut to these netting sets.

    :param trades: to these trades of them, unless empty
    :param setup: instead of the package's own
    """
    for path, data in package.content.items():
        target = directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if path == package.path_of("portfolio"):
            target.write_bytes(cut_portfolio(package, netting_sets, trades))
        elif path == package.setup.path and setup is not None:
            target.write_bytes(setup)
        else:
            target.write_bytes(data)
    (directory / package.setup.output_path).mkdir(parents=True)


def cut_portfolio(package: Package, netting_sets: Sequence[str], trades: Sequence[str] = ()) -> bytes:
    """portfolio.xml with the trades of these netting sets alone (of them, these), in their order."""
    from lxml import etree  # noqa: PLC0415

    wanted, only = frozenset(netting_sets), frozenset(trades)
    root = etree.Element(package.portfolio.tag)
    for trade in package.portfolio.iterfind("Trade"):
        if _text(trade, "Envelope/NettingSetId") in wanted and (not only or trade.get("id") in only):
            copy = etree.fromstring(etree.tostring(trade, with_tail=False))
            copy.tail = "\n"
            root.append(copy)
    return bytes(etree.tostring(root, xml_declaration=True, encoding="utf-8"))


def _verified(root: Path, parts: Sequence[Part]) -> dict[str, bytes]:
    content: dict[str, bytes] = {}
    for part in parts:
        if part.path in content:
            raise BadInputError(f"{part.path}: the spec lists the file twice")
        try:
            data = (root / part.path).read_bytes()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise BadInputError(f"{part.path}: the file is missing") from None
        if len(data) != part.size:
            raise BadInputError(f"{part.path}: {len(data)} bytes, the spec says {part.size}")
        if (actual := hashlib.sha256(data).hexdigest()) != part.sha256:
            raise BadInputError(f"{part.path}: SHA-256 is {actual}, the spec says {part.sha256}")
        content[part.path] = data
    return content


def _parse(path: str, data: bytes) -> "_Element":
    from lxml import etree  # noqa: PLC0415

    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True)
    if b"<!DOCTYPE" in data:
        raise BadInputError(f"{path}: a DOCTYPE is not allowed")
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise BadInputError(f"{path}: not well-formed XML: {error.msg}") from None
    # Again on the tree: in an encoding that is no superset of ASCII the bytes above do not show it.
    if root.getroottree().docinfo.internalDTD is not None:
        raise BadInputError(f"{path}: a DOCTYPE is not allowed")
    return root


def _text(element: "_Element", path: str) -> str:
    return (element.findtext(path) or "").strip()


def _read_setup(path: str, root: "_Element", files: frozenset[str]) -> Setup:
    named = {str(p.get("name")): (p.text or "").strip() for p in root.iterfind("Setup/Parameter")}
    for name in ("asofDate", "inputPath", "outputPath"):
        if not named.get(name):
            raise BadInputError(f"{path}: Setup has no {name}")
    as_of = named["asofDate"]
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", as_of) is None:
        raise BadInputError(f"{path}: asofDate {as_of} is not of the form 2026-09-30")
    output, log_file = named["outputPath"], named.get("logFile", "log.txt")
    for name, value in (("outputPath", output), ("inputPath", named["inputPath"]), ("logFile", log_file)):
        if _PLAIN.fullmatch(value) is None:
            raise BadInputError(f"{path}: {name} {value} is not a plain relative path")
    if any(PurePosixPath(file).is_relative_to(output) for file in files):
        raise BadInputError(f"{path}: outputPath {output} holds input files")
    for parameter in root.iter("Parameter"):
        name, value = str(parameter.get("name")), (parameter.text or "").strip()
        if name in _INPUT_FILES and value and f"{named['inputPath']}/{value}" not in files:
            raise BadInputError(f"{path}: {name} names {named['inputPath']}/{value}, which is no part of the package")
    return Setup(path, as_of, output, log_file)


def _read_rerun(
    parts: Sequence[Part], trees: Mapping[str, "_Element"], files: frozenset[str]
) -> "tuple[Setup, _Element] | None":
    paths = [part.path for part in parts if part.role == "error-bar-setup"]
    if not paths:
        return None
    if len(paths) > 1 or paths[0] not in trees:
        raise BadInputError(f"{paths[0]}: role error-bar-setup must be one .xml file")
    return _read_setup(paths[0], trees[paths[0]], files), trees[paths[0]]


def _read_trades(path: str, root: "_Element") -> tuple[TradeRef, ...]:
    trades = []
    for trade in root.iterfind("Trade"):
        trade_id = str(trade.get("id") or "")
        set_id = _text(trade, "Envelope/NettingSetId")
        if not trade_id or not set_id:
            raise BadInputError(f"{path}: trade {trade_id or '(no id)'} has no {'NettingSetId' if trade_id else 'id'}")
        trades.append(TradeRef(trade_id, set_id, _text(trade, "Envelope/CounterParty")))
    return tuple(trades)


def _read_netting(path: str, root: "_Element") -> dict[str, bool]:
    flags: dict[str, bool] = {}
    for one in root.iterfind("NettingSet"):
        set_id = _text(one, "NettingSetId")
        if set_id in flags:
            raise BadInputError(f"{path}: netting set {set_id} is defined twice")
        flags[set_id] = _text(one, "ActiveCSAFlag").lower() in ("true", "y", "yes", "1")
    return flags


def is_plain_id(text: str) -> bool:
    """Ids reach the engine's file names unsanitised; a slash breaks report writing after the whole simulation."""
    return _ID.fullmatch(text) is not None
