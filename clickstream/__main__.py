"""`python -m clickstream <command>`: the operator's tools; every module in commands/ is one."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys

from clickstream import __version__, commands
from clickstream.errors import ClickstreamError


def main() -> int:
    """Run one command; 0 when all is well, 1 when it found something wrong, 2 when it could not run."""
    parser = argparse.ArgumentParser(prog="python -m clickstream", description="Tools around the clickstream platform.")
    parser.add_argument("--version", action="version", version=__version__)
    subparsers = parser.add_subparsers(metavar="command", required=True)
    for module in pkgutil.iter_modules(commands.__path__):
        command = importlib.import_module(f"{commands.__name__}.{module.name}")
        sentence = (command.__doc__ or "").strip().splitlines()[0]
        subparser = subparsers.add_parser(module.name, help=sentence, description=command.__doc__)
        command.add_arguments(subparser)
        subparser.set_defaults(run=command.run)
    arguments = parser.parse_args()
    try:
        return int(arguments.run(arguments))
    except (ClickstreamError, OSError) as problem:
        sys.stderr.write(f"{problem}\n")
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
