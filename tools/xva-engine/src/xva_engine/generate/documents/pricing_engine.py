"""`pricingengine.xml`: which engine prices what; the same for every run."""

from xva_engine.generate.trades import PRODUCTS
from xva_engine.generate.xml import document, leaves, node


def pricing_engine() -> bytes:
    """The document, with the engines of all trade types."""
    engines = {engine.product: engine for product in PRODUCTS.values() for engine in product.engines}
    products = [
        node(
            "Product",
            *leaves(Model=engine.model, ModelParameters="", Engine=engine.engine, EngineParameters=""),
            type=engine.product,
        )
        for _, engine in sorted(engines.items())
    ]
    parameter = node("Parameter", "false", name="ContinueOnCalibrationError")
    return document(node("PricingEngines", *products, node("GlobalParameters", parameter)))
