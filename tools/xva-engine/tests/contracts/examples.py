"""One or more valid messages per contract, from which the schema tests make their mutants."""

from typing import Any

SHA = "0123456789abcdef" * 4
UUID = "3f2b8c1e-5a4d-4e6f-8a9b-0c1d2e3f4a5b"
EVENT = "0123456789abcdef0123456789abcdef"
RUN = "xva-20260930-rates-abcdefghijklmn"
KEY = {"book": "RATES", "asOf": "2026-09-30", "cut": "EOD", "scenario": "BASE", "revision": 1}
SETTINGS = {
    "baseCurrency": "EUR",
    "samples": 100,
    "seed": 42,
    "quantile": "0.95",
    "dvaName": "BANK",
    "strict": False,
    "priority": 0,
}
CSA = {
    "currency": "EUR",
    "index": "EUR-ESTER",
    "thresholdPay": "0",
    "thresholdReceive": "500000",
    "minimumTransferPay": "50000",
    "minimumTransferReceive": "50000",
    "independentAmountHeld": "0",
    "marginPeriodOfRisk": "2W",
    "callFrequency": "1D",
    "direction": "Bilateral",
    "spreadPay": "0.0",
    "spreadReceive": "-0.001",
}
FX_FORWARD = {
    "boughtCurrency": "EUR",
    "boughtAmount": "1000000.50",
    "soldCurrency": "USD",
    "soldAmount": "1100000",
    "valueDate": "2027-03-31",
}
RATE_SWAP = {
    "currency": "EUR",
    "notional": "1000000",
    "fixedLeg": "Pay",
    "fixedRate": "0.025",
    "fixedTenor": "1Y",
    "floatIndex": "EUR-EURIBOR-6M",
    "floatSpread": "0",
    "startDate": "2026-09-30",
    "maturityDate": "2031-09-30",
}
PART = {"path": "Input/ore.xml", "size": 10, "sha256": SHA, "role": "setup"}
WARNING = {"code": "matured-trade", "subject": "T1", "message": "gone"}
ENGINE = {
    "name": "ore",
    "version": "1.8.17.0",
    "runner": "0.1.0",
    "python": "3.11.2",
    "platform": "linux",
    "cpuModel": "x",
    "imageDigest": None,
}
REJECTION = {"nettingSetId": "NS1", "tradeId": None, "code": "not-finite", "message": "CVA is #N/A"}
TASK = {
    "schemaVersion": "1.0",
    "runId": RUN,
    "eventId": EVENT,
    "attempt": 1,
    "taskId": "shard-0001",
    "packageId": SHA,
    "sharedInputHash": SHA,
}
MEASURES = {"npv": 1.5, "cva": 1.0, "dva": 0.5, "fba": 2, "fca": 1, "fva": 1, "colva": None}

MANIFEST: dict[str, Any] = {
    "schemaVersion": "1.0",
    "eventId": EVENT,
    "requestKey": KEY,
    "asOf": "2026-09-30",
    "baseCurrency": "EUR",
    "samples": 100,
    "seed": 42,
    "quantile": "0.95",
    "gridDates": 12,
    "strict": False,
    "priority": 0,
    "generator": {"name": "xva-engine", "version": "0.1.0"},
    "engine": {"name": "ore", "version": "1.8.17.0"},
    "parts": [PART],
    "sharedInputHash": SHA,
    "nettingSets": [
        {
            "id": "NS1",
            "counterparty": "CP1",
            "collateralised": True,
            "trades": [{"tradeId": "T1", "tradeType": "FxForward", "costNanos": 4000}],
            "grossNotional": "1000000.5",
        }
    ],
    "refusedNettingSets": [{"id": "NS2", "tradeCount": 3, "grossNotional": None}],
    "refusals": [{"nettingSetId": "NS2", "tradeId": None, "code": "bad-terms", "subject": "T2", "message": "wrong"}],
    "warnings": [WARNING],
}
EXAMPLES: dict[str, list[dict[str, Any]]] = {
    "frozen-request": [
        {
            "schemaVersion": "1.0",
            "eventId": EVENT,
            "requestKey": KEY,
            "settings": SETTINGS,
            "nettingSets": [{"id": "NS1", "counterparty": "CP1", "csa": CSA}],
            "trades": [{"tradeId": "T1", "nettingSetId": "NS1", "tradeType": "FxForward", "terms": FX_FORWARD}],
            "quotes": [{"key": "FX/RATE/EUR/USD", "value": "1.1"}],
            "fixings": [{"index": "EUR-ESTER", "date": "2026-09-29", "value": "0.019"}],
        },
        {
            "schemaVersion": "1.0",
            "eventId": EVENT,
            "requestKey": KEY,
            "settings": {**SETTINGS, "grid": ["1W", "1M"]},
            "nettingSets": [{"id": "NS1", "counterparty": "CP1", "csa": None}],
            "trades": [],
            "quotes": [],
            "fixings": [],
        },
        {
            "schemaVersion": "1.0",
            "eventId": EVENT,
            "requestKey": KEY,
            "settings": {**SETTINGS, "errorBars": True},
            "nettingSets": [{"id": "NS1", "counterparty": "CP1", "csa": {"raw": "threshold: none"}}],
            "trades": [],
            "quotes": [],
            "fixings": [],
            "marketSnapshot": {"name": "EOD", "sha256": SHA},
            "creditProxies": [{"name": "CP1", "proxy": "CP2", "reason": "same sector"}],
            "whatIf": {
                "nettingSetId": "NS1",
                "addTrades": [{"tradeId": "T9", "tradeType": "FxForward", "terms": FX_FORWARD}],
                "removeTradeIds": ["T1"],
            },
        },
    ],
    "manifest": [
        MANIFEST,
        {
            **MANIFEST,
            "provenance": {
                "marketSnapshot": {"name": "EOD", "asOf": "2026-09-30", "sha256": SHA, "quotes": 5, "fixings": 0},
                "credit": [
                    {"name": "CP1", "curveOf": "CP2", "kind": "cds-spreads", "reason": "same sector"},
                ],
                "whatIf": {
                    "without": "NS1",
                    "with": "NS1.whatif",
                    "addedTradeIds": ["T9"],
                    "removedTradeIds": [],
                },
            },
        },
        {**MANIFEST, "provenance": {"marketSnapshot": None, "credit": [], "whatIf": None}},
    ],
    "task-spec": [
        {**TASK, "kind": "shard", "parts": [PART], "nettingSets": ["NS1"]},
        {
            **TASK,
            "taskId": "merge",
            "kind": "merge",
            "manifestPath": "manifest.json",
            "bundles": [
                {
                    "taskId": "shard-0001",
                    "attempt": 1,
                    "bundleId": UUID,
                    "path": "in/bundle.tar",
                    "sha256": SHA,
                    "nettingSets": ["NS1"],
                }
            ],
        },
    ],
    "task-progress": [
        {"schemaVersion": "1.0", "phase": "simulation", "done": 3, "total": 9, "updatedAt": "2026-09-30T18:00:00.123Z"}
    ],
    "task-report": [
        {
            "schemaVersion": "1.0",
            "runId": RUN,
            "attempt": 1,
            "taskId": "shard-0001",
            "exitCode": 0,
            "exitClass": "success",
            "message": "",
            "rejections": [REJECTION],
            "bundleId": UUID,
        }
    ],
    "bundle": [
        {
            **TASK,
            "bundleId": UUID,
            "kind": "shard",
            "nettingSets": ["NS1"],
            "rejections": [REJECTION],
            "warnings": [WARNING],
            "engine": ENGINE,
            "files": [{"path": "xva.parquet", "size": 1, "sha256": SHA, "rows": None}],
            "inputs": [{"taskId": "shard-0001", "bundleId": UUID, "sha256": SHA}],
            "timings": {"engine": 1.25, "total": 2},
        }
    ],
    "result-summary": [
        {
            "schemaVersion": "1.0",
            "runId": RUN,
            "eventId": EVENT,
            "requestKey": KEY,
            "packageId": SHA,
            "asOf": "2026-09-30",
            "currency": "EUR",
            "outcome": "partial",
            "samples": 100,
            "seed": 42,
            "quantile": "0.95",
            "gridDates": 12,
            "totals": MEASURES,
            "nettingSets": [
                {
                    **MEASURES,
                    "id": "NS1",
                    "counterparty": "CP1",
                    "collateralised": False,
                    "trades": 1,
                    "baselEpe": 1.5,
                    "baselEepe": 1.5,
                    "peakPfe": 2.5,
                    "errorBars": [
                        {"measure": "cva", "currency": "EUR", "standardError": 0.25, "halfSampleValue": 1.0},
                    ],
                },
                {
                    **MEASURES,
                    "id": "NS2",
                    "counterparty": "CP1",
                    "collateralised": False,
                    "trades": 1,
                    "baselEpe": 1.5,
                    "baselEepe": 1.5,
                    "peakPfe": 2.5,
                },
            ],
            "coverage": {
                "nettingSets": {"requested": 2, "published": 1},
                "trades": {"requested": 4, "published": 1},
                "grossNotional": {"requested": "2.5", "published": "1"},
                "absNpv": {"published": 1.5},
            },
            "rejections": [REJECTION],
            "warnings": [WARNING],
            "engine": ENGINE,
            "shards": [{"taskId": "shard-0001", "bundleId": UUID, "sha256": SHA}],
        }
    ],
    "problem": [{"type": "about:blank", "title": "t", "status": 422, "code": "x", "requestId": "r", "more": [1]}],
    "package-problem": [
        {
            "type": "about:blank",
            "title": "t",
            "status": 422,
            "code": "package-refused",
            "errors": [{"subject": "T1", "code": "bad-terms", "message": "m"}],
        }
    ],
    "trade-terms.RateSwap": [RATE_SWAP],
    "trade-terms.CrossCurrencySwap": [
        {
            "payCurrency": "EUR",
            "payNotional": "1",
            "payIndex": "EUR-ESTER",
            "paySpread": "-0.001",
            "receiveCurrency": "USD",
            "receiveNotional": "1.1",
            "receiveIndex": "USD-SOFR",
            "receiveSpread": "0",
            "startDate": "2026-09-30",
            "maturityDate": "2031-09-30",
        }
    ],
    "trade-terms.BasisSwap": [
        {
            "currency": "EUR",
            "notional": "1",
            "payIndex": "EUR-ESTER",
            "paySpread": "0.0012",
            "receiveIndex": "EUR-EURIBOR-6M",
            "receiveSpread": "0",
            "startDate": "2026-09-30",
            "maturityDate": "2031-09-30",
        }
    ],
    "trade-terms.FxSwap": [
        {
            "nearDate": "2026-10-02",
            "nearBoughtCurrency": "EUR",
            "nearBoughtAmount": "1",
            "nearSoldCurrency": "USD",
            "nearSoldAmount": "1.17",
            "farDate": "2027-10-04",
            "farBoughtAmount": "1.19",
            "farSoldAmount": "1",
        }
    ],
    "trade-terms.FxForward": [FX_FORWARD],
    "trade-terms.FxNdf": [
        {**FX_FORWARD, "settlementCurrency": "EUR", "fixingDate": "2027-03-29", "fxIndex": "FX-ECB-EUR-BRL"}
    ],
    "trade-terms.FxOption": [
        {
            "boughtCurrency": "EUR",
            "boughtAmount": "1",
            "soldCurrency": "USD",
            "soldAmount": "1.1",
            "optionType": "Call",
            "position": "Long",
            "expiryDate": "2027-09-30",
        }
    ],
    "trade-terms.Swaption": [{**RATE_SWAP, "position": "Short", "exerciseDate": "2026-09-28"}],
}
