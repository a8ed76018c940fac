"""`python -m benchmarks.analytics`: every question in SQL over a large journal, on its Parquet copy.

A day of simulated shoppers is written again and again with other ids on other days; people come back on some of them.
"""

from __future__ import annotations

import argparse
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from benchmarks import machine
from benchmarks.report import Figure, table
from clickstream.analytics.catalog import BREAKDOWN, FUNNEL, QUESTIONS, Question
from clickstream.analytics.columns import ColumnCopy
from clickstream.analytics.engine import answer
from clickstream.analytics.scope import EVERYTHING, Scope

_EVENTS_A_DAY: Final = 500_000
_FIRST_DAY: Final = date(2026, 1, 1)
_DAYS_OF_A_PERSON: Final = 4
_CHOSEN: Final = Scope(visit={"device": "mobile"})
_OWN: Final = "property.category"
_OWN_CHOSEN: Final = Scope(visit={_OWN: "Kitchen"})
_STEPS: Final = ("/", "search", "add_to_cart", "purchase")
_CLOSING: Final = len("\n]\n")


def main() -> int:
    """Write the journal, make its copy, ask each question, print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.analytics", description=__doc__)
    parser.add_argument("--days", type=int, default=20, help="of 500,000 events each (default 20: ten million)")
    parser.add_argument("--events-a-day", type=int, default=_EVENTS_A_DAY, help="(default %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="of which the median is taken (default %(default)s)")
    parser.add_argument("--without-sessions", action="store_true", help="senders that give no session_id")
    parser.add_argument("--directory", type=Path, default=Path.cwd(), help="needs about 500 bytes an event")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.directory, prefix=".bench-") as name:
        journal = Path(name) / "events_backup.json"
        day = _day(Path(name), args.events_a_day, with_sessions=not args.without_sessions)
        write_journal(journal, day, args.days)
        figures = measure(journal, events=args.days * args.events_a_day, rounds=args.rounds)
        print(machine.description(Path(name)), end="\n\n")
    print(table(figures))
    return 0


def measure(journal: Path, *, events: int, rounds: int) -> list[Figure]:
    """Making the copy, then each question on it."""
    copy = ColumnCopy(journal)
    end = journal.stat().st_size - _CLOSING
    began = time.perf_counter()
    with copy.source(end):
        seconds = time.perf_counter() - began
    made = sum(path.stat().st_size for path in journal.parent.glob("*.parquet/*/*.parquet"))
    size = f"{events:,} events, {end / 1e9:.1f} GB of journal, {made / 1e9:.2f} GB of Parquet"
    figures = [Figure("making the Parquet copy", events / seconds, " events/s", note=size)]
    figures += [_asked(Question(name), copy, end, rounds) for name in QUESTIONS]
    figures += [_asked(Question(name), copy, end, rounds, scope=_CHOSEN, note="visits on phones") for name in QUESTIONS]
    figures += [_asked(Question(FUNNEL, _STEPS), copy, end, rounds, note="own steps")]
    figures += [_asked(Question(BREAKDOWN, by=by), copy, end, rounds, note=f"by {by}") for by in ("device", _OWN)]
    figures += [_asked(Question(FUNNEL), copy, end, rounds, scope=_OWN_CHOSEN, note=f"visits by {_OWN}")]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return [*figures, Figure("peak resident memory", peak, " MB")]


def _asked(
    question: Question, copy: ColumnCopy, end: int, rounds: int, *, scope: Scope = EVERYTHING, note: str = ""
) -> Figure:
    wall, processor = [], []
    for _ in range(rounds):
        began, used = time.perf_counter(), time.process_time()
        with copy.source(end) as source:
            found = answer(question, source, scope)
        wall.append(time.perf_counter() - began)
        processor.append(time.process_time() - used)
    measured = f"{len(found.rows)} rows, {statistics.median(processor):.2f} s of processor time"
    name = f"{question.name}, {note}" if note else question.name
    return Figure(name, statistics.median(wall), " s", at_most=1.0, note=measured)


def write_journal(journal: Path, day: bytes, days: int) -> None:
    """`day` once for each of `days`: other event and session ids, other people every few days, its own date."""
    with journal.open("wb") as file:
        file.write(b"[\n")
        for number in range(days):
            file.write(b",\n" if number else b"")
            file.writelines(_on_day(day, number))
        file.write(b"\n]\n")


def _day(directory: Path, events: int, *, with_sessions: bool) -> bytes:
    """The records of a day, joined as in a journal; `@`, `#`, `<` and `>` stand for what `_on_day` puts in."""
    made = directory / "day.ndjson"
    command = ["advanced_generator.py", "--backfill", "1d", "--events", str(events), "--seed", "1", "--quiet"]
    command += ["--preset", "realistic", "--output", str(made)]
    subprocess.run([sys.executable, *command], check=True)
    text = made.read_bytes().rstrip(b"\n")
    made.unlink()
    text = re.sub(rb'"event_id":"', b'"event_id":"@-', text)
    text = re.sub(rb'"session_id":"', b'"session_id":"@-', text) if with_sessions else _without_sessions(text)
    text = re.sub(rb'"(user|anonymous)_id":"', rb'"\1_id":"#-', text)
    first = re.findall(rb'"timestamp":"([\d-]+)T', text[:10_000])[0]
    text = text.replace(b'"timestamp":"' + first, b'"timestamp":"<')
    text = re.sub(rb'"timestamp":"\d[\d-]+T', b'"timestamp":">T', text)
    return text.replace(b"}\n", b',"received_at":"<T23:59:59.000Z"},\n')[:-1] + b',"received_at":"<T23:59:59.000Z"}'


def _without_sessions(text: bytes) -> bytes:
    return re.sub(rb'"session_id":"[^"]+",', b"", text)


def _on_day(text: bytes, number: int) -> Iterator[bytes]:
    """`text` on another day."""
    day = _FIRST_DAY + timedelta(days=number)
    for mark, value in (
        (b"@-", f"{number:02d}-"),
        (b"#-", f"{number // _DAYS_OF_A_PERSON:02d}-"),
        (b'"<', f'"{day}'),
        (b'">', f'"{day + timedelta(days=1)}'),
    ):
        text = text.replace(mark, value.encode())
    yield text


if __name__ == "__main__":
    raise SystemExit(main())
