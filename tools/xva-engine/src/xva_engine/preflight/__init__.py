"""Pre-flight: a package's files looked at for everything that the engine would get wrong without a word."""

from xva_engine.preflight.check import Report, preflight

__all__ = ["Report", "preflight"]
