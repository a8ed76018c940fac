"""Ask the collected events a question in SQL, ready or your own, here in DuckDB, or print a ready one for Athena."""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from clickstream.analytics.catalog import OPTIONS, QUESTIONS, Question
from clickstream.analytics.dimensions import KNOWN
from clickstream.analytics.scope import Scope
from clickstream.analytics.steps import SHOP
from clickstream.bounds import UTC, parse_since, parse_until
from clickstream.errors import RequestRefused, failure
from clickstream.event_files import is_parquet, may_hold_events, why_no_events
from clickstream.journal.identity import Kind, identify
from clickstream.journal.settled import settled
from clickstream.option_values import (
    InsteadOf,
    NamedText,
    bound_argument,
    by_argument,
    of_argument,
    steps_argument,
    visit_argument,
    zone_argument,
)
from clickstream.place import module
from clickstream.query import PROPERTY
from clickstream.terminal import words

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from clickstream.analytics.engine import SourceUnreadable, Table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this command."""
    questions = "; ".join(f"{name}: {meaning}" for name, meaning in QUESTIONS.items())
    name = parser.add_argument(
        "name",
        type=name_argument,
        choices=QUESTIONS,
        metavar="NAME",
        help=f"a ready question, unless --query asks one of yours; {questions}",
    )
    parser.add_argument(
        "--query",
        action=InsteadOf,
        instead_of=name,
        metavar="SQL",
        help="SQL of yours in place of NAME, such as 'SELECT page, count(*) FROM events GROUP BY page', over the views "
        "of docs/event-log.md; - reads it from standard input",
    )
    parser.set_defaults(stray_hint=" (name the file with --file)")
    parser.add_argument(
        "--file",
        type=Path,
        help="journal, JSON array, NDJSON or Parquet to ask (default EVENTS_FILE, else events_backup.json)",
    )
    _add_scope(parser)
    _add_options(parser)
    parser.add_argument("--format", choices=_FORMATS, default="table", help="(default %(default)s)")
    parser.add_argument("--athena", action="store_true", help="print the statement for Athena instead of answering")
    parser.add_argument("--database", default="clickstream", help="Glue database for --athena (default %(default)s)")


def _add_scope(parser: argparse.ArgumentParser) -> None:
    """What any question is asked of."""
    parser.add_argument(
        "--since",
        type=bound_argument,
        metavar="TIME",
        help="only events from this time on, such as 2026-01-15T10:30:00Z, or this day, 2026-01-15, on",
    )
    parser.add_argument(
        "--until", type=bound_argument, metavar="TIME", help="only events before this time, or up to this day, included"
    )
    parser.add_argument(
        "--zone",
        type=zone_argument,
        default=UTC,
        metavar="ZONE",
        help="whose days are meant and told, such as Europe/Berlin (default %(default)s)",
    )
    parser.add_argument(
        "--visit",
        type=visit_argument,
        action=NamedText,
        default={},
        metavar="NAME=TEXT",
        help="only visits in which an event says so, such as device=mobile; several NAMEs: visits that say all of it; "
        f"NAME is one of {', '.join(KNOWN)}, or {PROPERTY} and the name of a property of yours",
    )
    parser.add_argument(
        "--without",
        type=visit_argument,
        action=NamedText,
        default={},
        metavar="NAME=TEXT",
        help="only visits in which no event says so, such as is_bot=true; NAME as for --visit",
    )


def _add_options(parser: argparse.ArgumentParser) -> None:
    """What only some questions have."""
    parser.add_argument(
        "--steps",
        type=steps_argument,
        default=(),
        metavar="STEP,STEP",
        help=f"of funnel: types of events, or pages such as /pricing (default {','.join(SHOP)})",
    )
    parser.add_argument(
        "--by",
        type=by_argument,
        metavar="NAME",
        help=f"of breakdown: by this alone; of funnel: for each value of it; a NAME of --visit, such as {PROPERTY}plan",
    )
    parser.add_argument("--of", type=of_argument, metavar="TYPE", help="of breakdown: count only events of TYPE")


def run(args: argparse.Namespace) -> int:
    """Print the answer; 1 when the file cannot be read.

    Raises RequestRefused when that needs too much memory, for what the question does not have, and for SQL that cannot
    be answered.
    """
    if reason := _wrong_with_query(args):
        raise RequestRefused("invalid_parameter", reason, field="query")
    question = None if args.name is None else Question(args.name, args.steps, args.by or "", args.of or "")
    if question and args.athena:
        return _print_statement(question, args)
    file: Path = args.settings().events_file if args.file is None else args.file
    if complaint := _complaint(file):
        print(complaint, file=sys.stderr)
        return 1
    from clickstream.analytics import engine, own, sources  # noqa: PLC0415 (DuckDB takes 60 ms that --help need not pay)

    sql = "" if question else _sql(args.query)
    try:
        with settled(file) as whole:
            source = sources.of_file(whole)
            table = engine.answer(question, source, _scope(args)) if question else own.answer(sql, source, _scope(args))
    except engine.SourceUnreadable as problem:
        print(_unreadable(file, problem), file=sys.stderr)
        return 1
    except OSError as problem:
        print(failure(problem), file=sys.stderr)
        return 1
    _print(table, args.format, file, args.zone)
    return 0


def _wrong_with_query(args: argparse.Namespace) -> str:
    """What does not go together with --query; empty when all does."""
    if args.query is None:
        return ""
    if args.name is not None:
        return f"either the question {args.name} or --query, not both"
    if args.athena:
        return "--athena prints ready questions only: Athena may read SQL of yours otherwise than DuckDB, or not at all"
    given = [option for option in OPTIONS if getattr(args, option)]
    return f"--query has no --{given[0]}: say it in its SQL" if given else ""


def _sql(query: str) -> str:
    if query != _STANDARD_INPUT:
        return query
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError:
        raise RequestRefused("invalid_parameter", "the query needs to be a text in UTF-8", field="query") from None


def _scope(args: argparse.Namespace) -> Scope:
    since_ms = None if args.since is None else parse_since(args.since, args.zone)
    until_ms = None if args.until is None else parse_until(args.until, args.zone)
    return Scope(since_ms, until_ms, args.visit, args.without, args.zone)


def _complaint(path: Path) -> str | None:
    """Why `path` cannot be asked, and what to do; None for a file that can be opened."""
    try:
        if path.is_dir():
            return f"{path} is a directory: name one file with --file"
        if path.exists() and not path.is_file():  # opening a pipe would wait for whoever writes it
            return f"{path} is a pipe or a device: write what it gives into a file and name that with --file"
        if not (may_hold_events(path) or is_parquet(path) or path.suffix == ".gz"):
            return f"{path} {why_no_events(path)}"
    except FileNotFoundError:
        return f"{path} is not there: name a file with --file, or collect one with ./run_demo.sh"
    except OSError as problem:
        return failure(problem)
    return None


def _unreadable(path: Path, problem: SourceUnreadable) -> str:
    """What is wrong with `path`, of which DuckDB says `problem`, and what to do."""
    if is_parquet(path):
        return f"{path} is damaged: {problem}"
    with path.open("rb") as file:
        kind = identify(file.fileno())
    if kind is Kind.OTHER:
        return f"{path} {why_no_events(path)}"
    return f"{path} is damaged: {problem}\n{module('clickstream', 'verify', str(path))} says where."


def _print_statement(question: Question, args: argparse.Namespace) -> int:
    try:
        from clickstream.analytics import athena  # noqa: PLC0415 (sqlglot is not among the product's packages)
    except ModuleNotFoundError as missing:
        print(f"--athena needs {missing.name}: {module('pip', 'install', missing.name or 'sqlglot')}", file=sys.stderr)
        return 1
    print(athena.statement(question, _scope(args), database=args.database))
    return 0


def _print(table: Table, form: str, file: Path, zone: ZoneInfo) -> None:
    from clickstream.terminal.answers import value_text  # noqa: PLC0415 (--help need not load its tables)

    if form == "json":
        print(words.as_json(table.as_dict()))
    elif form == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(table.columns)
        # Where a program reads it, a value is what was sent; on a terminal it is what can be shown.
        shown = words.clean if sys.stdout.isatty() else str
        writer.writerows([shown(value_text(cell)) for cell in row] for row in table.rows)
    else:
        _print_table(table, file, zone)


def _print_table(table: Table, file: Path, zone: ZoneInfo) -> None:
    from clickstream.terminal.answers import grid  # noqa: PLC0415 (only the table needs it)
    from clickstream.terminal.console import console_for_lines  # noqa: PLC0415 (as above)

    console = console_for_lines()
    # Not the grid's own title, which would be broken at the width of the grid.
    is_ready = table.name in QUESTIONS
    days = "" if zone is UTC else f", days of {zone}"
    title = f"{table.name} of {file}{f': {QUESTIONS[table.name]}{days}' if is_ready else ''}"
    console.print(words.clean(title), markup=False, highlight=False)
    console.print(grid(table, exact=not is_ready))


def name_argument(value: str) -> str:
    """The name of a question, for argparse."""
    if " " in value.strip():
        raise argparse.ArgumentTypeError(f"{value!r} is no name of a question; SQL of yours goes behind --query")
    return value


_FORMATS: Final = ("table", "json", "csv")
_STANDARD_INPUT: Final = "-"
