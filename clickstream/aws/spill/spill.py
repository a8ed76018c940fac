"""The journal that keeps events while the stream takes none: the same code, fsync and recovery as the local journal.

After a crash some events may be sent again, which `event_id` removes; none is skipped.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from clickstream.aws.spill.known_ids import KnownIds
from clickstream.aws.spill.progress import Progress, Reached
from clickstream.aws.spill.segments import Segment, Segments
from clickstream.errors import BackendUnavailable
from clickstream.journal import Quarantine, layout

# Of the disk at most this much more than the cap is taken, by what is drained and not yet dropped.
_SEGMENT_SHARE: Final = 16
_LEAST_SEGMENT_BYTES: Final = 4 * 1024 * 1024  # twice what is drained at a time


@dataclass(frozen=True, slots=True)
class SpillState:
    """What waits in the spill journal."""

    size: int
    cap: int
    since_ms: int | None  # when the oldest waiting event was spilled; None when nothing waits


class Spill:
    """Events that wait for the stream, at most `cap` bytes; safe to append and drain from two threads."""

    def __init__(self, path: Path, *, cap: int, clock_ms: Callable[[], int]) -> None:
        self._segments = Segments(path, segment_bytes=max(_LEAST_SEGMENT_BYTES, cap // _SEGMENT_SHARE))
        self._cap = cap
        self._clock_ms = clock_ms
        self._progress = Progress(path)
        self._known_ids = KnownIds(path)
        self._lock = threading.Lock()
        # What is left of a part that was sent in part, where it lies, and what will be reached with it.
        self._started: tuple[list[bytes], Segment, Reached] | None = None
        self._since_ms: int | None = None
        self._shown: tuple[int, int | None] = (0, None)  # replaced as a whole, so that a reader needs no lock

    def recover(self, quarantine: Quarantine, on_ids: Callable[[Sequence[str]], None]) -> None:
        """Take up what an earlier process left; `on_ids` gets the ids it had acknowledged, as far as they are known."""
        on_ids(self._known_ids.read())
        self._segments.recover(quarantine, self._progress, on_ids)
        if self._segments.waiting:
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
        """Keep `records` behind those that wait; raises BackendUnavailable at the cap, or as Journal.append does.

        Where nothing waits they are taken whatever the cap: Kinesis may have the other part of their group.
        """
        size = sum(map(len, records)) + len(layout.SEPARATOR) * len(records)
        with self._lock:
            if not self.is_empty and self._segments.waiting + size > self._cap:
                raise BackendUnavailable(
                    f"Kinesis takes no events and the spill journal has reached MAX_SPILL_BYTES ({self._cap:,})",
                    retry_after_s=10,
                )
            self._segments.append(records)
            if self._since_ms is None:
                self._since_ms = self._clock_ms()
            self._show()

    def drain(self, send: Callable[[Sequence[bytes]], Sequence[int]]) -> bool:
        """Hand the oldest waiting records to `send`, which answers with the indexes of those it could not send.

        True when all of them were sent, and then they wait no longer. What is left over is tried again alone.
        """
        records, segment, reached = self._started or self._oldest()
        unsent = send(records) if records else ()
        if unsent:
            self._started = [records[index] for index in unsent], segment, reached
            return False
        self._started = None
        segment.reached = reached
        # Outside the lock: a slow disk must not hold up what is spilled meanwhile.
        self._progress.write(segment.journal, reached)
        with self._lock:
            if not segment.waiting:
                self._segments.drop(segment)
            if not self._segments.waiting:
                self._since_ms = None
            self._show()
        return True

    def close(self, ids: Sequence[str] | None) -> None:
        """Give up the files; what waits stays in them for the next start, and `ids` beside them.

        Nothing but deduplication rests on the ids: after a kill they are missing, and copies that are sent
        again after the restart are removed in the lake only. None leaves those of the last stop.
        """
        if ids is not None:
            self._known_ids.write(ids)
        self._segments.close()

    def _show(self) -> None:
        self._shown = (self._segments.waiting, self._since_ms)

    def _oldest(self) -> tuple[list[bytes], Segment, Reached]:
        with self._lock:
            segment = self._segments.first()
        records, reached = segment.oldest()
        return records, segment, reached
