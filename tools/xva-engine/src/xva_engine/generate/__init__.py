"""The generator: a frozen request becomes a complete input package for the engine."""
