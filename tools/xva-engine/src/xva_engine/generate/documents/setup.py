"""`ore.xml`: what is run on what. Paths are relative to the working directory, which holds `Input/` and an empty
`Output/`."""

import datetime

from xva_engine.contracts import RunSettings
from xva_engine.generate.documents.todays_market import CONFIGURATION
from xva_engine.generate.factors import Factors
from xva_engine.generate.needs import funding_curves
from xva_engine.generate.xml import Element, document, node, parameters

FILES = {
    "market": "market.txt",
    "fixings": "fixings.txt",
    "curve-config": "curveconfig.xml",
    "conventions": "conventions.xml",
    "todays-market": "todaysmarket.xml",
    "pricing-engine": "pricingengine.xml",
    "simulation": "simulation.xml",
    "netting": "netting.xml",
    "portfolio": "portfolio.xml",
    "setup": "ore.xml",
    "error-bar-setup": "error-bar-ore.xml",
    "error-bar-simulation": "error-bar-simulation.xml",
}
"""File names by the role of the part."""

INPUT_FOLDER = "Input"
_CONTEXTS = ("lgmcalibration", "fxcalibration", "eqcalibration", "pricing", "simulation", "sensitivity")


def setup(
    as_of: datetime.date, factors: Factors, settings: RunSettings, simulation_file: str = FILES["simulation"]
) -> bytes:
    """The document."""
    return document(
        node(
            "ORE",
            node("Setup", *_setup(as_of)),
            node("Markets", *parameters((context, CONFIGURATION) for context in _CONTEXTS)),
            node("Analytics", _npv(factors), _simulation(factors, simulation_file), _xva(factors, settings)),
        )
    )


def _setup(as_of: datetime.date) -> list[Element]:
    return parameters(
        [
            ("asofDate", as_of.isoformat()),
            ("inputPath", INPUT_FOLDER),
            ("outputPath", "Output"),
            ("logFile", "log.txt"),
            ("logMask", "31"),
            ("marketDataFile", FILES["market"]),
            ("fixingDataFile", FILES["fixings"]),
            ("implyTodaysFixings", "Y"),
            ("curveConfigFile", FILES["curve-config"]),
            ("conventionsFile", FILES["conventions"]),
            ("marketConfigFile", FILES["todays-market"]),
            ("pricingEnginesFile", FILES["pricing-engine"]),
            ("portfolioFile", FILES["portfolio"]),
            ("observationModel", "Disable"),
            ("continueOnError", "false"),
            ("nThreads", "1"),
        ]
    )


def _analytic(kind: str, values: list[tuple[str, str]]) -> Element:
    return node("Analytic", *parameters([("active", "Y"), *values]), type=kind)


def _npv(factors: Factors) -> Element:
    return _analytic("npv", [("baseCurrency", factors.base), ("outputFileName", "npv.csv")])


def _simulation(factors: Factors, simulation_file: str) -> Element:
    return _analytic(
        "simulation",
        [
            ("simulationConfigFile", simulation_file),
            ("pricingEnginesFile", FILES["pricing-engine"]),
            ("baseCurrency", factors.base),
        ],
    )


def _xva(factors: Factors, settings: RunSettings) -> Element:
    lending, borrowing = funding_curves(factors.catalogue, factors.own_name)
    return _analytic(
        "xva",
        [
            ("csaFile", FILES["netting"]),
            ("baseCurrency", factors.base),
            ("exposureProfiles", "Y"),
            ("exposureProfilesByTrade", "Y"),
            ("quantile", settings.quantile),
            ("calculationType", "Symmetric"),
            ("allocationMethod", "None"),
            ("marginalAllocationLimit", "1.0"),
            ("exerciseNextBreak", "N"),
            ("cva", "Y"),
            ("dva", "Y"),
            ("dvaName", factors.own_name),
            ("fva", "Y"),
            ("fvaBorrowingCurve", borrowing),
            ("fvaLendingCurve", lending),
            ("colva", "Y"),
            ("collateralFloor", "N"),
            ("dim", "N"),
        ],
    )
