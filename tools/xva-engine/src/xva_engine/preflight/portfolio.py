"""Checks of trades and netting sets: what is wrong with one makes it vanish from the engine's reports."""

import datetime
import math
from collections import Counter
from collections.abc import Iterator

from xva_engine.data import CATALOGUE
from xva_engine.generate.review_sets import is_id
from xva_engine.generate.trades.legs import LegSpan, past_fixings
from xva_engine.generate.xml import Element
from xva_engine.preflight.markets import Market
from xva_engine.preflight.reading import Folder, Found
from xva_engine.preflight.setup import Setup
from xva_engine.preflight.values import Values

ENGINE_TYPES = {
    "Swap": ("SwapData", "Swap"),
    "CrossCurrencySwap": ("CrossCurrencySwapData", "CrossCurrencySwap"),
    "FxForward": ("FxForwardData", "FxForward"),
    "FxSwap": ("FxSwapData", "FxForward"),
    "FxOption": ("FxOptionData", "FxOption"),
    "Swaption": ("SwaptionData", "EuropeanSwaption"),
}
"""Trade types that are understood here: the element of the terms, and the product of the pricing engines."""
_ENDS = ("ValueDate", "FarDate", "EndDate", "ExerciseDate")
_NUMBERS = ("Notional", "Rate", "Spread", "PaymentLag")


def check_netting_sets(folder: Folder, setup: Setup, market: Market, found: Found) -> set[str] | None:
    """Ids of the defined netting sets; None if the file cannot be read."""
    path = setup.paths.get("csaFile", "")
    root = folder.root(path) if path else None
    if root is None:
        return None
    ids = [(item.findtext("NettingSetId") or "").strip() for item in root.iterfind("NettingSet")]
    for name, count in Counter(ids).items():
        if not is_id(name):
            found.refuse("bad-netting-set-id", name, f"netting set id {name!r} must be 1 to 64 of A-Z a-z 0-9 _ . -")
        if count > 1:
            found.refuse("duplicate-netting-set", name, f"netting set {name} is defined {count} times")
    for item in root.iterfind("NettingSet"):
        name, flag, details = (
            item.findtext("NettingSetId") or "",
            item.findtext("ActiveCSAFlag"),
            item.find("CSADetails"),
        )
        if flag not in ("true", "false") or (flag == "true") != (details is not None):
            found.refuse("bad-csa", name, f"netting set {name}: ActiveCSAFlag is {flag}, which its CSADetails belie")
        elif details is not None:
            code, index = details.findtext("CSACurrency") or "", details.findtext("Index") or ""
            if code not in market.currencies:
                found.refuse("bad-csa", name, f"CSA of netting set {name}: {code} is not simulated")
            if index not in market.indices:
                found.refuse("bad-csa", name, f"CSA of netting set {name}: index {index} is not simulated")
    return set(ids)


class Portfolio:
    """The trades of `portfolio.xml`."""

    def __init__(self, folder: Folder, setup: Setup, market: Market, found: Found) -> None:
        path = setup.paths.get("portfolioFile", "")
        self._root = folder.root(path) if path else None
        engines = folder.root(setup.paths["pricingEnginesFile"]) if "pricingEnginesFile" in setup.paths else None
        self._engines = {item.get("type", "") for item in engines.iterfind("Product")} if engines is not None else None
        self._setup, self._market, self._found = setup, market, found

    def check(self, netting_sets: set[str] | None, fixings: Values) -> None:
        """Notes everything that is wrong with every trade."""
        if self._root is None:
            return
        trades = self._root.findall("Trade")
        if not trades:
            self._found.refuse("empty-portfolio", self._setup.paths["portfolioFile"], "the portfolio has no trade")
        for name, count in Counter(trade.get("id", "") for trade in trades).items():
            if not is_id(name):
                self._found.refuse("bad-trade-id", name, f"trade id {name!r} must be 1 to 64 of A-Z a-z 0-9 _ . -")
            if count > 1:
                self._found.refuse("duplicate-trade-id", name, f"trade {name} is there {count} times")
        known = {(key, day) for day, key in fixings}
        for trade in trades:
            self._check_envelope(trade, netting_sets)
            self._check_terms(trade, known)

    def _check_envelope(self, trade: Element, netting_sets: set[str] | None) -> None:
        name = trade.get("id", "")
        netting_set = (trade.findtext("Envelope/NettingSetId") or "").strip()
        party = (trade.findtext("Envelope/CounterParty") or "").strip()
        if not netting_set:
            self._found.refuse("no-netting-set-id", name, f"trade {name} names no netting set")
        elif netting_sets is not None and netting_set not in netting_sets:
            message = f"trade {name} is in netting set {netting_set!r}, which is not defined"
            self._found.refuse("unknown-netting-set", name, message)
        if self._market.today is not None and party not in self._market.default_curves:
            message = f"today's market has no default curve of {party!r}, the counterparty of trade {name}"
            self._found.refuse("missing-default-curve", party, message)

    def _check_terms(self, trade: Element, fixings: set[tuple[str, str]]) -> None:
        name, kind = trade.get("id", ""), (trade.findtext("TradeType") or "").strip()
        if kind not in ENGINE_TYPES:
            message = f"trade {name} has the type {kind!r}; known are {', '.join(ENGINE_TYPES)}"
            self._found.refuse("unknown-trade-type", name, message)
            return
        tag, product = ENGINE_TYPES[kind]
        terms = trade.find(tag)
        if terms is None:
            self._found.refuse("bad-terms", name, f"trade {name} has no {tag}")
            return
        if self._engines is not None and product not in self._engines:
            message = f"trade {name} needs a pricing engine for {product}, and there is none"
            self._found.refuse("no-pricing-engine", name, message)
        currencies = {(item.text or "").strip() for item in terms.iter() if str(item.tag).endswith("Currency")}
        for code in sorted(currencies - set(self._market.currencies) if self._market.currencies else ()):
            self._found.refuse("unknown-currency", name, f"trade {name}: currency {code} is not simulated")
        for item in terms.iter("Index"):
            if self._market.indices and (item.text or "").strip() not in self._market.indices:
                message = f"trade {name}: index {(item.text or '').strip()} is not simulated"
                self._found.refuse("unknown-index", name, message)
        faults = [*_bad_dates(terms), *_bad_numbers(terms)]
        for fault in faults:
            self._found.refuse("bad-terms", name, f"trade {name}: {fault}")
        if not faults and self._setup.as_of is not None:
            self._check_life(name, terms, self._setup.as_of, fixings)

    def _check_life(self, name: str, terms: Element, as_of: datetime.date, fixings: set[tuple[str, str]]) -> None:
        dates = [datetime.date.fromisoformat(item.text or "") for tag in _ENDS for item in terms.iter(tag)]
        dates += [datetime.date.fromisoformat(item.text or "") for item in terms.iterfind(".//Dates/Dates/Date")]
        settlement = terms.findtext("SettlementData/Date")
        dates += [datetime.date.fromisoformat(settlement)] if settlement else []
        if dates and max(dates) < as_of:
            message = f"trade {name} matured on {max(dates)}; the engine leaves it out"
            self._found.warn("matured-trade", name, message)
            return
        if terms.find("OptionData") is not None:
            return
        wanted = {key for leg in terms.iter("LegData") for key in _leg_fixings(leg, as_of)} | _fx_fixings(terms, as_of)
        for index, day in sorted(wanted):
            if (index, f"{day:%Y%m%d}") not in fixings:
                message = f"trade {name} needs the fixing of {index} on {day}, and there is none"
                self._found.refuse("missing-fixing", f"{index} {day}", message)


def _bad_dates(terms: Element) -> Iterator[str]:
    for item in terms.iter():
        tag, text = str(item.tag), (item.text or "").strip()
        if len(item) == 0 and tag.endswith("Date") and not _is_date(text):
            yield f"{tag} {text!r} is no date"


def _bad_numbers(terms: Element) -> Iterator[str]:
    for item in terms.iter():
        tag, text = str(item.tag), (item.text or "").strip()
        if len(item) == 0 and (tag in _NUMBERS or tag.endswith("Amount")) and not _is_number(text):
            yield f"{tag} {text!r} is no number"


def _is_date(text: str) -> bool:
    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _leg_fixings(leg: Element, as_of: datetime.date) -> frozenset[tuple[str, datetime.date]]:
    """Past fixings of a floating leg on an index that is known here."""
    name = (leg.findtext("FloatingLegData/Index") or "").strip()
    known = CATALOGUE.indices.get(name)
    rules, days = leg.find("ScheduleData/Rules"), leg.findall("ScheduleData/Dates/Dates/Date")
    if known is None or (rules is None and len(days) != 2):
        return frozenset()
    if rules is not None:
        start, end = rules.findtext("StartDate") or "", rules.findtext("EndDate") or ""
        calendar, tenor = rules.findtext("Calendar") or "", rules.findtext("Tenor") or ""
    else:
        start, end = (day.text or "" for day in days)
        calendar, tenor = leg.findtext("ScheduleData/Dates/Calendar") or "", "1Y"
    lag = int(leg.findtext("PaymentLag") or 0)
    first, last = datetime.date.fromisoformat(start), datetime.date.fromisoformat(end)
    return past_fixings(LegSpan(calendar, first, last, tenor, lag, rules is None), known[1], as_of)


def _fx_fixings(terms: Element, as_of: datetime.date) -> set[tuple[str, datetime.date]]:
    index, day = terms.findtext("SettlementData/FXIndex"), terms.findtext("ValueDate")
    if not index or not day or datetime.date.fromisoformat(day) >= as_of:
        return set()
    return {(index, datetime.date.fromisoformat(day))}
