"""What the generator knows of currencies, indices, curves and models: typed data files, one per currency."""

from xva_engine.data.catalogue import CATALOGUE, Catalogue, load_catalogue
from xva_engine.data.models import CurrencyData, CurveData, IndexData, MarketData, SegmentData

__all__ = [
    "CATALOGUE",
    "Catalogue",
    "CurrencyData",
    "CurveData",
    "IndexData",
    "MarketData",
    "SegmentData",
    "load_catalogue",
]
