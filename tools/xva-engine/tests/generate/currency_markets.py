"""Synthetic quotes and fixings, as of 30 September 2026, of currencies that the sample market does not have."""

import datetime
from dataclasses import dataclass

from tests.requests import Message
from xva_engine.data import CATALOGUE
from xva_engine.generate.dates import is_business_day
from xva_engine.sample.market import AS_OF

_PILLARS = ("1M", "3M", "6M", "1Y", "2Y", "3Y", "5Y", "7Y", "10Y", "15Y", "20Y", "30Y")


@dataclass(frozen=True)
class CurrencyMarket:
    """One currency against the euro; rates by pillar, FX volatilities by expiry, a flat swaption surface."""

    code: str
    index: str
    spot: str
    rates: str
    fx_volatilities: str
    normal_volatility: str
    fixing: str

    def quotes(self) -> dict[str, str]:
        """Every quote by key."""
        rates = zip(_PILLARS, self.rates.split(), strict=True)
        expiries = CATALOGUE.market.fx.volatility_expiries
        surface = CATALOGUE.currencies[self.code].swaption_volatility
        assert surface is not None
        return {
            **{f"IR_SWAP/RATE/{self.code}/2D/1D/{pillar}": rate for pillar, rate in rates},
            f"FX/RATE/EUR/{self.code}": self.spot,
            **{
                f"FX_OPTION/RATE_LNVOL/EUR/{self.code}/{expiry}/ATM": value
                for expiry, value in zip(expiries, self.fx_volatilities.split(), strict=True)
            },
            **dict.fromkeys(surface.quote_keys(), self.normal_volatility),
        }

    def fixings(self) -> list[Message]:
        """A year of the overnight index at one rate."""
        calendar = CATALOGUE.indices[self.index][1].calendar
        days = (AS_OF - datetime.timedelta(days=back) for back in range(1, 400))
        return [
            {"index": self.index, "date": day.isoformat(), "value": self.fixing}
            for day in days
            if is_business_day(calendar, day)
        ]


CURRENCY_MARKETS = {
    "CHF": CurrencyMarket(
        code="CHF",
        index="CHF-SARON",
        spot="0.9365",
        rates="-0.0004 -0.0006 -0.0005 0.0001 0.0009 0.0017 0.0031 0.0043 0.0056 0.0068 0.0072 0.0070",
        fx_volatilities="0.0505 0.0565 0.0615 0.0685 0.0815 0.0945",
        normal_volatility="0.0058",
        fixing="-0.0004",
    ),
    "JPY": CurrencyMarket(
        code="JPY",
        index="JPY-TONAR",
        spot="172.85",
        rates="0.0049 0.0053 0.0060 0.0071 0.0087 0.0099 0.0118 0.0135 0.0160 0.0197 0.0225 0.0255",
        fx_volatilities="0.0855 0.0905 0.0945 0.1005 0.1125 0.1255",
        normal_volatility="0.0049",
        fixing="0.00477",
    ),
}
