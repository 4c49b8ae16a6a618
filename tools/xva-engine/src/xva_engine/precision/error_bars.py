"""Error bars of netting sets from two runs: all samples, and half as many under another seed."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MEASURES = ("cva", "dva", "fba", "fca", "fva", "colva", "baselEpe", "baselEepe")
"""Simulated figures of the table `xva_netting_set`, in base currency. NPV is not simulated."""
_SHRINK = 1 / math.sqrt(3)


@dataclass(frozen=True)
class ErrorBar:
    """A figure, the same from half the samples, and the standard error of the first; all in base currency."""

    netting_set_id: str
    measure: str
    value: float
    half_sample_value: float
    standard_error: float


def error_bars(whole: Sequence[Mapping[str, Any]], half: Sequence[Mapping[str, Any]]) -> list[ErrorBar]:
    """One bar per netting set and measure that both tables have (rows of `xva_netting_set`), in the order of `whole`.

    The runs are independent (two scrambles of the sequence). With the variance v of the mean over all samples, that
    over half of them is 2v and that of the difference 3v, so that |difference| / sqrt(3) estimates the standard error.
    It is one draw: it may be small by chance, so read the bars of many netting sets, or of several measures, together.
    A quasi-random sequence converges faster than that rule says, which makes the bars err on the wide side.
    """
    coarse = {row["nettingSetId"]: row for row in half}
    return [
        ErrorBar(
            row["nettingSetId"],
            measure,
            row[measure],
            coarse[row["nettingSetId"]][measure],
            abs(row[measure] - coarse[row["nettingSetId"]][measure]) * _SHRINK,
        )
        for row in whole
        if row["nettingSetId"] in coarse
        for measure in MEASURES
        if row[measure] is not None and coarse[row["nettingSetId"]][measure] is not None
    ]
