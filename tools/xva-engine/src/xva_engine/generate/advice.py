"""Every class of defect: what it is, and what to do about it. The codes are stable names that programs may match on."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Advice:
    """`what` is wrong, in general; `do` ends the sentence that names the thing."""

    what: str
    do: str


_TERMS = "correct the trade's terms"
_QUOTES = "correct the quote in the request or its market snapshot"
_PACKAGE = "generate the package again"
_FILE = "correct the file, or generate the package again"

ADVICE: dict[str, Advice] = {
    # The request as a whole
    "malformed-request": Advice("the bytes are no frozen request", "send what the contract's schema says"),
    "duplicate-member": Advice("a JSON object names a member twice", "send each member once"),
    "too-deep": Advice("the JSON is nested too deeply", "send terms that are flat"),
    "bad-as-of": Advice("the as-of date is none, or one that the engine cannot hold", "ask for another as-of date"),
    "as-of-not-business-day": Advice(
        "no market is built on a weekend or holiday", "ask for a business day of the base currency's calendar"
    ),
    "unsupported-base-currency": Advice("the base currency needs a swaption surface", "ask for one of these"),
    "bad-quantile": Advice("the PFE quantile is not between 0 and 1", "ask for one such as 0.95"),
    "bad-grid": Advice("exposure dates do not increase", "order the periods, and let them end in time"),
    "bad-error-bars": Advice("too few samples to halve", "ask for more samples, or for no error bars"),
    "no-netting-set": Advice("nothing is left to compute", "correct what is refused, or send trades that live"),
    # Netting sets
    "bad-netting-set-id": Advice("an id that cannot name files", "rename the netting set"),
    "bad-counterparty-id": Advice("an id that cannot name curves", "rename the counterparty"),
    "duplicate-netting-set": Advice("a netting set is defined twice", "define it once"),
    "bad-csa": Advice(
        "CSA terms that cannot be read or are not supported", "correct the CSA; null means that there is none"
    ),
    # Trades
    "bad-trade-id": Advice("an id that cannot name files", "rename the trade"),
    "duplicate-trade-id": Advice("the engine drops the second trade of an id", "give every trade an id of its own"),
    "unknown-netting-set": Advice(
        "the engine would take the netting set for uncollateralised", "define the netting set, or correct the trade"
    ),
    "no-netting-set-id": Advice("a trade outside any netting set spoils the run", "name its netting set"),
    "unknown-trade-type": Advice("the engine prices it at zero", "book it as one of these types"),
    "bad-terms": Advice("terms that the engine misreads or drops", _TERMS),
    "notional-out-of-range": Advice("an amount too big to be meant", _TERMS),
    "unknown-currency": Advice("the engine drops the trade", "book it in a supported currency, or add the currency"),
    "unsupported-currency": Advice("a product that is not proven in that currency", "see the matrix in products.md"),
    "unknown-index": Advice("the engine drops the trade", "use an index of the matrix in products.md"),
    "maturity-out-of-range": Advice("the curve ends before the trade", "book a shorter trade"),
    "no-pricing-engine": Advice("the engine drops the trade", "name a pricing engine for the product"),
    # Quotes, curves and fixings
    "missing-quote": Advice("the whole currency vanishes", "add the quote to the request or its market snapshot"),
    "bad-quote": Advice("the engine's figures become #N/A", _QUOTES),
    "bad-quote-line": Advice("the engine reads no quote at all", "write date, key and value on each line"),
    "duplicate-quote": Advice("the engine takes the first value without a word", "send one value"),
    "quote-out-of-range": Advice("no plausible value, such as per cent for a fraction", _QUOTES),
    "wrong-market-date": Advice("the engine leaves the quotes out", "send quotes of the as-of date"),
    "missing-default-curve": Advice(
        "CVA becomes #N/A", "add hazard rates or CDS spreads for the name, or a credit proxy"
    ),
    "missing-recovery": Advice("CVA becomes #N/A", "add the recovery rate"),
    "negative-hazard": Advice("CVA becomes #N/A", _QUOTES),
    "ambiguous-credit": Advice("a name has two kinds of default curve", "send hazard rates, CDS spreads or a proxy"),
    "bad-credit-proxy": Advice("a proxy that cannot stand in", "name a proxy that has a curve of its own"),
    "missing-fixing": Advice("the trade's XVA would be 0.00", "add the fixings of these days"),
    "bad-fixing": Advice("the trade's value becomes #N/A", "correct the fixing"),
    "bad-fixing-line": Advice("the engine reads no fixing at all", "write date, index and value on each line"),
    "duplicate-fixing": Advice("the engine takes the first value without a word", "send one value per day"),
    # Market snapshots
    "unknown-snapshot": Advice("no snapshot of that name for the as-of date", "upload it, or name another"),
    "snapshot-mismatch": Advice("the snapshot is not the one that was meant", "leave the hash out, or correct it"),
    "bad-snapshot": Advice("the snapshot's file cannot be read", "upload it again under another name"),
    # What-ifs
    "bad-what-if": Advice("the what-if does not fit the request", "correct the what-if"),
    "new-risk-factor": Advice(
        "another simulation would give other scenarios: the difference would not be the trade's",
        "ask for a new run of the whole book with the trade in it",
    ),
    "beyond-the-grid": Advice("the simulation ends before the trade", "ask for a new run with a longer grid"),
    # A package's files
    "missing-file": Advice("the engine writes no report and says nothing", _PACKAGE),
    "malformed-xml": Advice("a file that the engine skips or stumbles over", _FILE),
    "xml-doctype": Advice("document types may name files and grow without bound", "leave the document type out"),
    "unknown-analytic": Advice("the engine ignores it", "correct the name"),
    "missing-analytic": Advice("a report would miss", "activate the analytic"),
    "unknown-market-context": Advice("the engine falls back on another market", "name a configuration that exists"),
    "malformed-simulation": Advice("the engine computes no XVA and reports success", _FILE),
    "missing-market-object": Advice("the engine computes no XVA and reports success", _FILE),
    "empty-portfolio": Advice("the engine computes nothing", "send a package with trades"),
    # Warnings
    "matured-trade": Advice("left out, as it should be", "nothing, if that is so"),
    "no-live-trade": Advice("nothing to compute in the netting set", "nothing, if that is so"),
    "matures-before-grid": Advice("XVA is zero for want of an exposure date", "ask for a grid with a denser start"),
    "grid-too-short": Advice("exposure after the last date is left out", "ask for a longer grid"),
    "uncalibrated-model": Advice("volatility as typed, not as quoted", "know it when you read the numbers"),
    "unused-quotes": Advice("quotes that nothing needs", "nothing"),
    "credit-proxy": Advice("another name's default curve stands in", "know it when you read the numbers"),
    "unused-credit-proxy": Advice("a proxy that nothing needs", "nothing"),
}
