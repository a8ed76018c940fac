"""The numbers of `/stats` from a journal file, counted by the same fold, for when no API runs."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec

from clickstream.errors import JournalDamaged
from clickstream.stats import Stats, snapshot
from clickstream.stored import StoredEvent, TimeReader

_AT_ONCE: Final = 2000  # events folded together; memory stays flat however long the file is
_RECENT_SHOWN: Final = 50
_CLOSINGS: Final = frozenset({b"", b"[", b"]", b"[]"})


def count_file(path: Path, window: str, now_ms: int) -> dict[str, Any]:
    """What `/stats` would say about the events in `path`; without what only a running API knows.

    `path` is a journal, or an array that an older version wrote; it may grow meanwhile and is not changed.
    Raises JournalDamaged when it is neither, OSError when it cannot be read.
    """
    stats, reader = Stats(), TimeReader(now_ms)
    decoder = msgspec.json.Decoder(StoredEvent)
    recent: deque[bytes] = deque(maxlen=_RECENT_SHOWN)
    damaged = 0
    records = _records(path)
    while lines := list(islice(records, _AT_ONCE)):
        events: list[StoredEvent] = []
        for line in lines:
            try:
                events.append(decoder.decode(line))
            except (msgspec.MsgspecError, UnicodeDecodeError):
                damaged += 1  # as the API does at its start: counted, skipped, never the end of the reading
                continue
            recent.append(line)
        stats.fold(events, reader.all_ms(events), now_ms)
    if damaged and not stats.types:
        raise JournalDamaged(f"{path} holds no event: is it an events_backup.json?")
    numbers = snapshot(stats, window, now_ms)
    numbers["recent_events"] = [msgspec.json.decode(line) for line in reversed(recent)]
    numbers["ingest"] = {"journal_bytes": path.stat().st_size, "damaged_records": damaged}
    return numbers


def _records(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        head = file.readline()
        if head.strip() not in _CLOSINGS:
            yield from _array(path)
            return
        for line in file:
            record = line.rstrip(b" \r\n,")
            if record not in _CLOSINGS:
                yield record


def _array(path: Path) -> list[bytes]:
    try:
        return [bytes(raw) for raw in msgspec.json.decode(path.read_bytes(), type=list[msgspec.Raw])]
    except (msgspec.MsgspecError, UnicodeDecodeError) as problem:
        raise JournalDamaged(f"{path} is not an array of events: {problem}") from None
