"""`xva-engine preflight`: a package in a folder looked at before anything runs."""

import argparse
import sys
from pathlib import Path
from typing import Any


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps the type private
    """Adds the verb."""
    parser = subparsers.add_parser("preflight", help="look at a package for all that the engine would not tell")
    parser.add_argument("--package", type=Path, required=True, metavar="DIR", help="the folder that holds Input/")


def execute(args: argparse.Namespace) -> int:
    """Prints every defect and warning, one per line; 10 if there is any defect."""
    from xva_engine.contracts import EXIT_CODES  # noqa: PLC0415
    from xva_engine.preflight import preflight  # noqa: PLC0415

    files = {
        path.relative_to(args.package).as_posix(): path.read_bytes()
        for path in sorted((args.package / "Input").glob("*"))
        if path.is_file()
    }
    if not files:
        sys.stderr.write(f"xva-engine preflight: {args.package} has no folder Input with files\n")
        return EXIT_CODES["usage"]
    report = preflight(files)
    for kind, defects in (("refused", report.errors), ("warning", report.warnings)):
        for defect in defects:
            sys.stdout.write(f"{kind} {defect.code}: {defect.sentence}\n")
    sys.stdout.write(f"{len(report.errors)} defects, {len(report.warnings)} warnings\n")
    return EXIT_CODES["badInput"] if report.errors else EXIT_CODES["success"]
