"""A backend in memory whose writes wait, succeed or fail as the test says; held to what Backend promises."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any

from clickstream.analytics.engine import Table
from clickstream.analytics.scope import Scope
from clickstream.backends.base import OnReplay, Page
from clickstream.errors import BackendUnavailable
from clickstream.events import Event
from clickstream.query import Query


class RecordingBackend:
    """Keeps records in a list; `gate` holds writes up, `fail_next` makes some of them fail."""

    name = "recording"

    def __init__(self) -> None:
        self.kept: list[bytes] = []
        self.counted: list[Event] = []
        self.groups: list[int] = []
        self.old_ids: list[str] = []
        self.counted_at_close = -1
        self.gate = threading.Event()
        self.gate.set()
        self.replay_gate = threading.Event()
        self.replay_gate.set()
        self.fail_next: list[BaseException | None] = []
        self.unreadable: Exception | None = None

    def recover(self, on_replay: OnReplay) -> None:
        self.replay_gate.wait(10)
        if self.unreadable is not None:
            raise self.unreadable
        on_replay(self.old_ids, 1.0)

    def write(self, records: Sequence[bytes]) -> None:
        assert self.gate.wait(10)
        failure = self.fail_next.pop(0) if self.fail_next else None
        if failure is not None:
            raise failure
        self.kept += records
        self.groups.append(len(records))

    def count(self, events: Sequence[Event], records: Sequence[bytes], times_ms: Sequence[int], now_ms: int) -> None:
        assert len(events) == len(records) == len(times_ms)
        self.counted += events

    def statistics(self, window: str, now_ms: int) -> dict[str, Any]:
        return {"total_events": len(self.counted), "window": {"name": window}, "now_ms": now_ms}

    def condition(self) -> dict[str, Any]:
        return {}

    def events(self, query: Query, *, limit: int, cursor: str | None) -> Page:
        return Page(self.kept[::-1][:limit], None)

    def export(self, query: Query, form: str, *, columns: Sequence[str] = ()) -> Iterator[bytes]:
        yield from self.kept

    def ask(self, name: str, scope: Scope, *, steps: Sequence[str], limit: int) -> Table:
        return Table(name, ["events"], [[len(self.kept)]])

    def hurry(self) -> None:
        pass

    def close(self, ids: Sequence[str] | None) -> None:
        self.old_ids, self.counted_at_close = self.old_ids if ids is None else list(ids), len(self.counted)


def full_disk() -> BackendUnavailable:
    """What a backend raises when it cannot keep anything."""
    return BackendUnavailable("events cannot be kept now: no room; send them again")
