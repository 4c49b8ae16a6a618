"""Checks of netting sets and their CSAs."""

import re
from collections import Counter
from decimal import Decimal

from pydantic import ValidationError

from xva_engine.contracts import Csa, NettingSet, RawCsa
from xva_engine.data import Catalogue
from xva_engine.generate.defects import Findings, sentence_of
from xva_engine.generate.documents.netting import BookedSet

_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)


def is_id(text: str) -> bool:
    """Whether the text may name files, XML elements and CSV cells."""
    return _ID.fullmatch(text) is not None and text not in (".", "..")


def review_netting_sets(
    catalogue: Catalogue, netting_sets: list[NettingSet], findings: Findings
) -> dict[str, BookedSet]:
    """The netting sets by id, each once; whatever is wrong with one is noted.

    One whose CSA cannot be read is refused; that it has none here must never be taken for a netting set without one.
    """
    counts = Counter(item.id for item in netting_sets)
    found: dict[str, BookedSet] = {}
    for item in sorted(netting_sets, key=lambda entry: (entry.id, entry.model_dump_json())):
        if item.id in found:
            continue
        found[item.id] = BookedSet(item.id, item.counterparty, item.csa if isinstance(item.csa, Csa) else None)
        if not is_id(item.id):
            findings.refuse_set(item.id, "bad-netting-set-id", item.id, f"netting set id {item.id!r} {_RULE}")
        if counts[item.id] > 1:
            message = f"netting set {item.id} is defined {counts[item.id]} times"
            findings.refuse_set(item.id, "duplicate-netting-set", item.id, message)
        if not is_id(item.counterparty):
            message = f"counterparty {item.counterparty!r} of netting set {item.id} {_RULE}"
            findings.refuse_set(item.id, "bad-counterparty-id", item.counterparty, message)
        if item.csa is not None:
            faults = _csa_faults(catalogue, item.csa) if isinstance(item.csa, Csa) else _raw_faults(item.csa)
            for member, problem in faults:
                message = f"CSA of netting set {item.id}: {member} {problem}".replace(":  ", ": ")
                findings.refuse_set(item.id, "bad-csa", ".".join(filter(None, (item.id, "csa", member))), message)
    return found


_RULE = "must be 1 to 64 of A-Z a-z 0-9 _ . -"


def _raw_faults(csa: RawCsa) -> list[tuple[str, str]]:
    """Why a CSA that came as text is none."""
    try:
        Csa.model_validate_json(csa.raw)
    except ValidationError as error:
        return [
            (".".join(str(step) for step in fault["loc"]), sentence_of(fault["type"], fault["msg"], fault["input"]))
            for fault in error.errors(include_url=False, include_context=False)
        ]
    return [("", "came as text, although it reads as a CSA")]


def _csa_faults(catalogue: Catalogue, csa: Csa) -> list[tuple[str, str]]:
    faults = []
    if csa.currency not in catalogue.currencies:
        faults.append(("currency", f"{csa.currency} is not known"))
    elif not catalogue.currencies[csa.currency].model.calibrated:
        faults.append(("currency", f"{csa.currency} is not supported"))
    index = catalogue.indices.get(csa.index)
    if index is None:
        faults.append(("index", f"{csa.index} is not known"))
    elif not index[1].overnight:
        faults.append(("index", f"{csa.index} is no overnight index"))
    elif index[0].code != csa.currency:
        faults.append(("index", f"{csa.index} is not in {csa.currency}"))
    amounts = {
        "thresholdPay": csa.threshold_pay,
        "thresholdReceive": csa.threshold_receive,
        "minimumTransferPay": csa.minimum_transfer_pay,
        "minimumTransferReceive": csa.minimum_transfer_receive,
    }
    faults += [(member, f"is negative: {text}") for member, text in amounts.items() if Decimal(text) < 0]
    faults += [
        (member, f"is longer than 3 months: {text}")
        for member, text in (("marginPeriodOfRisk", csa.margin_period_of_risk), ("callFrequency", csa.call_frequency))
        if int(text[:-1]) * {"D": 1, "W": 7, "M": 30, "Y": 365}[text[-1]] > 92
    ]
    faults += [
        (member, f"is no plausible rate: {text}")
        for member, text in (("spreadPay", csa.spread_pay), ("spreadReceive", csa.spread_receive))
        if abs(Decimal(text)) > Decimal("0.5")
    ]
    return faults
