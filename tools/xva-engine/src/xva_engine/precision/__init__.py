"""How sure the simulated figures are: a rerun on half the samples gives each netting set an error bar."""

from xva_engine.precision.error_bars import MEASURES, ErrorBar, error_bars

__all__ = ["MEASURES", "ErrorBar", "error_bars"]
