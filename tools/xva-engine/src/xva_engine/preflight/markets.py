"""Checks of curves, volatilities and the simulated market: everything that something needs has to be there."""

from collections.abc import Iterator

from xva_engine.generate.xml import Element
from xva_engine.preflight.reading import Folder, Found, texts, words
from xva_engine.preflight.setup import Setup


class Market:
    """What today's market and the simulated market offer, by name."""

    def __init__(self, folder: Folder, setup: Setup, found: Found) -> None:
        paths = setup.paths
        self.today = folder.root(paths["marketConfigFile"]) if "marketConfigFile" in paths else None
        self.curves = folder.root(paths["curveConfigFile"]) if "curveConfigFile" in paths else None
        self.simulation = folder.root(paths["simulationConfigFile"]) if "simulationConfigFile" in paths else None
        if "conventionsFile" in paths:
            folder.root(paths["conventionsFile"])
        self._setup, self._found = setup, found
        self.currencies = texts(self.simulation, "Market/Currencies/Currency")
        self.indices = set(texts(self.simulation, "Market/Indices/Index"))
        self.default_curves = self._specs("DefaultCurves/DefaultCurve", "name")

    def _specs(self, path: str, attribute: str) -> dict[str, str]:
        if self.today is None:
            return {}
        return {item.get(attribute, ""): (item.text or "").strip() for item in self.today.iterfind(path)}

    def check(self, quotes: dict[str, float]) -> None:
        """Notes what is missing."""
        self._check_contexts()
        self._check_simulated()
        self._check_specs(quotes)
        for key, owner, kind in self._quote_keys():
            self._check_quote(quotes, key, owner, kind)
        if self._setup.own_name and self._setup.own_name not in self.default_curves and self.today is not None:
            name = self._setup.own_name
            self._found.refuse(
                "missing-default-curve", name, f"today's market has no default curve of {name}, our name"
            )

    def _check_contexts(self) -> None:
        if self.today is None:
            return
        known = {item.get("id", "") for item in self.today.iterfind("Configuration")}
        for context, configuration in sorted(self._setup.contexts.items()):
            if configuration not in known:
                message = f"the context {context} names the configuration {configuration}, which today's market lacks"
                self._found.refuse("unknown-market-context", context, message)

    def _check_simulated(self) -> None:
        if self.simulation is None:
            return
        base = texts(self.simulation, "CrossAssetModel/DomesticCcy")
        model = texts(self.simulation, "CrossAssetModel/Currencies/Currency")
        if model != self.currencies or base != self.currencies[:1] or not self.currencies:
            message = f"the model simulates {', '.join(model)}, the market {', '.join(self.currencies)}"
            self._found.refuse("malformed-simulation", "currencies", message)
            return
        if self._setup.base_currency != base[0]:
            message = f"xva is in {self._setup.base_currency}, the simulation in {base[0]}"
            self._found.refuse("malformed-simulation", "baseCurrency", message)
        if self.today is None:
            return
        discounting = self._specs("DiscountingCurves/DiscountingCurve", "currency")
        swaptions = self._specs("SwaptionVolatilities/SwaptionVolatility", "currency")
        volatilities = self._specs("FxVolatilities/FxVolatility", "pair")
        spots = self._specs("FxSpots/FxSpot", "pair")
        for code in self.currencies:
            pairs = {f"{code}{base[0]}", f"{base[0]}{code}"}
            wanted = [("discount curve", code in discounting), ("swaption volatility", code in swaptions)]
            if code != base[0]:
                wanted += [("FX volatility", bool(pairs & set(volatilities))), ("FX spot", bool(pairs & set(spots)))]
            for what, there in wanted:
                if not there:
                    message = f"{code} is simulated, but today's market has no {what} of it"
                    self._found.refuse("missing-market-object", f"{code} {what}", message)
        forwarding = self._specs("IndexForwardingCurves/Index", "name")
        for name in sorted(self.indices - set(forwarding)):
            message = f"{name} is simulated, but today's market has no curve of it"
            self._found.refuse("missing-market-object", name, message)
        for name in self._setup.funding_curves:
            if name not in self._specs("YieldCurves/YieldCurve", "name"):
                message = f"xva funds on {name}, which today's market lacks"
                self._found.refuse("missing-market-object", name, message)

    def _check_specs(self, quotes: dict[str, float]) -> None:
        """Every specification of today's market (`Yield/EUR/EUR1D`) names a curve that is configured."""
        if self.today is None or self.curves is None:
            return
        ids = {kind: set(texts(self.curves, f"{path}/CurveId")) for kind, path in _CONFIGURED.items()}
        for item in self.today.iter():
            kind, *rest = (item.text or "").strip().split("/") if isinstance(item.tag, str) else [""]
            if kind in ids and rest and rest[-1] not in ids[kind]:
                message = f"today's market names {(item.text or '').strip()}, which is not configured"
                self._found.refuse("missing-market-object", rest[-1], message)
            if kind == "FX" and len(rest) == 2 and f"FX/RATE/{rest[0]}/{rest[1]}" not in quotes:
                key = f"FX/RATE/{rest[0]}/{rest[1]}"
                self._found.refuse("missing-quote", key, f"quote {key} is missing, which today's market needs")

    def _quote_keys(self) -> Iterator[tuple[str, str, str]]:
        """Key, curve that needs it, and kind, for every configured curve."""
        if self.curves is None:
            return
        for curve in self.curves.iterfind("YieldCurves/YieldCurve"):
            yield from ((key, _id_of(curve), "rate") for key in texts(curve, "Segments/*/Quotes/Quote"))
        for curve in self.curves.iterfind("DefaultCurves/DefaultCurve"):
            kind = "hazard" if curve.findtext("Type") == "HazardRate" else "spread"
            yield from ((key, _id_of(curve), kind) for key in texts(curve, "Quotes/Quote"))
            yield (curve.findtext("RecoveryRate") or "").strip(), _id_of(curve), "recovery"
        for surface in self.curves.iterfind("FXVolatilities/FXVolatility"):
            pair = (surface.findtext("FXSpotID") or "").removeprefix("FX/")
            for expiry in words(surface.findtext("Expiries")):
                yield f"FX_OPTION/RATE_LNVOL/{pair}/{expiry}/ATM", _id_of(surface), "volatility"
        for surface in self.curves.iterfind("SwaptionVolatilities/SwaptionVolatility"):
            code = (surface.findtext("SwapIndexBase") or "")[:3]
            kind = {"Normal": "NVOL", "Lognormal": "LNVOL"}.get(surface.findtext("VolatilityType") or "", "NVOL")
            for expiry in words(surface.findtext("OptionTenors")):
                for term in words(surface.findtext("SwapTenors")):
                    yield f"SWAPTION/RATE_{kind}/{code}/{expiry}/{term}/ATM", _id_of(surface), "volatility"

    def _check_quote(self, quotes: dict[str, float], key: str, owner: str, kind: str) -> None:
        value = quotes.get(key)
        if value is None:
            codes = {
                "hazard": "missing-default-curve",
                "spread": "missing-default-curve",
                "recovery": "missing-recovery",
            }
            code = codes.get(kind, "missing-quote")
            self._found.refuse(
                code, key or owner, f"quote {key or 'of the recovery rate'} is missing, which {owner} needs"
            )
        elif kind in ("hazard", "spread") and value < 0:
            self._found.refuse("negative-hazard", key, f"quote {key} of {owner} is negative: {value:g}")
        elif kind == "recovery" and not 0 <= value < 1:
            self._found.refuse("quote-out-of-range", key, f"quote {key} is no recovery rate: {value:g}")
        elif kind == "volatility" and value <= 0:
            self._found.refuse("quote-out-of-range", key, f"quote {key} is no volatility: {value:g}")


_CONFIGURED = {
    "Yield": "YieldCurves/YieldCurve",
    "Default": "DefaultCurves/DefaultCurve",
    "FXVolatility": "FXVolatilities/FXVolatility",
    "SwaptionVolatility": "SwaptionVolatilities/SwaptionVolatility",
}


def _id_of(curve: Element) -> str:
    return (curve.findtext("CurveId") or "").strip()
