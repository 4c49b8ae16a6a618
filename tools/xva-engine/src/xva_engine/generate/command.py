"""`xva-engine generate`: a frozen request becomes a folder with the package."""

import argparse
import sys
from pathlib import Path
from typing import Any


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps the type private
    """Adds the verb."""
    parser = subparsers.add_parser("generate", help="turn a frozen request into an input package")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--request", type=Path, metavar="FILE", help="the frozen request, JSON")
    what.add_argument("--matrix", action="store_true", help="print what is supported, as markdown")
    parser.add_argument("--snapshots", type=Path, metavar="DIR", help="folder of market snapshots")
    parser.add_argument("--out", type=Path, metavar="DIR", help="an empty or new folder for the package")


def execute(args: argparse.Namespace) -> int:
    """Writes the package and prints its id; 10 if it is refused, with the problem on stdout."""
    from xva_engine.contracts import EXIT_CODES  # noqa: PLC0415
    from xva_engine.generate.matrix import matrix_markdown  # noqa: PLC0415
    from xva_engine.generate.package import PackageRefusedError, generate  # noqa: PLC0415
    from xva_engine.generate.request import parse_request  # noqa: PLC0415
    from xva_engine.generate.snapshots import SnapshotFolder  # noqa: PLC0415

    if args.matrix:
        sys.stdout.write(matrix_markdown())
        return EXIT_CODES["success"]
    if args.out is None or (args.out.exists() and (not args.out.is_dir() or any(args.out.iterdir()))):
        sys.stderr.write("xva-engine generate: --out must name an empty or new folder\n")
        return EXIT_CODES["usage"]
    try:
        snapshots = SnapshotFolder(args.snapshots) if args.snapshots is not None else None
        package = generate(parse_request(args.request.read_bytes()), snapshots=snapshots)
    except OSError as error:
        sys.stderr.write(f"xva-engine generate: {error}\n")
        return EXIT_CODES["usage"]
    except PackageRefusedError as error:
        sys.stdout.write(f"{error.problem().model_dump_json(by_alias=True, exclude_unset=True)}\n")
        return EXIT_CODES["badInput"]
    for path, content in package.files.items():
        target = args.out / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    (args.out / "manifest.json").write_bytes(package.manifest_bytes)
    sys.stdout.write(f"{package.package_id}\n")
    return EXIT_CODES["success"]
