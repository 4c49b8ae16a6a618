"""`xva-engine merge`: the union of a run's shards."""

import argparse


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the verb."""
    from xva_engine.run.command import add_task_arguments  # noqa: PLC0415

    parser = subparsers.add_parser(
        "merge",
        help="merge the bundles of a run's shards",
        description="Verifies that the bundles belong together and writes the run's tables and summary.json.",
        epilog="Exit codes: 0 success, 2 usage, 10 bundles that do not belong together, 20 strict run with rejections "
        "or nothing to publish, 50 cancelled, 60 infrastructure, 70 internal.",
    )
    add_task_arguments(parser)


def execute(args: argparse.Namespace) -> int:
    """Runs the verb."""
    from xva_engine.merge.work import run_merge  # noqa: PLC0415
    from xva_engine.run.session import Session, run_session  # noqa: PLC0415

    return run_session(Session(args.root, args.out), args.task, run_merge)
