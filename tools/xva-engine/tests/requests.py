"""Frozen requests for tests, made from the small sample book."""

import json
from typing import Any

from xva_engine.contracts import FrozenRequest
from xva_engine.generate.package import Package, PackageRefusedError, generate
from xva_engine.generate.request import parse_request
from xva_engine.sample import frozen_request

SWAP = {
    "currency": "EUR",
    "notional": "10000000",
    "fixedLeg": "Pay",
    "fixedRate": "0.0231",
    "fixedTenor": "1Y",
    "floatIndex": "EUR-EURIBOR-6M",
    "floatSpread": "0",
    "startDate": "2026-10-02",
    "maturityDate": "2031-10-02",
}
USD_SWAP = {**SWAP, "currency": "USD", "floatIndex": "USD-SOFR", "fixedRate": "0.0346"}
GBP_SWAP = {**SWAP, "currency": "GBP", "floatIndex": "GBP-SONIA", "fixedRate": "0.0361", "startDate": "2026-09-30"}
PRE_CDI = {
    **SWAP,
    "currency": "BRL",
    "notional": "60000000",
    "floatIndex": "BRL-CDI",
    "fixedRate": "0.1275",
    "fixedTenor": "3Y",
    "startDate": "2026-10-01",
    "maturityDate": "2029-01-02",
}
SWAPTION = {
    **SWAP,
    "startDate": "2027-10-04",
    "maturityDate": "2032-10-04",
    "exerciseDate": "2027-09-30",
    "position": "Long",
}
FORWARD = {
    "boughtCurrency": "EUR",
    "boughtAmount": "1000000",
    "soldCurrency": "USD",
    "soldAmount": "1180000",
    "valueDate": "2028-03-15",
}
REAL_FORWARD = {**FORWARD, "soldCurrency": "BRL", "soldAmount": "7000000"}
NDF = {**REAL_FORWARD, "settlementCurrency": "EUR", "fixingDate": "2028-03-13", "fxIndex": "FX-ECB-EUR-BRL"}
OPTION = {
    "boughtCurrency": "EUR",
    "boughtAmount": "1000000",
    "soldCurrency": "USD",
    "soldAmount": "1180000",
    "optionType": "Call",
    "position": "Long",
    "expiryDate": "2027-09-30",
}
CROSS = {
    "payCurrency": "EUR",
    "payNotional": "10000000",
    "payIndex": "EUR-EURIBOR-6M",
    "paySpread": "0.001",
    "receiveCurrency": "USD",
    "receiveNotional": "11725000",
    "receiveIndex": "USD-SOFR",
    "receiveSpread": "-0.0005",
    "startDate": "2026-10-05",
    "maturityDate": "2031-10-06",
}

BASIS = {
    "currency": "EUR",
    "notional": "10000000",
    "payIndex": "EUR-EURIBOR-6M",
    "paySpread": "0",
    "receiveIndex": "EUR-ESTER",
    "receiveSpread": "0.0008",
    "startDate": "2026-10-02",
    "maturityDate": "2031-10-02",
}
FX_SWAP = {
    "nearDate": "2026-10-05",
    "nearBoughtCurrency": "EUR",
    "nearBoughtAmount": "1000000",
    "nearSoldCurrency": "USD",
    "nearSoldAmount": "1172500",
    "farDate": "2027-10-05",
    "farBoughtAmount": "1202000",
    "farSoldAmount": "1000000",
}

Message = dict[str, Any]


def trade(trade_id: str, trade_type: str, terms: Message, netting_set: str = "NS_ALDER") -> Message:
    """One trade."""
    return {"tradeId": trade_id, "nettingSetId": netting_set, "tradeType": trade_type, "terms": terms}


def message(*trades: Message, **settings: object) -> Message:
    """The small book's request with these trades in place of its own (if any are given) and these settings."""
    request = frozen_request("small")
    if trades:
        request["trades"] = list(trades)
    request["settings"] = {**request["settings"], **settings}
    return request


def parsed(request: Message) -> FrozenRequest:
    """The request as the generator reads it."""
    return parse_request(json.dumps(request).encode())


def package(request: Message) -> Package:
    """Its package."""
    return generate(parsed(request))


def refusal(request: Message) -> dict[tuple[str, str], str]:
    """Messages by code and subject of a request that gives no package; several about one thing are joined."""
    try:
        generate(parsed(request))
    except PackageRefusedError as error:
        found: dict[tuple[str, str], str] = {}
        for item in error.errors:
            key = (item.code, item.subject)
            found[key] = f"{found[key]}; {item.message}" if key in found else item.message
        return found
    raise AssertionError("the request was packaged")
