"""Random books through the generator and the engine: what is packaged must run without a word in the engine's log.

`python -m tests.generate.engine_soak --seed N --count M`; exits 1 on a broken promise and prints what it tried.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from tests import requests as req
from tests.bare_engine import run
from tests.generate.test_engine_accepts import assert_complete
from tests.generate.test_properties import book_request, random_trades
from xva_engine.generate.package import PackageRefusedError


def main() -> int:
    """Tries the books."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=100)
    args = parser.parse_args()
    seen = {"run": 0, "refused": 0, "trades": 0}

    @seed(args.seed)
    @settings(
        max_examples=args.count, deadline=None, database=None, print_blob=True, suppress_health_check=list(HealthCheck)
    )
    @given(st.lists(random_trades(), min_size=1, max_size=8))
    def check(trades: list[tuple[str, str, dict[str, str]]]) -> None:
        request = book_request(trades)
        request["settings"] |= {"samples": 2, "grid": ["1W", "1Y", "5Y", "20Y"]}
        try:
            package = req.package(request)
        except PackageRefusedError:
            seen["refused"] += 1
            return
        with tempfile.TemporaryDirectory() as folder:
            assert_complete(run(package, Path(folder)), package.manifest)
        seen["run"] += 1
        seen["trades"] += sum(len(item.trades) for item in package.manifest.netting_sets)

    try:
        check()
    except Exception as error:
        print(f"seed {args.seed}: {error}")
        raise
    print(f"seed {args.seed}: {seen['run']} books with {seen['trades']} trades ran, {seen['refused']} were refused")
    return 0


if __name__ == "__main__":
    sys.exit(main())
