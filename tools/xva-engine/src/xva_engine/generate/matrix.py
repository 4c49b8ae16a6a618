"""What is supported, as a table for the documentation."""

from xva_engine.data import CATALOGUE, Catalogue, IndexData
from xva_engine.generate.trades import PRODUCTS


def matrix_markdown(catalogue: Catalogue = CATALOGUE) -> str:
    """Product by currency, indices and currencies, in markdown."""
    codes = sorted(catalogue.currencies)
    rows = [
        _row(
            [
                product.name,
                *("yes" if product.supports(catalogue.currencies[code]) else "refused" for code in codes),
                product.note,
            ]
        )
        for product in PRODUCTS.values()
    ]
    indices = [
        _row([name, currency.code, _coupons(index), index.curve])
        for name, (currency, index) in sorted(catalogue.indices.items())
    ]
    models = [
        _row(
            [
                currency.code,
                "yes" if currency.may_be_base else "refused",
                "calibrated to swaptions" if currency.model.calibrated else "not calibrated, parameters as typed",
                currency.longest_maturity,
            ]
        )
        for _, currency in sorted(catalogue.currencies.items())
    ]
    lines = [
        "### Products by currency",
        "",
        *_head(["product", *codes, "note"]),
        *rows,
        "",
        "### Floating-rate indices",
        "",
        *_head(["index", "currency", "coupons", "curve"]),
        *indices,
        "",
        "### Currencies",
        "",
        *_head(["currency", "as base currency", "rate model", "longest maturity"]),
        *models,
    ]
    return "\n".join(lines) + "\n"


def _coupons(index: IndexData) -> str:
    if index.single_payment:
        return "overnight, compounded on business days, paid once"
    return f"overnight, compounded, {index.coupon_tenor}" if index.overnight else index.coupon_tenor


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _head(cells: list[str]) -> list[str]:
    return [_row(cells), _row(["---"] * len(cells))]
