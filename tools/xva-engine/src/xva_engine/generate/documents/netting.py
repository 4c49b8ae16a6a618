"""`netting.xml`: netting sets and their CSAs."""

from collections.abc import Iterable
from dataclasses import dataclass

from xva_engine.contracts import Csa
from xva_engine.generate.xml import Element, document, leaves, node


@dataclass(frozen=True)
class BookedSet:
    """A netting set that goes into the package; without a CSA its exposure is not collateralised."""

    id: str
    counterparty: str
    csa: Csa | None


def netting(netting_sets: Iterable[BookedSet]) -> bytes:
    """The document, sorted by id."""
    ordered = sorted(netting_sets, key=lambda item: item.id)
    return document(node("NettingSetDefinitions", *(_netting_set(item) for item in ordered)))


def _netting_set(item: BookedSet) -> Element:
    flag = "true" if item.csa is not None else "false"
    details = _csa(item.csa) if item.csa is not None else None
    return node("NettingSet", *leaves(NettingSetId=item.id, ActiveCSAFlag=flag), details)


def _csa(csa: Csa) -> Element:
    independent = leaves(IndependentAmountHeld=csa.independent_amount_held, IndependentAmountType="FIXED")
    return node(
        "CSADetails",
        *leaves(
            Bilateral=csa.direction,
            CSACurrency=csa.currency,
            Index=csa.index,
            ThresholdPay=csa.threshold_pay,
            ThresholdReceive=csa.threshold_receive,
            MinimumTransferAmountPay=csa.minimum_transfer_pay,
            MinimumTransferAmountReceive=csa.minimum_transfer_receive,
        ),
        node("IndependentAmount", *independent),
        node("MarginingFrequency", *leaves(CallFrequency=csa.call_frequency, PostFrequency=csa.call_frequency)),
        *leaves(
            MarginPeriodOfRisk=csa.margin_period_of_risk,
            CollateralCompoundingSpreadReceive=csa.spread_receive,
            CollateralCompoundingSpreadPay=csa.spread_pay,
        ),
        node("EligibleCollaterals", node("Currencies", node("Currency", csa.currency))),
    )
