"""Command line of the engine package: verbs live in modules of their own, imported only when asked for."""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from xva_engine import __version__

_VERBS = {
    "generate": ("xva_engine.generate.command", "turn a frozen request into an input package"),
    "error-bars": ("xva_engine.precision.command", "standard errors of a package's figures, per netting set"),
    "preflight": ("xva_engine.preflight.command", "look at a package for all that the engine would not tell"),
    "input-api": ("xva_engine.input_api.command", "serve the input API over HTTP"),
    "sample": ("xva_engine.sample.command", "print one of the sample books"),
    "run": ("xva_engine.run.command", "run one shard of a package"),
    "merge": ("xva_engine.merge.command", "merge the bundles of a run's shards"),
    "compare": ("xva_engine.run.compare_command", "compare two results to the last digit"),
    "plan-task": ("xva_engine.run.plan_task_command", "write the spec of a shard or a merge by hand"),
    "table": ("xva_engine.run.table_command", "print a table of a result"),
}
"""Each module has `add_parser(subparsers)` and `execute(args) -> int`."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one verb and returns its exit code; 2 for a usage error."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(prog="xva-engine", description="Input packages, task runner and merge around ORE.")
    parser.add_argument("--version", action="version", version=f"xva-engine {__version__}")
    subparsers = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    asked = next((word for word in arguments if not word.startswith("-")), None)
    module = None
    for verb, (module_name, summary) in _VERBS.items():
        if verb == asked:
            module = import_module(module_name)
            module.add_parser(subparsers)
        else:
            subparsers.add_parser(verb, help=summary)
    args = parser.parse_args(arguments)
    if module is None:
        parser.error(f"no verb is called {asked}")
    return int(module.execute(args))


if __name__ == "__main__":
    sys.exit(main())
