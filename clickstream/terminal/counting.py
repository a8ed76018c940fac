"""The numbers of `/stats` from a journal file, counted by the same fold, for when no API runs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec

from clickstream.errors import JournalDamaged
from clickstream.event_files import why_no_events
from clickstream.journal.identity import Kind, array_records, identify
from clickstream.journal.recovery import scan
from clickstream.stats import Stats, snapshot
from clickstream.stored import StoredEvent, TimeReader

_AT_ONCE: Final = 2000  # events of an array or of NDJSON folded together
_RECENT_SHOWN: Final = 50

_Found = tuple[StoredEvent, bytes]


def count_file(path: Path, window: str, now_ms: int) -> dict[str, Any]:
    """What `/stats` would say about the events in `path`; without what only a running API knows.

    `path` is a journal, or an array that an older version wrote, read as the API reads it at its start, or NDJSON; it
    may grow meanwhile and is not changed. Raises JournalDamaged when it is none, OSError when it cannot be read.
    """
    stats, reader = Stats(), TimeReader(now_ms)
    recent: deque[bytes] = deque(maxlen=_RECENT_SHOWN)

    def add(found: Sequence[_Found], _: int = 0) -> None:
        events = [event for event, _ in found]
        recent.extend(line for _, line in found[-_RECENT_SHOWN:])
        stats.fold(events, reader.all_ms(events), now_ms)

    with path.open("rb") as file:
        damaged = _read(file, path, add)
    numbers = snapshot(stats, window, now_ms)
    numbers["recent_events"] = [msgspec.json.decode(line) for line in reversed(recent)]
    numbers["ingest"] = {"journal_bytes": path.stat().st_size, "damaged_records": damaged}
    return numbers


def _read(file: BinaryIO, path: Path, add: Callable[[Sequence[_Found]], None]) -> int:
    """Hand all events over, a few megabytes at a time unless they stand in an array; how many lines are damaged."""
    fd = file.fileno()
    kind = identify(fd)
    if kind is Kind.OTHER:
        raise JournalDamaged(f"{path} {why_no_events(path)}")
    decoder = msgspec.json.Decoder(StoredEvent)

    def decode(line: bytes) -> _Found:
        return decoder.decode(line), line

    if kind is Kind.JOURNAL:
        found = scan(fd, decode, lambda events, _: add(events))
        return found.damaged
    return _read_each(_lines(file) if kind is Kind.LINES else array_records(fd), decode, add)


def _lines(file: BinaryIO) -> Iterable[bytes]:
    return (line for line in map(bytes.strip, file) if line)


def _read_each(records: Iterable[bytes], decode: Callable[[bytes], _Found], add: Callable[..., None]) -> int:
    """Likewise of single records; what is damaged at their end is a torn tail, as in a journal."""
    damaged = doubtful = 0
    coming = iter(records)
    while some := list(islice(coming, _AT_ONCE)):
        found: list[_Found] = []
        for record in some:
            try:
                found.append(decode(record))
            except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
                doubtful += 1
            else:
                damaged, doubtful = damaged + doubtful, 0
        add(found)
    return damaged
