"""`xva-engine input-api`: serves the input API until it is told to stop."""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

KEY_VARIABLE = "XVA_INPUT_API_KEY"


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps the type private
    """Adds the verb."""
    parser = subparsers.add_parser(
        "input-api",
        help="serve the input API over HTTP",
        description=f"Serves the input API. The callers' API key is read from {KEY_VARIABLE}.",
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8085, help="0 takes any free port (default 8085)")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder of the package cache")
    parser.add_argument(
        "--snapshots", type=Path, metavar="DIR", help="folder of market snapshots (default: snapshots in --data)"
    )
    parser.add_argument("--exit-with-parent", action="store_true", help="stop when standard input closes")
    parser.add_argument("--workers", type=int, default=2, help="generator processes (default 2)")
    parser.add_argument("--most-waiting", type=int, default=32, help="requests that may wait for one (default 32)")
    parser.add_argument("--time-limit-seconds", type=float, default=60.0, help="for one package (default 60)")
    parser.add_argument("--most-body-mib", type=int, default=64, help="size of a request (default 64)")
    parser.add_argument("--most-cache-mib", type=int, default=1024, help="size of the cache (default 1024)")
    parser.add_argument("--most-trades", type=int, default=20_000, help="in one request (default 20000)")
    parser.add_argument("--most-values", type=int, default=500_000, help="quotes and fixings (default 500000)")
    parser.add_argument("--most-worker-mib", type=int, default=4096, help="memory of a process (default 4096)")
    parser.add_argument("--openapi", action="store_true", help="print the OpenAPI document and exit")


def execute(args: argparse.Namespace) -> int:
    """Serves; 0 after a graceful stop, 2 for a bad setting."""
    from xva_engine.input_api.app import ApiSettings  # noqa: PLC0415 - heavy imports only once the arguments are right
    from xva_engine.input_api.pool import PoolSettings  # noqa: PLC0415
    from xva_engine.input_api.serve import openapi_text, serve  # noqa: PLC0415

    api_key = os.environ.get(KEY_VARIABLE, "")
    faults = _faults(args, api_key)
    if faults:
        sys.stderr.write("".join(f"xva-engine input-api: {fault}\n" for fault in faults))
        return 2
    pool = PoolSettings(
        folder=args.data,
        most_bytes=args.most_cache_mib * 2**20,
        workers=args.workers,
        most_waiting=args.most_waiting,
        time_limit_seconds=args.time_limit_seconds,
        snapshots=args.snapshots if args.snapshots is not None else args.data / "snapshots",
        most_worker_mib=args.most_worker_mib,
        most_trades=args.most_trades,
        most_values=args.most_values,
    )
    settings = ApiSettings(
        api_key=api_key,
        pool=pool,
        most_body_bytes=args.most_body_mib * 2**20,
        body_seconds=args.time_limit_seconds,
    )
    if args.openapi:
        sys.stdout.write(openapi_text(settings))
        return 0
    return serve(settings, host=args.host, port=args.port, exit_with_parent=args.exit_with_parent)


def _faults(args: argparse.Namespace, api_key: str) -> list[str]:
    """Every bad setting by name."""
    faults = []
    if len(api_key) < 16 and not args.openapi:
        faults.append(f"{KEY_VARIABLE} must hold an API key of at least 16 characters")
    if not 0 <= args.port <= 65535:
        faults.append("--port must be 0 to 65535")
    positive = (
        "workers",
        "most_waiting",
        "time_limit_seconds",
        "most_body_mib",
        "most_cache_mib",
        "most_trades",
        "most_values",
        "most_worker_mib",
    )
    faults += [f"--{name.replace('_', '-')} must be above zero" for name in positive if getattr(args, name) <= 0]
    return faults
