"""A whole package checked: every defect class of the engine's that shows nowhere, or only in its log."""

from collections.abc import Mapping
from dataclasses import dataclass

from xva_engine.generate.defects import Defect
from xva_engine.preflight.markets import Market
from xva_engine.preflight.portfolio import Portfolio, check_netting_sets
from xva_engine.preflight.reading import Folder, Found
from xva_engine.preflight.setup import read_setup
from xva_engine.preflight.values import check_market_dates, read_values


@dataclass(frozen=True)
class Report:
    """A package without errors may run; warnings are for the reader of the numbers."""

    errors: list[Defect]
    warnings: list[Defect]


def preflight(files: Mapping[str, bytes]) -> Report:
    """Looks at everything, however much is wrong. `files` are by path, as the manifest names them (`Input/ore.xml`)."""
    found = Found()
    folder = Folder(files, found)
    setup = read_setup(folder, found)
    if setup is not None:
        market = Market(folder, setup, found)
        market_path, fixing_path = setup.paths.get("marketDataFile", ""), setup.paths.get("fixingDataFile", "")
        values = read_values(folder, found, market_path, "quote") if market_path else {}
        fixings = read_values(folder, found, fixing_path, "fixing") if fixing_path else {}
        if setup.as_of is not None and values:
            market.check(check_market_dates(found, market_path, values, setup.as_of))
        elif setup.as_of is not None and market_path in files:
            found.refuse(
                "wrong-market-date", market_path, f"{market_path} has no quote of the as-of date {setup.as_of}"
            )
        netting_sets = check_netting_sets(folder, setup, market, found)
        Portfolio(folder, setup, market, found).check(netting_sets, fixings)
    return Report(sorted(found.errors), sorted(found.warnings))
