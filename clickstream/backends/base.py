"""What every place for events promises."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from clickstream.analytics.catalog import Question
from clickstream.analytics.engine import Table
from clickstream.analytics.scope import Scope
from clickstream.csv_rows import COLUMNS
from clickstream.events import AnyEvent
from clickstream.query import Query

# Called with the ids of events kept earlier, oldest first, and the share of the replay that is done.
OnReplay = Callable[[Sequence[str], float], None]


@dataclass(frozen=True, slots=True)
class Page:
    """Encoded events, newest first, and where to go on."""

    records: list[bytes]
    next_cursor: str | None


class Backend(Protocol):
    """Keeps events; returning from `write` means that they are kept."""

    name: str

    def recover(self, on_replay: OnReplay) -> None:
        """Bring the backend into service; runs once, on a thread of its own, before the first write."""
        ...

    def write(self, records: Sequence[bytes]) -> None:
        """Keep all of `records`, or raise BackendUnavailable.

        After a raise each record may or may not have been kept, so acknowledge
        none: the producer sends them again and `event_id` removes the copies. Those that are
        known to be kept are named by the exception.
        """
        ...

    def count(self, events: Sequence[AnyEvent], records: Sequence[bytes], times_ms: Sequence[int], now_ms: int) -> None:
        """Take kept events into the statistics, in the order they were written."""
        ...

    def statistics(self, window: str, now_ms: int) -> dict[str, Any]:
        """The numbers of `/stats` that follow from the kept events; docs/api.md explains each key."""
        ...

    def condition(self) -> dict[str, Any]:
        """What `/stats` shows under `ingest` about this backend: its sizes, its backlog."""
        ...

    def events(self, query: Query, *, limit: int, cursor: str | None) -> Page:
        """At most `limit` matching events, newest first by arrival; runs on any thread."""
        ...

    def export(self, query: Query, form: str, *, columns: Sequence[str] = COLUMNS) -> Iterator[bytes]:
        """All matching events kept by now in one of export.MEDIA_TYPES; consumed on any thread, then closed.

        CSV has `columns`, of those that csv_rows.py knows.
        """
        ...

    def ask(self, question: Question, scope: Scope, *, limit: int) -> Table:
        """The answer over events kept by now; on a worker thread, one at a time."""
        ...

    def hurry(self) -> None:
        """The process was asked to stop: wait for nobody else for long. Called on the loop thread, before `close`."""
        ...

    def close(self, ids: Sequence[str] | None) -> None:
        """Release files and connections; nothing is written afterwards.

        `ids` are those that deduplication remembers, oldest first; the next `recover` hands them back.
        None after a start that failed: what the last stop left is left as it is.
        """
        ...
