"""Counters in Prometheus' text format."""

from collections import Counter
from collections.abc import Iterable, Mapping

_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Seconds that a package took, upper bounds."""
_HELP = {
    "requests_total": "Requests that were answered, by route and status.",
    "packages_total": "Requests for a package, by what became of them.",
    "defects_total": "Defects of refused requests, by class.",
    "package_seconds": "Time from a request to its package or refusal, waiting included.",
    "cache_bytes": "Bytes in the package cache.",
    "workers": "Generator processes that are up.",
    "workers_busy": "Generator processes at work.",
    "requests_waiting": "Requests that wait for a generator process.",
}


class Metrics:
    """Requests by route and status, packages by outcome, defects by class, and the time that packages took."""

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, int]] = Counter()
        self._packages: Counter[str] = Counter()
        self._defects: Counter[str] = Counter()
        self._buckets = [0] * (len(_BUCKETS) + 1)
        self._seconds = 0.0

    def request(self, route: str, status: int) -> None:
        """Counts an answered request."""
        self._requests[route, status] += 1

    def package(self, outcome: str, seconds: float) -> None:
        """Counts a generated or refused package and its seconds."""
        self._packages[outcome] += 1
        self._seconds += seconds
        place = next((place for place, bound in enumerate(_BUCKETS) if seconds <= bound), len(_BUCKETS))
        self._buckets[place] += 1

    def refused(self, codes: Iterable[str]) -> None:
        """Counts the defects of a refused request."""
        self._defects.update(codes)

    def text(self, gauges: Mapping[str, float]) -> str:
        """All counters, and the gauges given."""
        lines = _head("requests_total", "counter")
        for (route, status), count in sorted(self._requests.items()):
            lines.append(f'xva_input_api_requests_total{{route="{route}",status="{status}"}} {count}')
        for name, label, counter in (
            ("packages_total", "outcome", self._packages),
            ("defects_total", "code", self._defects),
        ):
            lines += _head(name, "counter")
            lines += [f'xva_input_api_{name}{{{label}="{key}"}} {count}' for key, count in sorted(counter.items())]
        lines += _head("package_seconds", "histogram")
        total = 0
        for bound, count in zip([*_BUCKETS, "+Inf"], self._buckets, strict=True):
            total += count
            lines.append(f'xva_input_api_package_seconds_bucket{{le="{bound}"}} {total}')
        lines += [
            f"xva_input_api_package_seconds_sum {self._seconds:.6f}",
            f"xva_input_api_package_seconds_count {total}",
        ]
        for name, value in sorted(gauges.items()):
            lines += [*_head(name, "gauge"), f"xva_input_api_{name} {value:g}"]
        return "\n".join(lines) + "\n"


def _head(name: str, kind: str) -> list[str]:
    return [f"# HELP xva_input_api_{name} {_HELP[name]}", f"# TYPE xva_input_api_{name} {kind}"]
