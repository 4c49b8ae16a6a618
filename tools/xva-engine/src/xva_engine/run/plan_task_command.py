"""`xva-engine plan-task`: a task's spec by hand, for replaying a package and for control runs."""

import argparse
import base64
import hashlib
import json
import re
import sys
from pathlib import Path


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the verb."""
    parser = subparsers.add_parser(
        "plan-task",
        help="write the spec of a shard, or of a merge, by hand",
        description="Writes task.json for the netting sets given (a shard) or for the bundles given (a merge).",
    )
    parser.add_argument("--manifest", type=Path, required=True, help="the package's manifest.json")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--netting-sets", help="ids with commas between, or `all`")
    what.add_argument("--merge", type=Path, nargs="+", metavar="BUNDLE", help="bundles of the shards, under --root")
    parser.add_argument("--trades", default="", help="only these trades of the one netting set: writes a cube")
    parser.add_argument("--root", type=Path, default=Path(), help="folder that the merge's paths start from")
    parser.add_argument("--out", type=Path, required=True, help="the spec to write")
    parser.add_argument("--task-id", default=None, help="default shard-0001 or merge")
    parser.add_argument("--run-id", default=None, help="default: derived from the manifest's event")
    parser.add_argument("--attempt", type=int, default=1)


def execute(args: argparse.Namespace) -> int:
    """Runs the verb."""
    from xva_engine.contracts import EXIT_CODES, Manifest  # noqa: PLC0415
    from xva_engine.run.errors import BadInputError  # noqa: PLC0415

    try:
        data = args.manifest.read_bytes()
        manifest = Manifest.model_validate_json(data)
        common = {
            "schemaVersion": "1.0",
            "runId": args.run_id or derive_run_id(manifest.event_id, manifest.request_key.book, manifest.as_of),
            "eventId": manifest.event_id,
            "attempt": args.attempt,
            "taskId": args.task_id or ("merge" if args.merge else "shard-0001"),
            "packageId": hashlib.sha256(manifest.canonical_bytes()).hexdigest(),
            "sharedInputHash": manifest.shared_input_hash,
        }
        if args.merge:
            spec = {**common, "kind": "merge", **_merge(args, [part.to_json() for part in manifest.parts])}
        else:
            known = [one.id for one in manifest.netting_sets]
            wanted = known if args.netting_sets == "all" else [w for w in args.netting_sets.split(",") if w]
            if unknown := sorted(set(wanted) - set(known)):
                raise BadInputError(f"the manifest has no netting set {', '.join(unknown)}; it has {', '.join(known)}")
            parts = [part.to_json() for part in manifest.parts]
            trades = [word for word in args.trades.split(",") if word]
            spec = {**common, "kind": "shard", "parts": parts, "nettingSets": wanted}
            spec |= {"trades": trades} if trades else {}
        _checked(spec)
    except (BadInputError, ValueError, OSError) as error:
        print(f"badInput: {error}", file=sys.stderr)
        return EXIT_CODES["badInput"]
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(spec, indent=1))
    return 0


def _merge(args: argparse.Namespace, parts: list[dict[str, object]]) -> dict[str, object]:
    from xva_engine.run.bundle_file import read_bundle  # noqa: PLC0415

    inputs = []
    root = args.root.resolve()
    for path in args.merge:
        bundle = read_bundle(path)
        info = bundle.info
        sets = sorted({*info.netting_sets, *(rejection.netting_set_id for rejection in info.rejections)})
        inputs.append(
            {
                "taskId": info.task_id,
                "attempt": info.attempt,
                "bundleId": info.bundle_id,
                "path": path.resolve().relative_to(root).as_posix(),
                "sha256": bundle.sha256,
                "nettingSets": sets,
                **({"trades": info.trades} if info.trades else {}),
            }
        )
    cubes = any("trades" in one for one in inputs)
    return {
        **({"parts": parts} if cubes else {}),
        "manifestPath": args.manifest.resolve().relative_to(root).as_posix(),
        "bundles": inputs,
    }


def _checked(spec: dict[str, object]) -> None:
    from xva_engine.contracts import parse_task_spec  # noqa: PLC0415

    parse_task_spec(json.dumps(spec))


def derive_run_id(event_id: str, book: str, as_of: str) -> str:
    """The run id that `deriveRunId` of the contracts gives for the same event."""
    slug = re.sub(r"[^a-z0-9]+", "-", book.lower())[:12].strip("-") or "book"
    digest = hashlib.sha256(f"run:{event_id}".encode()).digest()[:10]
    return f"xva-{as_of.replace('-', '')}-{slug}-{base64.b32encode(digest).decode().lower()[:14]}"
