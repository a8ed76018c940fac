"""The dashboard's numbers in a terminal: once, with `--watch` live, `--file` without an API."""

from __future__ import annotations

import clickstream.packages  # noqa: F401 - first: it says what to do when packages are missing

# isort: split
import argparse
import codecs
import io
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.text import Text

import config
from clickstream.client.reading import ApiProblem, ApiReader
from clickstream.errors import ConfigError, JournalError, failure
from clickstream.place import command
from clickstream.stats import WINDOWS
from clickstream.terminal import words
from clickstream.terminal.counting import count_file
from clickstream.terminal.report import NARROWEST, WIDEST, Paper, lines
from clickstream.terminal.watch import watch
from clickstream.timestamps import now_ms

PIPED_WIDTH: Final = 100  # a pipe has no width; the report is then the same everywhere
NO_NUMBERS: Final = 1
USAGE: Final = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when numbers were shown, 1 when there are none to be had, 2 for a wrong argument or setting."""
    options = _parser().parse_args(arguments)
    codecs.register_error("legible", words.legible)
    if isinstance(sys.stdout, io.TextIOWrapper):  # what a sender wrote may have no place in the terminal's encoding
        sys.stdout.reconfigure(errors="legible")
    console = Console(highlight=False, soft_wrap=True)
    if options.watch and not options.json and not console.is_terminal:
        return _fail("--watch needs a terminal; leave it out to write one report, or add --json", USAGE)
    try:
        _show(_source(options), console, options)
        sys.stdout.flush()  # here, where a reader that has gone is no fault
    except ConfigError as problem:
        return _fail(str(problem), USAGE)
    except ApiProblem as problem:
        return _fail(f"{problem}\n{_remedy(problem)}", NO_NUMBERS)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader has seen enough
    except FileNotFoundError:
        return _fail(f"there is no file {options.file}: say where the journal is, or leave --file out", NO_NUMBERS)
    except (JournalError, OSError) as problem:
        return _fail(failure(problem) if isinstance(problem, OSError) else str(problem), NO_NUMBERS)
    except KeyboardInterrupt:
        pass  # how --watch ends
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--api", metavar="URL", help="address of the API (default: API_URL, else API_HOST and API_PORT)"
    )
    parser.add_argument(
        "--file",
        metavar="PATH",
        type=Path,
        help="count events_backup.json itself, or an export as json or ndjson; no API",
    )
    parser.add_argument("--window", choices=[*WINDOWS, "all"], default="all", help="how far back (default: all)")
    parser.add_argument("--watch", action="store_true", help="redraw in place until Ctrl-C")
    parser.add_argument(
        "--interval", metavar="S", type=_seconds, default=2.0, help="seconds between readings (default: 2)"
    )
    parser.add_argument("--json", action="store_true", help="print the numbers as the API's /stats gives them")
    return parser


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0.5 <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text}: expected 0.5 to 3600 seconds")
    return seconds


def _source(options: argparse.Namespace) -> Callable[[], dict[str, Any]]:
    if options.file is not None:
        return lambda: count_file(options.file, options.window, now_ms())
    settings = config.from_environment()
    reader = ApiReader((options.api or settings.api_url).rstrip("/"), read_token=settings.read_token)
    return lambda: reader.stats(options.window)


def _show(read: Callable[[], dict[str, Any]], console: Console, options: argparse.Namespace) -> None:
    ascii_only = _ascii_only(console)
    while options.watch and options.json:
        print(words.as_json(read(), ascii_only=ascii_only), flush=True)
        time.sleep(options.interval)
    if options.watch:
        watch(read, console, interval_s=options.interval, fresh=_origin(options))
    elif options.json:
        print(words.as_json(read(), indent=2, ascii_only=ascii_only))
    else:
        _print(read(), console, options)


def _print(numbers: dict[str, Any], console: Console, options: argparse.Namespace) -> None:
    terminal = console.is_terminal
    ascii_only = _ascii_only(console)
    width = min(max(console.width, NARROWEST), WIDEST) if terminal else PIPED_WIDTH
    state = Text(_origin(options), style="green")
    for line in lines(numbers, Paper(width, bars=terminal, ascii_only=ascii_only), state=state):
        if terminal:
            console.print(line)
        else:
            print(line.plain)
    sys.stdout.flush()  # a reader that has gone is noticed here, not while the interpreter ends


def _origin(options: argparse.Namespace) -> str:
    """Where numbers that were just read come from."""
    return words.clean(f"from {options.file}") if options.file else "live"


def _ascii_only(console: Console) -> bool:
    return not console.encoding.lower().startswith("utf")


def _remedy(problem: ApiProblem) -> str:
    if problem.kind == "unreachable":
        return f"Start it with ./run_demo.sh or {command('local_api.py')}, or read a file: --file events_backup.json"
    if problem.kind == "replaying":
        done = "" if problem.progress is None else f"It has read {problem.progress:.0%} of it. "
        return f"{done}Try again in a moment, or watch it with --watch."
    if problem.status == 401:
        return "Set READ_TOKEN to the token the API was started with."
    return "Is this the address of the API? Say another one with --api."


def _fail(message: str, code: int) -> int:
    print(words.clean_lines(f"visualize: {message}"), file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
