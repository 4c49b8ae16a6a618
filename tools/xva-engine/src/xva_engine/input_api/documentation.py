"""What the OpenAPI document says: schemas are the contracts', examples are small and whole."""

from typing import Any

from xva_engine.contracts import FrozenRequest, Manifest, PackageProblem, Problem
from xva_engine.contracts.base import Contract
from xva_engine.generate.snapshots import SnapshotContent

DESCRIPTION = (
    "Turns a frozen request into an input package for Open Source Risk Engine: a manifest, and parts that are named by "
    "their content. The same request gives the same bytes, in whatever order its lists come. A request with anything "
    "wrong gets every defect at once."
)
_SHA = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_KEY = {"book": "RATES", "asOf": "2026-09-30", "cut": "EOD", "scenario": "BASE", "revision": 1}
# FastAPI drops members that are null from the document, so the examples have none.
_CSA = {
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
    "spreadPay": "0",
    "spreadReceive": "0",
}
REQUEST_EXAMPLE: dict[str, Any] = {
    "schemaVersion": "1.0",
    "eventId": "0123456789abcdef0123456789abcdef",
    "requestKey": _KEY,
    "settings": {
        "baseCurrency": "EUR",
        "samples": 1000,
        "seed": 42,
        "quantile": "0.95",
        "dvaName": "LAB_BANK",
        "strict": False,
        "priority": 0,
    },
    "nettingSets": [{"id": "NS_ALDER", "counterparty": "ALDER_ENERGY", "csa": _CSA}],
    "trades": [
        {
            "tradeId": "FXF_0001",
            "nettingSetId": "NS_ALDER",
            "tradeType": "FxForward",
            "terms": {
                "boughtCurrency": "EUR",
                "boughtAmount": "1000000.00",
                "soldCurrency": "USD",
                "soldAmount": "1180000.00",
                "valueDate": "2027-09-30",
            },
        }
    ],
    "quotes": [{"key": "FX/RATE/EUR/USD", "value": "1.1725"}],
    "fixings": [],
}
MANIFEST_EXAMPLE: dict[str, Any] = {
    "schemaVersion": "1.0",
    "eventId": "0123456789abcdef0123456789abcdef",
    "requestKey": _KEY,
    "asOf": "2026-09-30",
    "baseCurrency": "EUR",
    "samples": 1000,
    "seed": 42,
    "quantile": "0.95",
    "gridDates": 10,
    "strict": False,
    "priority": 0,
    "generator": {"name": "xva-engine", "version": "0.1.0"},
    "engine": {"name": "open-source-risk-engine", "version": "1.8.17.0"},
    "parts": [{"path": "Input/ore.xml", "size": 2922, "sha256": _SHA, "role": "setup"}],
    "sharedInputHash": _SHA,
    "nettingSets": [
        {
            "id": "NS_ALDER",
            "counterparty": "ALDER_ENERGY",
            "collateralised": True,
            "trades": [{"tradeId": "FXF_0001", "tradeType": "FxForward", "costNanos": 4000}],
            "grossNotional": "1006396.59",
        }
    ],
    "refusedNettingSets": [],
    "refusals": [],
    "warnings": [],
}
PROBLEM_EXAMPLE: dict[str, Any] = {
    "type": "urn:xva-lab:problem:package-refused",
    "title": "The request cannot be packaged",
    "status": 422,
    "code": "package-refused",
    "detail": "1 defects",
    "requestId": "5b0ff0b6-43f2-4b0b-9d0f-3f0f4c8f8f6e",
    "errors": [
        {
            "subject": "FX/RATE/EUR/USD",
            "code": "missing-quote",
            "message": "quote FX/RATE/EUR/USD is missing, which currency USD needs",
        }
    ],
}


def _schema(model: type[Contract]) -> dict[str, Any]:
    """The model's schema with its definitions inside, so that it stands wherever it is put."""
    schema: dict[str, Any] = _resolve(model.model_json_schema(by_alias=True), {})
    return schema


def _resolve(value: Any, definitions: dict[str, Any]) -> Any:  # noqa: ANN401
    if isinstance(value, dict):
        known = {**definitions, **value.get("$defs", {})}
        if "$ref" in value:
            name = value["$ref"].rsplit("/", 1)[-1]
            return {} if name == "JsonValue" else _resolve(known[name], known)
        return {key: _resolve(item, known) for key, item in value.items() if key != "$defs"}
    return [_resolve(item, definitions) for item in value] if isinstance(value, list) else value


def _problem(
    description: str, model: type[Contract] = Problem, example: dict[str, Any] | None = None
) -> dict[str, Any]:
    media: dict[str, Any] = {"schema": _schema(model)}
    if example is not None:
        media["example"] = example
    return {"description": description, "content": {"application/problem+json": media}}


SNAPSHOT_EXAMPLE: dict[str, Any] = {
    "quotes": [{"key": "FX/RATE/EUR/USD", "value": "1.1725"}],
    "fixings": [{"index": "EUR-ESTER", "date": "2026-09-29", "value": "0.01801"}],
}
_DESCRIBED_EXAMPLE = {"name": "EOD", "asOf": "2026-09-30", "sha256": _SHA, "quotes": 1, "fixings": 1}
_TEXT = {"type": "string"}
_DESCRIBED_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["name", "asOf", "sha256", "quotes", "fixings"],
    "properties": {
        "name": _TEXT,
        "asOf": _TEXT,
        "sha256": _TEXT,
        "quotes": {"type": "integer"},
        "fixings": {"type": "integer"},
    },
}
_KEY_PARAMETER = {"name": "x-api-key", "in": "header", "required": True, "schema": {"type": "string"}}
COMMON_RESPONSES: dict[int | str, dict[str, Any]] = {
    401: _problem("The API key is missing or wrong (`unauthorized`)."),
    500: _problem("An unexpected error (`internal`); the log of the request id tells more."),
}
CREATE_PACKAGE: dict[str, Any] = {
    "summary": "Generate the package of a frozen request",
    "description": "Answers the manifest in canonical form: its SHA-256 is the package id, and the ETag.",
    "operation_id": "createPackage",
    "responses": {
        200: {
            "description": "The manifest.",
            "content": {"application/json": {"schema": _schema(Manifest), "example": MANIFEST_EXAMPLE}},
        },
        408: _problem("The body came too slowly (`body-too-slow`)."),
        413: _problem(
            "The body is too big (`request-too-big`), or holds more than one package may (`too-many-trades`, "
            "`too-many-values`, `too-much-memory`): split the book."
        ),
        415: _problem("Only plain bodies are taken (`unsupported-encoding`)."),
        422: _problem("The request gives no package (`package-refused`).", PackageProblem, PROBLEM_EXAMPLE),
        503: _problem("Try again after `Retry-After` (`busy`, `generator-died`)."),
        504: _problem("The package took longer than it may (`too-slow`)."),
    },
    "openapi_extra": {
        "parameters": [_KEY_PARAMETER],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _schema(FrozenRequest), "example": REQUEST_EXAMPLE}},
        },
    },
}
GET_OBJECT: dict[str, Any] = {
    "summary": "One part of a package",
    "description": "The bytes of a part of a package that was posted before. Parts are cached, not kept for ever.",
    "operation_id": "getObject",
    "responses": {
        200: {
            "description": "The part's bytes.",
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        },
        304: {"description": "The caller has it already (`If-None-Match`)."},
        404: _problem(
            "Not there. `package-not-cached`, `object-not-cached`: post the request again. `object-not-in-package`: "
            "the manifest does not name it."
        ),
    },
    "openapi_extra": {"parameters": [_KEY_PARAMETER]},
}
_DESCRIBED = {"application/json": {"schema": _DESCRIBED_SCHEMA, "example": _DESCRIBED_EXAMPLE}}
_BAD_NAME = _problem("The name or the as-of date is none (`bad-snapshot-name`, `bad-as-of`).")
PUT_SNAPSHOT: dict[str, Any] = {
    "summary": "Upload a market snapshot",
    "description": (
        "Quotes and fixings that requests of that as-of date may name as `marketSnapshot`. A snapshot never changes: "
        "the same content again is fine, other content is a conflict. Its hash is of the sorted values."
    ),
    "operation_id": "putMarketSnapshot",
    "status_code": 201,
    "responses": {
        200: {"description": "It was there already, with the same content.", "content": _DESCRIBED},
        201: {"description": "It is stored.", "content": _DESCRIBED},
        400: _BAD_NAME,
        409: _problem("It is there with other content (`snapshot-exists`): use another name."),
        413: _problem("The body is too big (`request-too-big`)."),
        422: _problem("Values that are none or contradictory (`snapshot-refused`), each named.", PackageProblem),
    },
    "openapi_extra": {
        "parameters": [_KEY_PARAMETER],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _schema(SnapshotContent), "example": SNAPSHOT_EXAMPLE}},
        },
    },
}
GET_SNAPSHOT: dict[str, Any] = {
    "summary": "What a market snapshot is",
    "operation_id": "getMarketSnapshot",
    "responses": {
        200: {"description": "Its hash and size.", "content": _DESCRIBED},
        400: _BAD_NAME,
        404: _problem("There is none of that name and date (`unknown-snapshot`)."),
        422: _problem("Its file cannot be read (`bad-snapshot`)."),
    },
    "openapi_extra": {"parameters": [_KEY_PARAMETER]},
}
LIST_SNAPSHOTS: dict[str, Any] = {
    "summary": "The market snapshots of a date",
    "operation_id": "listMarketSnapshots",
    "responses": {
        200: {
            "description": "Their names, sorted.",
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "required": ["asOf", "names"],
                        "properties": {"asOf": _TEXT, "names": {"type": "array", "items": _TEXT}},
                    },
                    "example": {"asOf": "2026-09-30", "names": ["EOD"]},
                }
            },
        },
        400: _BAD_NAME,
    },
    "openapi_extra": {"parameters": [_KEY_PARAMETER]},
}
