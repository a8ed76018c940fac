"""What is said of a file in which no events are found."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from clickstream.journal.identity import is_event

_LOOKED_AT: Final = 1 << 20
_PARQUET: Final = b"PAR1"
_OTHERS: Final = {
    b"\x1f\x8b": "is compressed: unpack it with gunzip first",
    _PARQUET: "is Parquet, which only `sql` reads",
    b'"event_id","event_type",': "is an export as CSV, which nothing here reads back: export as json or ndjson",
}


def why_no_events(path: Path) -> str:
    """What `path` is instead of a file of events, and what to do."""
    head = _head(path)
    other = next((what for start, what in _OTHERS.items() if head.startswith(start)), None)
    return other or "holds no events: expected a journal, or an export as json or ndjson, an event a line"


def may_hold_events(path: Path) -> bool:
    """False for what is surely neither a JSON array nor NDJSON of events; an empty file is a journal without any."""
    head = _head(path)
    first, *lines = head.split(b"\n")
    if head.lstrip()[:1] in (b"", b"["):
        return True
    return is_event(first) or any(map(is_event, lines)) or (not lines and len(head) == _LOOKED_AT)


def is_parquet(path: Path) -> bool:
    """Whether `path` is a file of Parquet."""
    with path.open("rb") as file:
        return file.read(len(_PARQUET)) == _PARQUET


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_LOOKED_AT)
