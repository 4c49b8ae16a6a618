"""All data files together, checked against one another."""

import tomllib
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from xva_engine.data.models import CurrencyData, IndexData, MarketData


@dataclass(frozen=True)
class Catalogue:
    """Currencies by code, and what is common to them."""

    currencies: dict[str, CurrencyData]
    market: MarketData

    @cached_property
    def indices(self) -> dict[str, tuple[CurrencyData, IndexData]]:
        """Floating-rate indices by name, each with its currency."""
        return {index.name: (currency, index) for currency in self.currencies.values() for index in currency.indices}

    def pair(self, one: str, other: str) -> tuple[str, str]:
        """The two currencies in the order in which their pair is named and quoted."""
        first, second = sorted((one, other), key=lambda code: self.currencies[code].fx_rank)
        return first, second


def load_catalogue(folder: Traversable | None = None) -> Catalogue:
    """Reads `market.toml` and `currencies/*.toml`.

    Raises ValueError for files that do not fit together.
    """
    root = files("xva_engine.data") if folder is None else folder
    market = MarketData.model_validate(tomllib.loads((root / "market.toml").read_text("utf-8")))
    currencies: dict[str, CurrencyData] = {}
    for stem, content in _read_folder(root / "currencies"):
        currency = CurrencyData.model_validate(content)
        if stem != currency.code:
            raise ValueError(f"{stem}.toml describes {currency.code}")
        _check_currency(currency)
        currencies[currency.code] = currency
    ranks = [currency.fx_rank for currency in currencies.values()]
    if len(set(ranks)) != len(ranks):
        raise ValueError("two currencies have the same fx_rank")
    return Catalogue(currencies, market)


def _read_folder(folder: Traversable) -> list[tuple[str, dict[str, Any]]]:
    entries = sorted(
        (entry for entry in folder.iterdir() if entry.name.endswith(".toml")), key=lambda entry: entry.name
    )
    return [(entry.name.removesuffix(".toml"), tomllib.loads(entry.read_text("utf-8"))) for entry in entries]


def _check_currency(currency: CurrencyData) -> None:
    curves = {currency.discount.id, *(curve.id for curve in currency.forward_curves)}
    for index in currency.indices:
        if index.curve not in curves:
            raise ValueError(f"{index.name} is on {index.curve}, which {currency.code} does not have")
        if not index.name.startswith(f"{currency.code}-"):
            raise ValueError(f"{index.name} is no index of {currency.code}")
    if currency.model.calibrated != (currency.swaption_volatility is not None):
        raise ValueError(f"{currency.code}: a model is calibrated if and only if there is a swaption surface")
    if currency.may_be_base and currency.swaption_volatility is None:
        raise ValueError(f"{currency.code} cannot be a base currency without a swaption surface")


CATALOGUE = load_catalogue()
