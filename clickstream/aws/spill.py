"""The journal that keeps events while the stream takes none: the same code, fsync and recovery as the local journal.

What was drained is remembered in a file beside it. That file may lag behind, never lead: after a crash some
events are sent again, which `event_id` removes; none is skipped.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from clickstream.errors import BackendUnavailable
from clickstream.events import Event
from clickstream.journal import Journal, Quarantine, layout, recover

_CHUNK_BYTES: Final = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class SpillState:
    """What waits in the spill journal."""

    size: int
    cap: int
    since_ms: int | None  # when the oldest waiting event was spilled; None when nothing waits


class Spill:
    """Events that wait for the stream, at most `cap` bytes; safe to append and drain from two threads."""

    def __init__(self, path: Path, *, cap: int, clock_ms: Callable[[], int]) -> None:
        self._journal = Journal(path)
        self._cap = cap
        self._clock_ms = clock_ms
        self._drained_path = path.with_name(path.name + ".drained")
        self._ids_path = path.with_name(path.name + ".ids")
        self._lock = threading.Lock()
        self._drained = layout.START
        self._started: tuple[list[bytes], int] | None = None  # what is left of a part that was sent in part, its end
        self._since_ms: int | None = None
        self._shown: tuple[int, int | None] = (0, None)  # replaced as a whole, so that a reader needs no lock

    def recover(self, quarantine: Quarantine, on_ids: Callable[[Sequence[str]], None]) -> None:
        """Take up what an earlier process left; `on_ids` gets the ids it had acknowledged, as far as they are known."""
        if self._ids_path.exists():
            on_ids(self._ids_path.read_text(encoding="utf-8").splitlines())

        def take(events: Sequence[Event], _: int) -> None:
            on_ids([event.event_id for event in events if event.event_id is not None])

        recover(self._journal, quarantine, msgspec.json.Decoder(Event).decode, take)
        self._drained = min(self._read_drained(), self._journal.end)
        if self._drained < self._journal.end:
            self._since_ms = self._clock_ms()
        self._show()

    @property
    def is_empty(self) -> bool:
        """True when nothing waits, so that events may go to the stream directly without overtaking."""
        return self._since_ms is None

    def state(self) -> SpillState:
        """Size, cap and age; from any thread."""
        size, since_ms = self._shown
        return SpillState(size, self._cap, since_ms)

    def append(self, records: Sequence[bytes]) -> None:
        """Keep `records` behind those that wait; raises BackendUnavailable at the cap, or as Journal.append does."""
        size = sum(map(len, records)) + len(layout.SEPARATOR) * len(records)
        with self._lock:
            if self._journal.end + size > self._cap:
                raise BackendUnavailable(
                    f"Kinesis takes no events and the spill journal has reached MAX_SPILL_BYTES ({self._cap:,})",
                    retry_after_s=10,
                )
            self._journal.append(records)
            if self._since_ms is None:
                self._since_ms = self._clock_ms()
            self._show()

    def drain(self, send: Callable[[Sequence[bytes]], Sequence[int]]) -> bool:
        """Hand the oldest waiting records to `send`, which answers with the indexes of those it could not send.

        True when all of them were sent, and then they wait no longer. What is left over is tried again alone.
        """
        records, end = self._started or self._oldest()
        unsent = send(records) if records else ()
        if unsent:
            self._started = [records[index] for index in unsent], end
            return False
        self._started = None
        with self._lock:
            self._drained = end
            if end < self._journal.end:
                self._write_drained(end)
                self._show()
                return True
            # In this order: a crash in between sends again. The other way round, what is spilled next would
            # lie before the remembered offset and would be skipped.
            self._write_drained(layout.START)
            self._drained = layout.START
            self._journal.resume_at(layout.START, layout.START_CRC)
            self._since_ms = None
            self._show()
        return True

    def close(self, ids: Sequence[str]) -> None:
        """Give up the file; what waits stays in it for the next start, and `ids` beside it.

        Nothing but deduplication rests on the ids: after a kill they are missing, and copies that are sent
        again after the restart are removed in the lake only.
        """
        # An id with a line break in it would become two; neither would match anything.
        _replace(self._ids_path, "\n".join(ids).encode())
        self._journal.close()

    def _show(self) -> None:
        self._shown = (self._journal.end - self._drained, self._since_ms)

    def _oldest(self) -> tuple[list[bytes], int]:
        start, limit = self._drained, self._journal.end
        block = os.pread(self._journal.fileno(), min(_CHUNK_BYTES, limit - start), start)
        if start + len(block) < limit:
            cut = block.rfind(layout.SEPARATOR)
            while cut <= 0:
                # One record larger than a chunk, or only the separator before it.
                block += os.pread(self._journal.fileno(), _CHUNK_BYTES, start + len(block))[
                    : limit - start - len(block)
                ]
                cut = len(block) if start + len(block) == limit else block.rfind(layout.SEPARATOR)
            block = block[:cut]
        lines = (line.rstrip(b" ,") for line in block.split(b"\n"))
        return [line for line in lines if line], start + len(block)

    def _read_drained(self) -> int:
        try:
            drained = json.loads(self._drained_path.read_bytes())["drained"]
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return layout.START  # from the beginning: twice is harmless
        return drained if isinstance(drained, int) and drained >= layout.START else layout.START

    def _write_drained(self, offset: int) -> None:
        _replace(self._drained_path, json.dumps({"drained": offset}).encode())


def _replace(path: Path, content: bytes) -> None:
    """Write `path` anew, whole or not at all."""
    beside = path.with_name(path.name + ".new")
    with beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
