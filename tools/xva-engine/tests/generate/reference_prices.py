"""Independent prices: QuantLib's own classes and closed forms, written without the generator.

A script, because QuantLib and the engine cannot live in one process (both register the same SWIG types). Reads
`{"quotes": {key: value}, "cdi": past fixing, "trades": {name: {type, terms}}}` and prints NPVs in euro by name.
"""

import itertools
import json
import math
import sys
from typing import Any

import QuantLib as ql

AS_OF = ql.Date(30, 9, 2026)
A365 = ql.Actual365Fixed()
PILLARS = ("1M", "3M", "6M", "1Y", "2Y", "3Y", "5Y", "7Y", "10Y", "15Y", "20Y", "30Y")
BRL_PILLARS = ("1M", "6M", "1Y", "2Y", "3Y", "5Y", "10Y")
OVERNIGHT = {
    "EUR-ESTER": ("EUR", "2D", 2, 1, ql.Estr, ql.Actual360(), ql.TARGET()),
    "USD-SOFR": ("USD", "2D", 2, 2, ql.Sofr, ql.Actual360(), ql.UnitedStates(ql.UnitedStates.SOFR)),
    "GBP-SONIA": ("GBP", "0D", 0, 0, ql.Sonia, A365, ql.UnitedKingdom()),
    "CHF-SARON": ("CHF", "2D", 2, 2, ql.Saron, ql.Actual360(), ql.Switzerland()),
    "JPY-TONAR": ("JPY", "2D", 2, 2, ql.Tonar, A365, ql.Japan()),
}
FX_CALENDARS = {
    "USD": ql.UnitedStates(ql.UnitedStates.Settlement),
    "GBP": ql.UnitedKingdom(),
    "BRL": ql.Brazil(),
    "CHF": ql.Switzerland(),
    "JPY": ql.Japan(),
}
Terms = dict[str, str]


def day(text: str) -> ql.Date:
    year, month, number = (int(part) for part in text.split("-"))
    return ql.Date(number, month, year)


class Market:
    """Curves by currency, forwarding indices by name, spots per euro."""

    def __init__(self, quotes: dict[str, str], cdi: float) -> None:
        self.cdi = cdi
        self.quotes = {key: float(value) for key, value in quotes.items()}
        ql.Settings.instance().evaluationDate = AS_OF
        self.discount: dict[str, Any] = {}
        self.indices: dict[str, Any] = {}
        for name, (code, lag_text, lag, payment_lag, index, _, _) in OVERNIGHT.items():
            if f"FX/RATE/EUR/{code}" not in quotes and code != "EUR":
                continue
            helpers = [
                ql.OISRateHelper(
                    lag,
                    ql.Period(pillar),
                    self._handle(f"IR_SWAP/RATE/{code}/{lag_text}/1D/{pillar}"),
                    index(),
                    paymentLag=payment_lag,
                    paymentFrequency=ql.Annual,
                )
                for pillar in PILLARS
            ]
            self.discount[code] = _curve(ql.PiecewiseLogLinearDiscount(AS_OF, helpers, A365))
            self.indices[name] = index(self.discount[code])
        self._add_euribor()
        dates = [ql.TARGET().advance(AS_OF, ql.Period(pillar)) for pillar in BRL_PILLARS]
        zeros = [self.quotes[f"ZERO/RATE/BRL/BRL1D/A365/{pillar}"] for pillar in BRL_PILLARS]
        factors = [math.exp(-zero * A365.yearFraction(AS_OF, date)) for zero, date in zip(zeros, dates, strict=True)]
        self.discount["BRL"] = _curve(ql.DiscountCurve([AS_OF, *dates], [1.0, *factors], A365))
        quoted = [code for code in FX_CALENDARS if f"FX/RATE/EUR/{code}" in quotes]
        self.spots = {"EUR": 1.0, **{code: self._rate_of_today(code) for code in quoted}}

    def _rate_of_today(self, code: str) -> float:
        """The quote is for the spot date; what a euro of today is worth follows by both discount curves."""
        spot_date = ql.JointCalendar(ql.TARGET(), FX_CALENDARS[code]).advance(AS_OF, 2, ql.Days)
        return self.quotes[f"FX/RATE/EUR/{code}"] * self.factor(code, spot_date) / self.factor("EUR", spot_date)

    def _handle(self, key: str) -> Any:
        return ql.QuoteHandle(ql.SimpleQuote(self.quotes[key]))

    def _add_euribor(self) -> None:
        deposit = ql.DepositRateHelper(self._handle("MM/RATE/EUR/2D/6M"), ql.Euribor6M())
        swaps = [
            ql.SwapRateHelper(
                self._handle(f"IR_SWAP/RATE/EUR/2D/6M/{pillar}"),
                ql.Period(pillar),
                ql.TARGET(),
                ql.Annual,
                ql.ModifiedFollowing,
                ql.Thirty360(ql.Thirty360.BondBasis),
                ql.Euribor6M(),
                ql.QuoteHandle(),
                ql.Period(0, ql.Days),
                self.discount["EUR"],
            )
            for pillar in PILLARS[4:]
        ]
        self.indices["EUR-EURIBOR-6M"] = ql.Euribor6M(
            _curve(ql.PiecewiseLogLinearDiscount(AS_OF, [deposit, *swaps], A365))
        )

    def factor(self, currency: str, date: ql.Date) -> float:
        return float(self.discount[currency].discount(date))


def _curve(curve: Any) -> Any:
    curve.enableExtrapolation()
    return ql.YieldTermStructureHandle(curve)


def _schedule(terms: Terms, tenor: str, calendar: Any) -> Any:
    return ql.Schedule(
        day(terms["startDate"]),
        day(terms["maturityDate"]),
        ql.Period(tenor),
        calendar,
        ql.ModifiedFollowing,
        ql.ModifiedFollowing,
        ql.DateGeneration.Backward,
        False,
    )


def rate_swap(market: Market, terms: Terms) -> Any:
    """The swap, priced on its discount curve."""
    index_name, sign = terms["floatIndex"], ql.Swap.Payer if terms["fixedLeg"] == "Pay" else ql.Swap.Receiver
    notional, rate, spread = (float(terms[name]) for name in ("notional", "fixedRate", "floatSpread"))
    if index_name == "EUR-EURIBOR-6M":
        swap = ql.VanillaSwap(
            sign,
            notional,
            _schedule(terms, terms["fixedTenor"], ql.TARGET()),
            rate,
            ql.Thirty360(ql.Thirty360.BondBasis),
            _schedule(terms, "6M", ql.TARGET()),
            market.indices[index_name],
            spread,
            ql.Actual360(),
        )
    else:
        _, _, _, payment_lag, _, day_counter, calendar = OVERNIGHT[index_name]
        swap = ql.OvernightIndexedSwap(
            sign,
            notional,
            _schedule(terms, "1Y", calendar),
            rate,
            day_counter,
            market.indices[index_name],
            spread,
            payment_lag,
            ql.ModifiedFollowing,
            calendar,
        )
    swap.setPricingEngine(ql.DiscountingSwapEngine(market.discount[terms["currency"]]))
    return swap


def price_pre_cdi(market: Market, terms: Terms, fixing: float) -> float:
    """Closed form: the past days compound at one fixing, the days ahead at the curve."""
    calendar, notional = ql.Brazil(), float(terms["notional"])
    start, end = (calendar.adjust(day(terms[name])) for name in ("startDate", "maturityDate"))
    discount = market.factor("BRL", end)
    fixed = (1 + float(terms["fixedRate"])) ** (calendar.businessDaysBetween(start, end) / 252)
    past = (1 + fixing) ** (calendar.businessDaysBetween(start, AS_OF) / 252) if start < AS_OF else 1.0
    floating = past * market.factor("BRL", max(start, AS_OF)) / discount
    sign = 1 if terms["fixedLeg"] == "Receive" else -1
    return float(sign * notional * (fixed - floating) * discount / market.spots["BRL"])


def price_swap(market: Market, terms: Terms) -> float:
    if terms["floatIndex"] == "BRL-CDI":
        return price_pre_cdi(market, terms, market.cdi)
    return float(rate_swap(market, terms).NPV()) / market.spots[terms["currency"]]


def _growth(index: Any, start: ql.Date, end: ql.Date) -> float:
    """What one unit grows to over a coupon: at par, so that a stub earns the curve's rate of its own length."""
    curve = index.forwardingTermStructure()
    return float(curve.discount(start) / curve.discount(end))


def price_cross_currency_swap(market: Market, terms: Terms) -> float:
    """A floating leg with notionals exchanged is worth what it pays above its own curve; coupon by coupon here."""
    total = 0.0
    calendars = [
        OVERNIGHT[name][6] if name in OVERNIGHT else ql.TARGET() for name in (terms["payIndex"], terms["receiveIndex"])
    ]
    calendar = ql.JointCalendar(*calendars)
    lag = max(OVERNIGHT[name][3] if name in OVERNIGHT else 0 for name in (terms["payIndex"], terms["receiveIndex"]))
    for side, sign in (("pay", -1), ("receive", 1)):
        index_name, currency = terms[f"{side}Index"], terms[f"{side}Currency"]
        notional, spread = float(terms[f"{side}Notional"]), float(terms[f"{side}Spread"])
        dates = list(_schedule(terms, "6M" if index_name == "EUR-EURIBOR-6M" else "1Y", calendar))
        index, value = market.indices[index_name], 0.0
        for start, end in itertools.pairwise(dates):
            accrual = index.dayCounter().yearFraction(start, end)
            growth = _growth(index, start, end) + accrual * spread
            payment = calendar.advance(end, lag, ql.Days)
            value += notional * (growth - 1) * market.factor(currency, payment)
        value += notional * market.factor(currency, dates[-1]) - notional * market.factor(currency, dates[0])
        total += sign * value / market.spots[currency]
    return total


def price_forward(market: Market, terms: Terms) -> float:
    """Both amounts discounted on their own curves."""
    date = day(terms["valueDate"])
    bought = float(terms["boughtAmount"]) * market.factor(terms["boughtCurrency"], date)
    sold = float(terms["soldAmount"]) * market.factor(terms["soldCurrency"], date)
    return bought / market.spots[terms["boughtCurrency"]] - sold / market.spots[terms["soldCurrency"]]


def price_fx_option(market: Market, terms: Terms) -> float:
    """Garman-Kohlhagen at a quoted expiry: the spot rate of that day (for its spot date), paid out on the day."""
    expiry, bought, sold = day(terms["expiryDate"]), terms["boughtCurrency"], terms["soldCurrency"]
    delivery = ql.JointCalendar(ql.TARGET(), FX_CALENDARS[sold]).advance(expiry, 2, ql.Days)
    amount, strike = float(terms["boughtAmount"]), float(terms["soldAmount"]) / float(terms["boughtAmount"])
    volatility = market.quotes[f"FX_OPTION/RATE_LNVOL/{bought}/{sold}/1Y/ATM"]
    spot = market.spots[sold] / market.spots[bought]
    forward = spot * market.factor(bought, delivery) / market.factor(sold, delivery)
    deviation = volatility * math.sqrt(A365.yearFraction(AS_OF, expiry))
    kind = ql.Option.Call if terms["optionType"] == "Call" else ql.Option.Put
    value = float(ql.blackFormula(kind, strike, forward, deviation, market.factor(sold, expiry)))
    return (1 if terms["position"] == "Long" else -1) * amount * value / market.spots[sold]


def price_swaption(market: Market, terms: Terms) -> float:
    """Bachelier at a quoted expiry and term. The holder's side is ours when we are long, the other when short."""
    long = terms["position"] == "Long"
    holder = terms if long else {**terms, "fixedLeg": "Receive" if terms["fixedLeg"] == "Pay" else "Pay"}
    exercise = ql.EuropeanExercise(day(terms["exerciseDate"]))
    swaption = ql.Swaption(rate_swap(market, holder), exercise)
    volatility = market.quotes[f"SWAPTION/RATE_NVOL/{terms['currency']}/1Y/5Y/ATM"]
    quote = ql.QuoteHandle(ql.SimpleQuote(volatility))
    engine = ql.BachelierSwaptionEngine(market.discount[terms["currency"]], quote)
    swaption.setPricingEngine(engine)
    return (1 if long else -1) * float(swaption.NPV()) / market.spots[terms["currency"]]


def price_basis_swap(market: Market, terms: Terms) -> float:
    """Coupon by coupon, each leg on its own calendar and payment lag."""
    total = 0.0
    for side, sign in (("pay", -1), ("receive", 1)):
        name, spread = terms[f"{side}Index"], float(terms[f"{side}Spread"])
        overnight = name in OVERNIGHT
        calendar, lag = (OVERNIGHT[name][6], OVERNIGHT[name][3]) if overnight else (ql.TARGET(), 0)
        index = market.indices[name]
        for start, end in itertools.pairwise(list(_schedule(terms, "1Y" if overnight else "6M", calendar))):
            accrual = index.dayCounter().yearFraction(start, end)
            curve = market.discount[terms["currency"]]
            interest = _growth(index, start, end) - 1 + accrual * spread
            payment = calendar.advance(end, lag, ql.Days)
            total += sign * float(terms["notional"]) * interest * curve.discount(payment)
    return total / market.spots[terms["currency"]]


def price_fx_swap(market: Market, terms: Terms) -> float:
    """Two forwards; a near date that is past is no more."""
    legs = {
        "nearDate": ("nearBoughtCurrency", "nearBoughtAmount", "nearSoldCurrency", "nearSoldAmount"),
        "farDate": ("nearSoldCurrency", "farBoughtAmount", "nearBoughtCurrency", "farSoldAmount"),
    }
    return sum(
        price_forward(
            market,
            {
                "valueDate": terms[date],
                "boughtCurrency": terms[bought],
                "boughtAmount": terms[bought_amount],
                "soldCurrency": terms[sold],
                "soldAmount": terms[sold_amount],
            },
        )
        for date, (bought, bought_amount, sold, sold_amount) in legs.items()
        if day(terms[date]) > AS_OF
    )


PRICERS = {
    "BasisSwap": price_basis_swap,
    "FxSwap": price_fx_swap,
    "RateSwap": price_swap,
    "CrossCurrencySwap": price_cross_currency_swap,
    "FxForward": price_forward,
    "FxNdf": price_forward,
    "FxOption": price_fx_option,
    "Swaption": price_swaption,
}


def main() -> None:
    order = json.load(sys.stdin)
    market = Market(order["quotes"], order["cdi"])
    json.dump(
        {name: PRICERS[item["type"]](market, item["terms"]) for name, item in order["trades"].items()}, sys.stdout
    )


if __name__ == "__main__":
    main()
