"""Trade types, one file each: its terms, how they are read, what prices it and what it costs.

A file of this package that has a `PRODUCT` is a trade type; nothing else names it.
"""

import pkgutil
from importlib import import_module

from xva_engine.generate.trades.base import Product, TradeContext, TradeView


def _discover() -> dict[str, Product]:
    modules = (import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__))
    products = [module.PRODUCT for module in modules if hasattr(module, "PRODUCT")]
    return {product.name: product for product in sorted(products, key=lambda product: product.name)}


PRODUCTS = _discover()
"""By name of the trade type."""

__all__ = ["PRODUCTS", "Product", "TradeContext", "TradeView"]
