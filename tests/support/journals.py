"""Journals made by hand, started as the API starts them, and read back as everybody else would."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from clickstream.journal import Journal, JournalReader, Quarantine, Recovery, recover
from clickstream.stored import StoredEvent
from tests.support.native import encoded, native_event

_decode = msgspec.json.Decoder(StoredEvent).decode


def stored_record(index: int, **fields: Any) -> bytes:  # noqa: ANN401 - any JSON
    """A stored event as it stands in the file."""
    return encoded({**native_event(f"event-{index}", **fields), "received_at": "2026-01-15T10:29:31.000Z"})


def journal_of(records: list[bytes]) -> bytes:
    """The file that holds `records`."""
    return b"[\n" + b",\n".join(records) + b"\n]\n" if records else b"[\n]\n"


def write_long_journal(path: Path, thousands: int) -> None:
    """A journal of `thousands` times a thousand alike events, written a part at a time."""
    record = stored_record(1)
    with path.open("wb") as file:
        file.write(b"[\n")
        for n in range(thousands):
            head = b"event-%d-" % n
            file.write(b",\n".join(record.replace(b"event-1", head + b"%d" % k) for k in range(1000)))
            file.write(b",\n" if n < thousands - 1 else b"\n]\n")


@contextmanager
def scratch() -> Iterator[Path]:
    """A directory in memory where there is one, for tests that start thousands of journals and test no disk."""
    shm = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shm if shm.is_dir() else None) as name:
        yield Path(name)


@dataclass
class Started:
    """What a start found and what it serves."""

    found: Recovery
    served: list[bytes]
    quarantined: list[bytes]
    torn: bytes

    @property
    def kept_aside(self) -> bytes:
        """Everything that was set aside, in one piece."""
        return b"\n".join([*self.quarantined, self.torn])


def start(path: Path, *, then_append: bytes | None = None) -> Started:
    """Start on the journal at `path`, perhaps append a record, and stop; nothing else is left in the directory."""
    quarantine = Quarantine(path.with_name("rejected.ndjson"), max_bytes=1 << 30)
    journal = Journal(path)
    events: list[StoredEvent] = []
    try:
        found = recover(journal, quarantine, _decode, lambda some, _: events.extend(some))
        if then_append is not None:
            journal.append([then_append])
        reader = JournalReader(journal)
        served = list(reader.records())
        backward = [record for _, record in reader.records_backward()]
        reader.close()
    finally:
        journal.close()
    assert backward == served[::-1]
    assert len(events) == found.records == len(served) - (then_append is not None)
    raws = [entry.get("raw") for entry in quarantine.newest(limit=1000)]
    torn = found.torn_path.read_bytes() if found.torn_path else b""
    for other in path.parent.iterdir():
        if other != path:
            other.unlink()
    quarantined = [raw.encode() if raw is not None else b"" for raw in reversed(raws)]
    return Started(found, served, quarantined, torn)


def array_in(path: Path) -> list[Any]:
    """What any JSON parser finds in the file, which must be an array."""
    array = json.loads(path.read_bytes())
    assert isinstance(array, list)
    return array
