"""`conventions.xml`: how quotes are to be read."""

from xva_engine.data import CurrencyData
from xva_engine.data.models import SwaptionVolatilityData
from xva_engine.generate.dates import joint_calendar
from xva_engine.generate.factors import Factors
from xva_engine.generate.xml import Element, document, leaves, node


def conventions(factors: Factors) -> bytes:
    """The document for a run's currencies and pairs."""
    children: list[Element] = []
    for currency in factors.currencies:
        children += _of_currency(currency)
        if currency.swaption_volatility is not None:
            children += _swap_indices(currency.swaption_volatility)
    children += [_zero(), _cds()]
    children += [_fx(factors, pair) for pair in factors.fx_pairs]
    return document(node("Conventions", *children))


def _of_currency(currency: CurrencyData) -> list[Element]:
    found = currency.conventions
    ois = [
        node(
            "OIS",
            *leaves(
                Id=item.id,
                SpotLag=str(item.spot_lag),
                Index=item.index,
                FixedDayCounter=item.fixed_day_counter,
                PaymentLag=str(item.payment_lag),
                FixedFrequency="Annual",
                FixedConvention="MF",
                FixedPaymentConvention="MF",
                Rule="Backward",
            ),
        )
        for item in found.ois
    ]
    deposits = [node("Deposit", *leaves(Id=item.id, IndexBased="true", Index=item.index)) for item in found.deposit]
    swaps = [
        node(
            "Swap",
            *leaves(
                Id=item.id,
                FixedCalendar=item.fixed_calendar,
                FixedFrequency=item.fixed_frequency,
                FixedConvention="MF",
                FixedDayCounter=item.fixed_day_counter,
                Index=item.index,
            ),
        )
        for item in found.swap
    ]
    return ois + deposits + swaps


def _swap_indices(surface: SwaptionVolatilityData) -> list[Element]:
    return [
        node("SwapIndex", *leaves(Id=name, Conventions=surface.convention))
        for name in (surface.short_swap_index, surface.swap_index)
    ]


def _zero() -> Element:
    return node(
        "Zero",
        *leaves(
            Id="ZERO-A365",
            TenorBased="true",
            DayCounter="A365",
            Compounding="Continuous",
            CompoundingFrequency="Annual",
            TenorCalendar="TARGET",
            SpotLag="0",
            SpotCalendar="TARGET",
            RollConvention="Following",
            EOM="false",
        ),
    )


def _cds() -> Element:
    return node(
        "CDS",
        *leaves(
            Id="CDS-STD",
            SettlementDays="1",
            Calendar="WeekendsOnly",
            Frequency="Quarterly",
            PaymentConvention="Following",
            Rule="CDS2015",
            DayCounter="A360",
            SettlesAccrual="true",
            PaysAtDefaultTime="true",
        ),
    )


def _fx(factors: Factors, pair: tuple[str, str]) -> Element:
    first, second = (factors.catalogue.currencies[code] for code in pair)
    return node(
        "FX",
        *leaves(
            Id=f"{first.code}-{second.code}-FX",
            SpotDays=str(factors.catalogue.market.fx.spot_days),
            SourceCurrency=first.code,
            TargetCurrency=second.code,
            PointsFactor="10000",
            AdvanceCalendar=joint_calendar(first.calendar, second.calendar),
            SpotRelative="true",
        ),
    )
