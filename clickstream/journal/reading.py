"""Consistent reads of a journal while it grows: a reader sees the records before one durable offset, no more."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

from clickstream.journal import layout
from clickstream.journal.file import Journal, require_named

_BLOCK: Final = 256 * 1024  # what an export holds in memory for each of its readers


class JournalReader:
    """The records that were durable when the reader was made; later appends do not change what it reads.

    Owns a descriptor of its own, so that a compaction that replaces the file does not disturb it; close it.
    Raises BackendUnavailable where something else stands at the path of the journal.
    """

    def __init__(self, journal: Journal) -> None:
        self._fd = -1
        self.end = journal.end
        require_named(journal.path, journal.fileno())
        # Not os.dup: a duplicate would share the writer's lock and hold it after the journal is closed.
        self._fd = os.open(journal.path, os.O_RDONLY | os.O_CLOEXEC)

    def close(self) -> None:
        """Give up the descriptor."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __del__(self) -> None:
        self.close()  # an export that is answered but never read (HEAD, a client that is gone) closes nothing itself

    def blocks(self) -> Iterator[bytes]:
        """The bytes of the records and their separators, `[` included, the closing not, a part at a time."""
        position = 0
        while position < self.end:
            block = os.pread(self._fd, min(_BLOCK, self.end - position), position)
            if not block:
                raise OSError(f"the journal ends at byte {position}, before its durable offset {self.end}")
            yield block
            position += len(block)

    def records(self) -> Iterator[bytes]:
        """Each record without its separator, oldest first."""
        rest = b""
        for block in self.blocks():
            lines = (rest + block).split(b"\n")
            rest = lines.pop()
            yield from (record for record in map(_record, lines) if record)
        if record := _record(rest):
            yield record

    def records_backward(self, before: int | None = None) -> Iterator[tuple[int, bytes]]:
        """Offset and bytes of each record that ends at or before `before`, newest first."""
        position = self.end if before is None or before >= self.end else self._line_start(before)
        rest = b""
        while position > 0:
            start = max(0, position - _BLOCK)
            data = os.pread(self._fd, position - start, start) + rest
            lines = data.split(b"\n")
            offset = start + len(data)
            for line in reversed(lines[1:]):
                offset -= len(line)
                if record := _record(line):
                    yield offset, record
                offset -= 1
            rest, position = lines[0], start
        if record := _record(rest):
            yield 0, record

    def _line_start(self, offset: int) -> int:
        """Where the line that holds the byte before `offset` begins, unless `offset` itself begins one."""
        while offset > 0:
            start = max(0, offset - _BLOCK)
            newline = os.pread(self._fd, offset - start, start).rfind(b"\n")
            if newline >= 0:
                return start + newline + 1
            offset = start
        return 0


def _record(line: bytes) -> bytes:
    """The record on `line`, or nothing for an opening and for the blanks of a mended line."""
    if line[:1] == layout.OPENING:
        line = line[1:]  # after a mended opening the first record stands behind it
    return line.rstrip(b" ,") if line[-1:] in b" ," else line
