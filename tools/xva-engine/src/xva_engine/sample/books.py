"""The two books: netting sets, trades and settings."""

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from xva_engine.contracts import canonical_hash
from xva_engine.sample.market import AS_OF, OWN_NAME, fixings, quotes
from xva_engine.sample.trades import demo_trades, small_trades

_CSA = {
    "currency": "EUR",
    "index": "EUR-ESTER",
    "thresholdPay": "0",
    "thresholdReceive": "0",
    "minimumTransferPay": "100000",
    "minimumTransferReceive": "100000",
    "independentAmountHeld": "0",
    "marginPeriodOfRisk": "2W",
    "callFrequency": "1D",
    "direction": "Bilateral",
    "spreadPay": "0.0",
    "spreadReceive": "0.0",
}
_NETTING_SETS: list[dict[str, Any]] = [
    {"id": "NS_ALDER", "counterparty": "ALDER_ENERGY", "csa": None},
    {"id": "NS_BALTIC", "counterparty": "BALTIC_FREIGHT", "csa": None},
    {"id": "NS_CARIOCA", "counterparty": "CARIOCA_FOODS", "csa": None},
    {"id": "NS_DANUBE", "counterparty": "DANUBE_STEEL", "csa": None},
    {
        "id": "NS_ELBE",
        "counterparty": "ELBE_CHEMICALS",
        "csa": {
            **_CSA,
            "thresholdPay": "500000",
            "thresholdReceive": "250000",
            "minimumTransferPay": "50000",
            "minimumTransferReceive": "50000",
            "spreadReceive": "-0.0005",
        },
    },
    {"id": "NS_FJORD", "counterparty": "FJORD_PENSION", "csa": _CSA},
]


@dataclass(frozen=True)
class SampleBook:
    """A book's name, how finely it is simulated, and its trades."""

    name: str
    samples: int
    grid: tuple[str, ...]
    trades: list[dict[str, Any]]


BOOKS: dict[str, SampleBook] = {
    "demo": SampleBook("DEMO", 2000, (), demo_trades()),
    "small": SampleBook("SMALL", 50, ("1W", "1M", "3M", "6M", "1Y", "2Y", "3Y", "5Y", "7Y"), small_trades()),
}


def _key(book: SampleBook, revision: int) -> dict[str, Any]:
    return {"book": book.name, "asOf": AS_OF.isoformat(), "cut": "EOD", "scenario": "BASE", "revision": revision}


def _settings(book: SampleBook) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "baseCurrency": "EUR",
        "samples": book.samples,
        "seed": 42,
        "quantile": "0.95",
        "dvaName": OWN_NAME,
        "strict": False,
        "priority": 0,
    }
    return {**settings, "grid": list(book.grid)} if book.grid else settings


def frozen_request(book: str, revision: int = 1) -> dict[str, Any]:
    """The book as the integrator would freeze it."""
    found = BOOKS[book]
    key = _key(found, revision)
    identity = {name: value for name, value in key.items() if name != "revision"}
    return {
        "schemaVersion": "1.0",
        "eventId": canonical_hash(["sample", identity, str(revision)])[:32],
        "requestKey": key,
        "settings": _settings(found),
        "nettingSets": deepcopy(_NETTING_SETS),
        "trades": deepcopy(found.trades),
        "quotes": [{"key": name, "value": value} for name, value in quotes().items()],
        "fixings": [{"index": index, "date": day, "value": value} for index, day, value in fixings()],
    }


def rows(book: str, revision: int = 1) -> dict[str, list[dict[str, Any]]]:
    """The book as rows for a database: each member of the result is one table."""
    request = frozen_request(book, revision)
    key = request["requestKey"]
    owner = {"book": key["book"], "asOf": key["asOf"]}
    snapshot = {"asOf": key["asOf"], "cut": key["cut"], "scenario": key["scenario"]}
    return {
        "requests": [{**key, **request["settings"]}],
        "nettingSets": [{**owner, **item} for item in request["nettingSets"]],
        "trades": [{**owner, **item} for item in request["trades"]],
        "quotes": [{**snapshot, **item} for item in request["quotes"]],
        "fixings": request["fixings"],
    }
