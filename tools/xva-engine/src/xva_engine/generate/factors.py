"""The set of risk factors of a run: the union over its netting sets, in one order that depends on nothing else."""

from collections.abc import Iterable
from dataclasses import dataclass

from xva_engine.data import Catalogue, CurrencyData
from xva_engine.generate.credit import CreditBook, CreditSource
from xva_engine.generate.documents.netting import BookedSet
from xva_engine.generate.trades import TradeView


@dataclass(frozen=True)
class SetFactors:
    """What one netting set brings in."""

    currencies: frozenset[str]
    indices: frozenset[str]
    option_pairs: frozenset[tuple[str, str]]
    fx_indices: frozenset[tuple[str, str]]
    collateral_indices: frozenset[str]
    counterparty: str


def factors_of(netting_set: BookedSet, trades: Iterable[TradeView]) -> SetFactors:
    """The factors of a netting set's live trades and of its CSA."""
    views = list(trades)
    csa = netting_set.csa
    return SetFactors(
        currencies=frozenset().union(*(view.currencies for view in views), {csa.currency} if csa else ()),
        indices=frozenset().union(*(view.indices for view in views)),
        option_pairs=frozenset().union(*(view.option_pairs for view in views)),
        fx_indices=frozenset().union(*(view.fx_indices for view in views)),
        collateral_indices=frozenset({csa.index} if csa else ()),
        counterparty=netting_set.counterparty,
    )


@dataclass(frozen=True)
class Factors:
    """The run's factor set; the base currency comes first, the rest is sorted."""

    catalogue: Catalogue
    base: str
    own_name: str
    currencies: tuple[CurrencyData, ...]
    indices: tuple[str, ...]
    volatility_pairs: tuple[tuple[str, str], ...]
    fx_pairs: tuple[tuple[str, str], ...]
    """Pairs with an FX convention."""
    collateral_indices: tuple[str, ...]
    credit: tuple[CreditSource, ...]
    """Every name with a default curve, sorted by name."""

    @property
    def foreign(self) -> tuple[CurrencyData, ...]:
        """All currencies but the base."""
        return self.currencies[1:]

    @property
    def with_surface(self) -> tuple[CurrencyData, ...]:
        """Currencies that have a swaption surface of their own."""
        return tuple(currency for currency in self.currencies if currency.swaption_volatility is not None)

    @property
    def base_pairs(self) -> tuple[tuple[str, str], ...]:
        """Each foreign currency's pair with the base currency."""
        return tuple(self.catalogue.pair(self.base, currency.code) for currency in self.foreign)


def union(catalogue: Catalogue, base: str, own_name: str, parts: Iterable[SetFactors], credit: CreditBook) -> Factors:
    """The factor set of a run with these netting sets."""
    sets = list(parts)
    codes = sorted({code for part in sets for code in part.currencies} - {base})
    currencies = tuple(catalogue.currencies[code] for code in (base, *codes))
    base_pairs = {catalogue.pair(base, code) for code in codes}
    # The swap indices of a surface are discounted on these.
    discount_indices = {currency.discount.index for currency in currencies if currency.swaption_volatility is not None}
    used = {name for part in sets for name in part.indices | part.collateral_indices}
    return Factors(
        catalogue=catalogue,
        base=base,
        own_name=own_name,
        currencies=currencies,
        indices=tuple(sorted(discount_indices | used)),
        volatility_pairs=tuple(sorted(base_pairs.union(*(part.option_pairs for part in sets)))),
        fx_pairs=tuple(sorted(base_pairs.union(*(part.option_pairs | part.fx_indices for part in sets)))),
        collateral_indices=tuple(sorted({name for part in sets for name in part.collateral_indices})),
        credit=tuple(credit.source(name) for name in sorted({own_name, *(part.counterparty for part in sets)})),
    )
