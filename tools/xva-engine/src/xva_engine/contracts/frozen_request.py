"""The frozen request, the same rules as `libs/xva-contracts/src/run-event/frozen-request.ts`."""

from typing import Annotated, Literal

from pydantic import Discriminator, Field, JsonValue, StringConstraints, Tag

from xva_engine.contracts.base import Contract, SchemaVersion
from xva_engine.contracts.scalars import (
    CurrencyCode,
    DecimalString,
    EventId,
    IdToken,
    IsoDate,
    NotNull,
    Sha256,
    Tenor,
)

FreeText = Annotated[str, StringConstraints(max_length=200)]
ValueText = Annotated[str, StringConstraints(max_length=60)]


class RequestKey(Contract):
    """Business key plus revision: what a run is asked for."""

    book: IdToken
    as_of: IsoDate
    cut: IdToken
    scenario: IdToken
    revision: int = Field(ge=1, le=1_000_000)


class Csa(Contract):
    """CSA terms of a netting set; amounts are in `currency`."""

    currency: CurrencyCode
    index: Annotated[str, StringConstraints(min_length=1, max_length=40)]
    threshold_pay: DecimalString
    threshold_receive: DecimalString
    minimum_transfer_pay: DecimalString
    minimum_transfer_receive: DecimalString
    independent_amount_held: DecimalString
    margin_period_of_risk: Tenor
    call_frequency: Tenor
    direction: Literal["Bilateral", "CallOnly", "PostOnly"]
    spread_pay: DecimalString
    spread_receive: DecimalString


class RawCsa(Contract):
    """A CSA that does not fit `Csa`, as its row says it; refuses its netting set and is never taken for none."""

    raw: Annotated[str, StringConstraints(max_length=20_000)]


def _csa_form(value: object) -> str:
    is_raw = isinstance(value, RawCsa) or (isinstance(value, dict) and "raw" in value)
    return CSA_FORMS[1] if is_raw else CSA_FORMS[0]


CSA_FORMS = ("csa-terms", "csa-raw")
"""Steps that pydantic puts into the place of a fault, where the message has none."""


class NettingSet(Contract):
    """A netting set as its row says it; the ids are judged by the generator."""

    id: FreeText
    counterparty: FreeText
    csa: (
        Annotated[Annotated[Csa, Tag(CSA_FORMS[0])] | Annotated[RawCsa, Tag(CSA_FORMS[1])], Discriminator(_csa_form)]
        | None
    )


class FrozenTrade(Contract):
    """A trade as its row says it; `terms` are judged by the generator."""

    trade_id: FreeText
    netting_set_id: FreeText
    trade_type: FreeText
    terms: dict[str, JsonValue]


class RunSettings(Contract):
    """What is computed and how finely. An absent `grid` is empty here: the generator's default."""

    base_currency: CurrencyCode
    samples: int = Field(ge=2, le=1_000_000)
    seed: int = Field(ge=1, le=2_147_483_647)
    quantile: DecimalString
    dva_name: IdToken
    grid: list[Tenor] = Field(default_factory=list, min_length=1, max_length=500)
    strict: bool
    priority: int = Field(ge=-1000, le=1000)
    error_bars: NotNull[bool | None] = None


class Quote(Contract):
    """A market quote under the engine's key."""

    key: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    value: ValueText


class Fixing(Contract):
    """A past fixing of an index."""

    index: Annotated[str, StringConstraints(min_length=1, max_length=60)]
    date: IsoDate
    value: ValueText


class MarketSnapshotRef(Contract):
    """A market that the input API holds under a name and the request's as-of date."""

    name: IdToken
    sha256: NotNull[Sha256 | None] = None


class CreditProxy(Contract):
    """Whose default curve and recovery rate stand for a name that has none."""

    name: IdToken
    proxy: IdToken
    reason: Annotated[str, StringConstraints(min_length=1, max_length=200)]


class WhatIfTrade(Contract):
    """A trade that is not in the book."""

    trade_id: FreeText
    trade_type: FreeText
    terms: dict[str, JsonValue]


class WhatIf(Contract):
    """One netting set as it is and with other trades."""

    netting_set_id: FreeText
    add_trades: list[WhatIfTrade] = Field(max_length=1000)
    remove_trade_ids: list[FreeText] = Field(max_length=10_000)


class FrozenRequest(Contract):
    """All that the first detector of an event read; the generator's only input."""

    schema_version: SchemaVersion
    event_id: EventId
    request_key: RequestKey
    settings: RunSettings
    netting_sets: list[NettingSet] = Field(max_length=100_000)
    trades: list[FrozenTrade] = Field(max_length=1_000_000)
    quotes: list[Quote] = Field(max_length=1_000_000)
    fixings: list[Fixing] = Field(max_length=1_000_000)
    market_snapshot: NotNull[MarketSnapshotRef | None] = None
    credit_proxies: NotNull[Annotated[list[CreditProxy], Field(min_length=1, max_length=100_000)] | None] = None
    what_if: NotNull[WhatIf | None] = None
