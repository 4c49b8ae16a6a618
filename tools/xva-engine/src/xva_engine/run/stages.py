"""The set-up of the two stages by which one netting set is simulated in pieces: `ore.xml` with other switches."""

from typing import TYPE_CHECKING

from xva_engine.run.cube import CUBE_FILE, SCENARIO_FILE
from xva_engine.run.errors import BadInputError

if TYPE_CHECKING:
    from lxml.etree import _Element

_ON = frozenset({"y", "yes", "true", "1"})
_EXACT = frozenset({"npv", "cashflow", "curves", "simulation", "xva", "portfolioDetails"})
_PORTFOLIO_WIDE = ("dim", "mva", "dynamicCredit", "kva")


def simulation_only(setup: "_Element") -> bytes:
    """Simulate and write the cube; no value adjustments."""
    _switch(setup, "simulation", {"cubeFile": CUBE_FILE, "aggregationScenarioDataFileName": SCENARIO_FILE})
    _switch(setup, "xva", {"active": "N"})
    return _written(setup)


def from_cube(setup: "_Element") -> bytes:
    """Value adjustments from a cube that lies in the output folder. The simulation stays there, switched off: it names
    simulation.xml, without which the engine stops at an assertion."""
    _switch(setup, "simulation", {"active": "N"})
    _switch(setup, "xva", {"active": "Y", "cubeFile": CUBE_FILE, "scenarioFile": SCENARIO_FILE})
    return _written(setup)


def not_separable(setup: "_Element") -> list[str]:
    """Settings under which the numbers of one netting set depend on the others in its run, each with what is wrong."""
    found = []
    for analytic in setup.iter("Analytic"):
        kind = str(analytic.get("type"))
        values = {str(p.get("name")): (p.text or "").strip() for p in analytic.iterfind("Parameter")}
        if values.get("active", "").lower() not in _ON:
            continue
        if kind not in _EXACT:
            found.append(f"analytic {kind} is of the whole portfolio")
        found += [f"{kind}/{name} is on" for name in _PORTFOLIO_WIDE if values.get(name, "").lower() in _ON]
        if kind == "xva" and values.get("allocationMethod", "None") != "None":
            found.append(f"xva/allocationMethod is {values['allocationMethod']}, not None")
    return found


def _switch(setup: "_Element", kind: str, values: dict[str, str]) -> None:
    from lxml import etree  # noqa: PLC0415

    analytic = next((one for one in setup.iter("Analytic") if one.get("type") == kind), None)
    if analytic is None:
        raise BadInputError(f"the set-up has no analytic {kind}: a netting set can not be run by trade")
    for name, value in values.items():
        found = next((one for one in analytic.iterfind("Parameter") if one.get("name") == name), None)
        if found is None:
            found = etree.SubElement(analytic, "Parameter", name=name)
        found.text = value


def _written(setup: "_Element") -> bytes:
    from lxml import etree  # noqa: PLC0415

    return bytes(etree.tostring(setup, xml_declaration=True, encoding="utf-8"))
