"""Synthetic quotes and fixings as of 30 September 2026."""

import datetime

from xva_engine.data import CATALOGUE
from xva_engine.generate.dates import is_business_day

AS_OF = datetime.date(2026, 9, 30)
OWN_NAME = "LAB_BANK"

_OIS = ("1M", "3M", "6M", "1Y", "2Y", "3Y", "5Y", "7Y", "10Y", "15Y", "20Y", "30Y")
_OIS_RATES = {
    "EUR/2D": "0.0188 0.0186 0.0184 0.0183 0.0189 0.0199 0.0219 0.0236 0.0257 0.0276 0.0278 0.0268",
    "USD/2D": "0.0389 0.0384 0.0375 0.0358 0.0341 0.0338 0.0346 0.0358 0.0375 0.0392 0.0396 0.0386",
    "GBP/0D": "0.0376 0.0373 0.0368 0.0359 0.0352 0.0353 0.0361 0.0372 0.0389 0.0409 0.0415 0.0411",
}
_EURIBOR = {
    "2Y": "0.0206",
    "3Y": "0.0214",
    "5Y": "0.0233",
    "7Y": "0.025",
    "10Y": "0.027",
    "15Y": "0.0287",
    "20Y": "0.0288",
    "30Y": "0.0277",
}
_BRL = {
    "1M": "0.1392",
    "6M": "0.137",
    "1Y": "0.1332",
    "2Y": "0.1281",
    "3Y": "0.127",
    "5Y": "0.1278",
    "10Y": "0.1296",
}
_FUNDING = {
    "LEND": {"1Y": "0.0193", "5Y": "0.0229", "10Y": "0.0267", "30Y": "0.0278"},
    "BORROW": {"1Y": "0.0243", "5Y": "0.0284", "10Y": "0.0327", "30Y": "0.0341"},
}
_SPOTS = {"USD": "1.1725", "GBP": "0.8694", "BRL": "6.2480"}
_FX_VOLATILITIES = {
    ("EUR", "USD"): "0.0715 0.0765 0.0805 0.0865 0.0985 0.1105",
    ("EUR", "GBP"): "0.0565 0.0625 0.0685 0.0765 0.0905 0.1025",
    ("EUR", "BRL"): "0.1485 0.1595 0.1675 0.1795 0.1985 0.2165",
    ("USD", "BRL"): "0.1435 0.1545 0.1625 0.1745 0.1925 0.2105",
    ("GBP", "USD"): "0.0705 0.0755 0.0795 0.0855 0.0975 0.1095",
}
_NORMAL_VOLATILITIES = {"EUR": (74, 82), "USD": (88, 98), "GBP": (86, 95)}
"""Basis points for the shortest expiry and for those around three years."""
_HAZARDS = {
    OWN_NAME: ("0.0068", "0.0084", "0.0097"),
    "ALDER_ENERGY": ("0.0092", "0.0121", "0.0143"),
    "BALTIC_FREIGHT": ("0.0151", "0.0186", "0.0211"),
    "CARIOCA_FOODS": ("0.0224", "0.0287", "0.0318"),
    "DANUBE_STEEL": ("0.0312", "0.0374", "0.0405"),
    "ELBE_CHEMICALS": ("0.0081", "0.0104", "0.0125"),
    "FJORD_PENSION": ("0.0042", "0.0055", "0.0066"),
}
_RECOVERIES = {"CARIOCA_FOODS": "0.25", "DANUBE_STEEL": "0.35"}
_FIXINGS = {
    "EUR-ESTER": (19210, 3),
    "EUR-EURIBOR-6M": (20640, 4),
    "USD-SOFR": (41300, 9),
    "GBP-SONIA": (39200, 6),
    "BRL-CDI": (149000, 25),
    "FX-ECB-EUR-BRL": (6310000, 270),
    "FX-ECB-EUR-USD": (1165000, 30),
    "FX-ECB-EUR-GBP": (866000, 15),
}
"""Millionths: the first day's value, and how much it falls (rates) or rises (FX) from one day to the next."""
_FIXING_DAYS = 400


def quotes() -> dict[str, str]:
    """Every quote by key."""
    found: dict[str, str] = {}
    for market, rates in _OIS_RATES.items():
        found |= {f"IR_SWAP/RATE/{market}/1D/{pillar}": rate for pillar, rate in zip(_OIS, rates.split(), strict=True)}
    found["MM/RATE/EUR/2D/6M"] = "0.0205"
    found |= {f"IR_SWAP/RATE/EUR/2D/6M/{pillar}": rate for pillar, rate in _EURIBOR.items()}
    found |= {f"ZERO/RATE/BRL/BRL1D/A365/{pillar}": rate for pillar, rate in _BRL.items()}
    for side, rates_by_pillar in _FUNDING.items():
        curve = f"{OWN_NAME}_{side}"
        found |= {f"ZERO/RATE/EUR/{curve}/A365/{pillar}": rate for pillar, rate in rates_by_pillar.items()}
    found |= {f"FX/RATE/EUR/{code}": rate for code, rate in _SPOTS.items()}
    for (first, second), volatilities in _FX_VOLATILITIES.items():
        expiries = CATALOGUE.market.fx.volatility_expiries
        for expiry, volatility in zip(expiries, volatilities.split(), strict=True):
            found[f"FX_OPTION/RATE_LNVOL/{first}/{second}/{expiry}/ATM"] = volatility
    for code, (short, middle) in _NORMAL_VOLATILITIES.items():
        found |= _surface(code, short, middle)
    for name, hazards in _HAZARDS.items():
        for pillar, hazard in zip(CATALOGUE.market.credit.pillars, hazards, strict=True):
            found[f"HAZARD_RATE/RATE/{name}/SR/EUR/{pillar}"] = hazard
        found[f"RECOVERY_RATE/RATE/{name}/SR/EUR"] = _RECOVERIES.get(name, "0.4")
    return found


def _surface(code: str, short: int, middle: int) -> dict[str, str]:
    """Normal volatilities with a hump around three years, lower for long underlyings; tenths of a basis point."""
    surface = CATALOGUE.currencies[code].swaption_volatility
    if surface is None:
        raise ValueError(f"{code} has no swaption surface")
    shape = {"1M": 0, "6M": 4, "1Y": 7, "2Y": 9, "3Y": 10, "5Y": 9, "7Y": 8, "10Y": 6, "15Y": 4, "20Y": 2}
    found = {}
    for expiry in surface.expiries:
        level = short * 10 + (middle - short) * shape[expiry]
        for step, term in enumerate(surface.terms):
            found[surface.quote.format(expiry=expiry, term=term)] = f"0.{level - 6 * step:05d}".rstrip("0")
    return found


def fixings() -> list[tuple[str, str, str]]:
    """Index, day and value of every business day of the last 400 days before the as-of date."""
    found = []
    for index, (first, step) in _FIXINGS.items():
        calendar = _calendar(index)
        direction = 1 if index.startswith("FX-") else -1
        for day in range(_FIXING_DAYS):
            date = AS_OF - datetime.timedelta(days=_FIXING_DAYS - day)
            if is_business_day(calendar, date):
                millionths = first + direction * step * day
                found.append((index, date.isoformat(), f"{millionths // 1_000_000}.{millionths % 1_000_000:06d}"))
    return found


def _calendar(index: str) -> str:
    known = CATALOGUE.indices.get(index)
    return known[1].calendar if known is not None else "TARGET"
