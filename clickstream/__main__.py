"""`python -m clickstream <command>`: the operator's tools; every module in commands/ is one."""

from __future__ import annotations

import clickstream.packages  # noqa: F401 - first: it says what to do when packages are missing

# isort: split
import argparse
import importlib
import pkgutil
import sys
from functools import cache
from typing import TYPE_CHECKING

from clickstream import __version__, commands
from clickstream.errors import ClickstreamError, failure
from clickstream.place import module, scripts
from clickstream.terminal.words import clean_lines

if TYPE_CHECKING:
    from config import Settings


def main() -> int:
    """Run one command; 0 when all is well, 1 when it found something wrong, 2 when it could not run."""
    parser = argparse.ArgumentParser(prog=module("clickstream"), description="Tools around the clickstream platform.")
    parser.add_argument("--version", action="version", version=__version__)
    subparsers = parser.add_subparsers(metavar="command", required=True)
    for found in pkgutil.iter_modules(commands.__path__):
        command = importlib.import_module(f"{commands.__name__}.{found.name}")
        sentence = (command.__doc__ or "").strip().splitlines()[0]
        subparser = subparsers.add_parser(found.name, help=sentence, description=command.__doc__)
        subparser.set_defaults(stray_hint="")
        command.add_arguments(subparser)
        subparser.set_defaults(run=command.run, settings=_settings, parser=subparser)
    arguments, more = parser.parse_known_args()
    if more:
        hint = "" if more[0].startswith("-") else arguments.stray_hint
        arguments.parser.error(f"unrecognized arguments: {' '.join(more)}{hint}")
    try:
        return int(arguments.run(arguments))
    except ClickstreamError as problem:
        sys.stderr.write(f"{clean_lines(str(problem))}\n")  # an API that lies may have had its say in it
        return 2
    except OSError as problem:
        sys.stderr.write(f"{failure(problem)}\n")
        return 2
    except KeyboardInterrupt:
        return 130


@cache  # what is told about them is told once
def _settings() -> Settings:
    """What the environment says, for the commands that ask; a config.py of the working directory is not ours."""
    sys.path.insert(0, str(scripts()))
    config = importlib.import_module("config")
    settings: Settings = config.from_environment()
    return settings


if __name__ == "__main__":
    sys.exit(main())
