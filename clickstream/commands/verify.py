"""Report the records, damaged lines and torn tail of a journal without changing it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import msgspec

from clickstream.journal.identity import Kind
from clickstream.journal.inspection import Condition, inspect
from clickstream.place import module
from clickstream.stored import StoredEvent
from clickstream.terminal.words import clean

_LINE_SHOWN = 60
_NO_JOURNAL = {
    Kind.ARRAY: "an array of events as an older version wrote it",
    Kind.LINES: "no journal but NDJSON, one event a line; to bring its events in: "
    "{clickstream} replay --from {path} --to URL",
    Kind.OTHER: "no journal, and no array of events",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what `verify` takes."""
    parser.add_argument("file", type=Path, help="the journal, e.g. events_backup.json")


def run(args: argparse.Namespace) -> int:
    """0 when the journal is whole, 1 when something needs mending, 2 when the file cannot be read or is no journal."""
    try:
        condition = inspect(args.file, msgspec.json.Decoder(StoredEvent).decode)
    except OSError as error:
        print(f"{args.file}: {error.strerror}", file=sys.stderr)
        return 2
    print("\n".join(report(args.file, condition)))
    if condition.is_whole:
        return 0
    if condition.kind in (Kind.LINES, Kind.OTHER):
        return 2
    print(f"To mend it: {module('clickstream', 'repair', str(args.file))} (keeps a copy of the file)")
    print("The next start of the API mends it too, and keeps what it takes out.")
    return 1


def report(path: Path, condition: Condition) -> list[str]:
    """The condition in lines for a person, the most important first."""
    if condition.kind is not Kind.JOURNAL:
        return [f"{path}: {_NO_JOURNAL[condition.kind].format(path=path, clickstream=module('clickstream'))}"]
    lines = [f"{path}: {_count(condition.records, 'whole record')}, {_count(condition.damaged, 'damaged line')}"]
    for offset, line in condition.damaged_at:
        shown = clean(line[:_LINE_SHOWN].decode(errors="backslashreplace")) or "no comma before the next record"
        lines.append(f"  damaged at byte {offset}: {shown}{'…' if len(line) > _LINE_SHOWN else ''}")
    if condition.damaged > len(condition.damaged_at):
        lines.append(f"  and {condition.damaged - len(condition.damaged_at)} more")
    if condition.in_use:
        lines.append("  a process is writing it now: its end is not judged")
    elif condition.torn_bytes:
        lines.append(f"  torn tail: {_count(condition.torn_bytes, 'byte')} behind the last whole record")
    elif not condition.is_array:
        lines.append("  a bracket of the array is missing or out of place")
    return lines


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
