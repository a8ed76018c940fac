"""The spill journal in segments: what is drained leaves the disk while more is spilled behind it.

The first segment is SPILL_FILE itself, whose lock keeps other processes away; those begun behind it have a number:
`events_spill.json.part-000001`. Each is a journal. Records go to the last one; a drained one is deleted, and the first
one, which stays, is emptied. Nothing is ever copied, so no crash finds half a copy.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from clickstream.aws.spill.progress import BEGINNING, Progress, Reached
from clickstream.errors import JournalError
from clickstream.events import Event
from clickstream.journal import Journal, Quarantine, layout, recover
from clickstream.journal.disk import sync_directory
from clickstream.recurring import Recurring

_log: Final = logging.getLogger(__name__)

_CHUNK_BYTES: Final = 2 * 1024 * 1024


class Segment:
    """One journal and how far it was drained."""

    def __init__(self, path: Path, number: int) -> None:
        own = path if number == 0 else path.with_name(f"{path.name}.part-{number:06d}")
        self.journal = Journal(own, setting="SPILL_FILE")
        self.number = number
        self.reached = BEGINNING

    @property
    def waiting(self) -> int:
        """Bytes that were not drained."""
        return max(0, self.journal.end - self.reached.end)

    def oldest(self) -> tuple[list[bytes], Reached]:
        """Records that wait, from the oldest on, about 2 MiB of them; and what will be reached once they are sent."""
        start, limit = self.reached.end, self.journal.end
        block = os.pread(self.journal.fileno(), min(_CHUNK_BYTES, limit - start), start)
        if start + len(block) < limit:
            cut = block.rfind(layout.SEPARATOR)
            while cut <= 0:
                # One record larger than a chunk, or only the separator before it.
                position = start + len(block)
                more = os.pread(self.journal.fileno(), min(_CHUNK_BYTES, limit - position), position)
                if not more:
                    raise OSError(errno.EIO, f"{self.journal.path} ends before byte {limit}, where it was written")
                block += more
                cut = len(block) if start + len(block) == limit else block.rfind(layout.SEPARATOR)
            block = block[:cut]
        lines = (line.rstrip(b" ,") for line in block.split(b"\n"))
        return [line for line in lines if line], Reached(start + len(block), zlib.crc32(block, self.reached.crc))


class Segments:
    """All segments in order, never none; a new one begins once the last has `segment_bytes`. Needs a lock around it."""

    def __init__(self, path: Path, *, segment_bytes: int) -> None:
        self._path = path
        self._segment_bytes = segment_bytes
        self._segments = [Segment(path, 0)]
        self._segments += [Segment(path, number) for number in _numbers(path)]
        self._not_begun = Recurring(_log, "no new segment of the spill journal, the last one grows")

    @property
    def waiting(self) -> int:
        """Bytes that were not drained."""
        return sum(segment.waiting for segment in self._segments)

    def recover(self, quarantine: Quarantine, progress: Progress, on_ids: Callable[[Sequence[str]], None]) -> None:
        """Mend what a crash has left, and drop what was drained; `on_ids` gets the ids of all that is there."""

        def take(events: Sequence[Event], _: int) -> None:
            on_ids([event.event_id for event in events if event.event_id is not None])

        for segment in tuple(self._segments):
            segment.reached = progress.read(segment.journal)
            recover(segment.journal, quarantine, msgspec.json.Decoder(Event).decode, take)
            if not segment.waiting:
                self.drop(segment)

    def append(self, records: Sequence[bytes]) -> None:
        """Keep `records` behind all others; fails as Journal.append does."""
        self._last().journal.append(records)

    def first(self) -> Segment:
        """The segment to be drained next."""
        return next((segment for segment in self._segments if segment.journal.end > layout.START), self._segments[-1])

    def drop(self, segment: Segment) -> None:
        """Give the room of a drained segment back; raises OSError, and then it can be tried again."""
        if segment.number == 0:
            # What is remembered of the old content stays: it does not hold for what is spilled next.
            segment.reached = BEGINNING
            segment.journal.resume_at(*BEGINNING)
            return
        segment.journal.path.unlink(missing_ok=True)
        self._segments.remove(segment)  # at once: nothing may be appended to a file without a name
        segment.journal.close()
        sync_directory(self._path.parent)  # else it may come back after a power cut, and is sent again

    def close(self) -> None:
        """Give up all files."""
        for segment in reversed(self._segments):  # the one whose lock guards the others comes last
            segment.journal.close()

    def _last(self) -> Segment:
        last = self._segments[-1]
        if last.journal.end < self._segment_bytes:
            return last
        try:
            fresh = _begun(self._path, last.number + 1)
        except (JournalError, OSError) as problem:
            self._not_begun.failed(problem)
            return last
        self._not_begun.over()
        self._segments.append(fresh)
        return fresh


def _begun(path: Path, number: int) -> Segment:
    fresh = Segment(path, number)
    try:
        fresh.journal.resume_at(*BEGINNING)
    except OSError:
        fresh.journal.close()  # else its lock keeps the next try away
        raise
    return fresh


def _numbers(path: Path) -> Iterator[int]:
    form = re.compile(re.escape(path.name) + r"\.part-(\d{6,})")
    found = (form.fullmatch(beside.name) for beside in path.parent.iterdir())
    yield from sorted(int(one[1]) for one in found if one)
