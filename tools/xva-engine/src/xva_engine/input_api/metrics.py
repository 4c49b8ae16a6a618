"""Counters in Prometheus' text format."""

from collections import Counter
from collections.abc import Mapping


class Metrics:
    """Requests by route and status, and the time that packages took."""

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, int]] = Counter()
        self._packages: Counter[str] = Counter()
        self._seconds = 0.0

    def request(self, route: str, status: int) -> None:
        """Counts an answered request."""
        self._requests[route, status] += 1

    def package(self, outcome: str, seconds: float) -> None:
        """Counts a generated or refused package and its seconds."""
        self._packages[outcome] += 1
        self._seconds += seconds

    def text(self, gauges: Mapping[str, float]) -> str:
        """All counters, and the gauges given."""
        lines = ["# TYPE xva_input_api_requests_total counter"]
        for (route, status), count in sorted(self._requests.items()):
            lines.append(f'xva_input_api_requests_total{{route="{route}",status="{status}"}} {count}')
        lines.append("# TYPE xva_input_api_packages_total counter")
        for outcome, count in sorted(self._packages.items()):
            lines.append(f'xva_input_api_packages_total{{outcome="{outcome}"}} {count}')
        lines.append("# TYPE xva_input_api_package_seconds_total counter")
        lines.append(f"xva_input_api_package_seconds_total {self._seconds:.6f}")
        for name, value in sorted(gauges.items()):
            lines += [f"# TYPE xva_input_api_{name} gauge", f"xva_input_api_{name} {value:g}"]
        return "\n".join(lines) + "\n"
