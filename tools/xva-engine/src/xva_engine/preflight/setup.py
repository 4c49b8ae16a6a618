"""Checks of `ore.xml`: what is run, on which day, with which files."""

import datetime
from dataclasses import dataclass

from xva_engine.generate.dates import FIRST_DAY, LAST_DAY, is_business_day
from xva_engine.preflight.reading import Folder, Found, parameters_of

PATH = "Input/ore.xml"
KNOWN_ANALYTICS = frozenset(
    [
        "npv",
        "cashflow",
        "curves",
        "simulation",
        "xva",
        "pfe",
        "xvaSensitivity",
        "xvaStress",
        "xvaExplain",
        "sacva",
        "saccr",
        "bacva",
        "simm",
        "sensitivity",
        "stress",
        "portfolioDetails",
        "parametricVar",
        "pnl",
        "pnlExplain",
        "correlation",
        "calibration",
    ]
)
"""The engine ignores any other name without a word."""
_FILES = (
    "marketDataFile",
    "fixingDataFile",
    "curveConfigFile",
    "conventionsFile",
    "marketConfigFile",
    "pricingEnginesFile",
    "portfolioFile",
)


@dataclass(frozen=True)
class Setup:
    """Paths by the name of the parameter that gives them, and what the other files are checked against."""

    as_of: datetime.date | None
    paths: dict[str, str]
    base_currency: str
    own_name: str
    funding_curves: tuple[str, ...]
    contexts: dict[str, str]


def read_setup(folder: Folder, found: Found) -> Setup | None:
    """None if there is no readable `ore.xml`."""
    root = folder.root(PATH)
    if root is None:
        return None
    general = parameters_of(root.find("Setup"))
    analytics = {item.get("type", ""): parameters_of(item) for item in root.iterfind("Analytics/Analytic")}
    for name in sorted(set(analytics) - KNOWN_ANALYTICS):
        found.refuse(
            "unknown-analytic", name or "Analytic", f"{PATH}: the analytic {name!r} is not known to the engine"
        )
    for name in ("npv", "simulation", "xva"):
        if analytics.get(name, {}).get("active") != "Y":
            found.refuse("missing-analytic", name, f"{PATH}: the analytic {name} is not active: its reports would miss")
    folder_name = general.get("inputPath", "Input")
    paths = {name: f"{folder_name}/{general[name]}" for name in _FILES if general.get(name)}
    for name in sorted(set(_FILES) - set(paths)):
        found.refuse("missing-file", name, f"{PATH}: {name} is not given")
    simulation, xva = analytics.get("simulation", {}), analytics.get("xva", {})
    for owner, name in ((simulation, "simulationConfigFile"), (xva, "csaFile")):
        if owner.get(name):
            paths[name] = f"{folder_name}/{owner[name]}"
    return Setup(
        as_of=_as_of(found, general.get("asofDate", "")),
        paths=paths,
        base_currency=xva.get("baseCurrency", ""),
        own_name=xva.get("dvaName", ""),
        funding_curves=tuple(xva[name] for name in ("fvaBorrowingCurve", "fvaLendingCurve") if xva.get(name)),
        contexts=parameters_of(root.find("Markets")),
    )


def _as_of(found: Found, text: str) -> datetime.date | None:
    try:
        day = datetime.date.fromisoformat(text)
    except ValueError:
        found.refuse("bad-as-of", "asofDate", f"{PATH}: asofDate is {text!r}, not a date such as 2026-09-30")
        return None
    if not FIRST_DAY <= day <= LAST_DAY:
        found.refuse("bad-as-of", "asofDate", f"{PATH}: asofDate {day} is not between {FIRST_DAY} and {LAST_DAY}")
        return None
    if not is_business_day("WeekendsOnly", day):
        found.refuse("as-of-not-business-day", str(day), f"{PATH}: asofDate {day} is a {day:%A}")
    return day
