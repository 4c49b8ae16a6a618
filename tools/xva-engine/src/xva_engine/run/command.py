"""`xva-engine run`: one shard."""

import argparse
import sys
from pathlib import Path


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the verb."""
    parser = subparsers.add_parser(
        "run",
        help="run one shard of a package",
        description="Runs the netting sets of one shard and writes out/bundle-<id>.tar and out/report-<id>.json.",
        epilog="Exit codes: 0 success, 2 usage, 10 bad input, 20 model failure, 30 engine crash, 40 out of memory, "
        "50 cancelled, 60 infrastructure, 70 internal.",
    )
    add_task_arguments(parser)
    parser.add_argument("--memory-limit-mb", type=int, default=None, help="limit of the engine's private memory")


def add_task_arguments(parser: argparse.ArgumentParser) -> None:
    """What every task takes."""
    parser.add_argument("--task", type=Path, required=True, help="the task's spec (task.json)")
    parser.add_argument("--root", type=Path, default=Path(), help="folder that the spec's paths start from")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for results, created if missing")


def execute(args: argparse.Namespace) -> int:
    """Runs the verb."""
    from xva_engine.run.engine import EngineProcess  # noqa: PLC0415

    try:
        (args.out / "logs").mkdir(parents=True, exist_ok=True)
        engine = EngineProcess(args.out / "logs", args.memory_limit_mb)
    except OSError as error:
        print(f"infrastructure: {error}", file=sys.stderr)
        return 60
    # The engine's process imports the engine (0.4 s) while this one imports the contracts (0.2 s).
    with engine:
        from xva_engine.run.session import Session, run_session  # noqa: PLC0415
        from xva_engine.run.shard import run_shard  # noqa: PLC0415

        session = Session(args.root, args.out)
        return run_session(session, args.task, lambda own, spec: run_shard(own, spec, engine))
