"""The journal that keeps events while the stream takes none: the same code, fsync and recovery as the local journal.

After a crash some events may be sent again, which `event_id` removes; none is skipped.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from clickstream.aws.spill.progress import BEGINNING, Progress, Reached
from clickstream.errors import BackendUnavailable
from clickstream.events import Event
from clickstream.journal import Journal, Quarantine, layout, recover
from clickstream.journal.file import replace_file

_log: Final = logging.getLogger(__name__)

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
        self._progress = Progress(path)
        self._ids_path = path.with_name(path.name + ".ids")
        self._lock = threading.Lock()
        self._reached = BEGINNING
        self._started: tuple[list[bytes], Reached] | None = None  # what is left of a part, and its end
        self._since_ms: int | None = None
        self._shown: tuple[int, int | None] = (0, None)  # replaced as a whole, so that a reader needs no lock

    def recover(self, quarantine: Quarantine, on_ids: Callable[[Sequence[str]], None]) -> None:
        """Take up what an earlier process left; `on_ids` gets the ids it had acknowledged, as far as they are known."""
        if self._ids_path.exists():
            on_ids(self._ids_path.read_text(encoding="utf-8").splitlines())

        def take(events: Sequence[Event], _: int) -> None:
            on_ids([event.event_id for event in events if event.event_id is not None])

        self._reached = self._progress.read(self._journal)
        recover(self._journal, quarantine, msgspec.json.Decoder(Event).decode, take)
        if self._reached.end < self._journal.end:
            self._since_ms = self._clock_ms()
        else:
            self._empty()
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
        """Keep `records` behind those that wait; raises BackendUnavailable at the cap, or as Journal.append does.

        Where nothing waits they are taken whatever the cap: Kinesis may have the other part of their group.
        """
        size = sum(map(len, records)) + len(layout.SEPARATOR) * len(records)
        with self._lock:
            if not self.is_empty and self._journal.end + size > self._cap:
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
        records, reached = self._started or self._oldest()
        unsent = send(records) if records else ()
        if unsent:
            self._started = [records[index] for index in unsent], reached
            return False
        self._started = None
        self._reached = reached
        # Outside the lock: a slow disk must not hold up what is spilled meanwhile.
        self._progress.write(reached)
        with self._lock:
            if reached.end == self._journal.end:
                self._empty()
                self._since_ms = None
            self._show()
        return True

    def close(self, ids: Sequence[str]) -> None:
        """Give up the file; what waits stays in it for the next start, and `ids` beside it.

        Nothing but deduplication rests on the ids: after a kill they are missing, and copies that are sent
        again after the restart are removed in the lake only.
        """
        # An id with a line break in it would become two; neither would match anything.
        try:
            replace_file(self._ids_path, "\n".join(ids).encode())
        except OSError as problem:
            _log.warning("known ids not kept, copies sent after the restart go to the stream error=%s", problem)
        self._journal.close()

    def _empty(self) -> None:
        # What is remembered of the old content stays: it does not hold for what is spilled next.
        self._reached = BEGINNING
        self._journal.resume_at(*BEGINNING)

    def _show(self) -> None:
        self._shown = (self._journal.end - self._reached.end, self._since_ms)

    def _oldest(self) -> tuple[list[bytes], Reached]:
        start, limit = self._reached.end, self._journal.end
        block = os.pread(self._journal.fileno(), min(_CHUNK_BYTES, limit - start), start)
        if start + len(block) < limit:
            cut = block.rfind(layout.SEPARATOR)
            while cut <= 0:
                # One record larger than a chunk, or only the separator before it.
                reached = start + len(block)
                more = os.pread(self._journal.fileno(), min(_CHUNK_BYTES, limit - reached), reached)
                if not more:
                    raise OSError(errno.EIO, f"{self._journal.path} ends before byte {limit}, where it was written")
                block += more
                cut = len(block) if start + len(block) == limit else block.rfind(layout.SEPARATOR)
            block = block[:cut]
        lines = (line.rstrip(b" ,") for line in block.split(b"\n"))
        return [line for line in lines if line], Reached(start + len(block), zlib.crc32(block, self._reached.crc))
