"""`xva-engine sample`: prints one of the sample books."""

import argparse
import json
import sys
from typing import Any

_FORMATS = ("frozen-request", "rows-json")


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps the type private
    """Adds the verb."""
    parser = subparsers.add_parser("sample", help="print one of the sample books")
    parser.add_argument("--book", choices=("demo", "small"), required=True)
    parser.add_argument("--revision", type=int, default=1, help="revision of the request (default 1)")
    parser.add_argument("--format", choices=_FORMATS, default=_FORMATS[0], help="one request, or rows by table")


def execute(args: argparse.Namespace) -> int:
    """Prints JSON; 2 for a revision that is none."""
    from xva_engine.sample import frozen_request, rows  # noqa: PLC0415 - loads the engine's calendars

    if args.revision < 1:
        sys.stderr.write("xva-engine sample: --revision must be 1 or more\n")
        return 2
    make = frozen_request if args.format == "frozen-request" else rows
    json.dump(make(args.book, args.revision), sys.stdout, ensure_ascii=False, indent=2)
    sys.stdout.write("\n")
    return 0
