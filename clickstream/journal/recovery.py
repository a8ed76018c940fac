"""What a start makes of the file it finds.

A torn tail (the half-written end that a crash leaves) is cut off and kept beside the journal.
A damaged line in the middle is copied to the quarantine and replaced by blanks, so that the file is a valid
JSON array again; the lines after it are untouched. A damaged comma is put back. None of it ever stops a start.
"""

from __future__ import annotations

import logging
import os
import sys
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Generic, TypeVar

import msgspec

from clickstream.journal import layout
from clickstream.journal.disk import sync, sync_directory, write_fully
from clickstream.journal.file import Journal
from clickstream.journal.quarantine import MAX_RAW_BYTES, Quarantine, Refused
from clickstream.timestamps import now_ms, text

_log: Final = logging.getLogger(__name__)
_BLOCK: Final = 256 * 1024  # what the second-level cache holds with all that is made of it; 4 MiB took 40 % longer

NO_COMMA: Final = b""  # stands in place of a damaged line where only the comma before the next record is hurt

T = TypeVar("T")
Decode = Callable[[bytes], T]
OnEvents = Callable[[Sequence[T], int], None]


@dataclass(slots=True)
class Recovery:
    """What was found: whole records, where they end, lines that were damaged, and a torn tail."""

    records: int = 0
    end: int = 0
    crc: int = 0
    damaged: int = 0
    torn_bytes: int = 0
    torn_path: Path | None = None


def recover(
    journal: Journal,
    quarantine: Quarantine,
    decode: Decode[T],
    on_events: OnEvents[T],
    *,
    start: int = layout.START,
    crc: int = layout.START_CRC,
) -> Recovery:
    """Hand every whole record behind `start` to `on_events` in order, mend the file, and let `journal` resume.

    `start` and `crc` come from a checkpoint, or stand for an empty file. `on_events` gets decoded records
    and the file position reached, a few megabytes at a time.
    """
    found = scan(journal.fileno(), decode, on_events, start=start, crc=crc, on_damage=_Healer(journal, quarantine).heal)
    if start == layout.START:
        _mend_opening(journal.fileno())
    found.torn_path = _keep_torn_tail(journal, found)
    if found.damaged:
        found.crc = crc_of(journal.fileno(), found.end)
    journal.resume_at(found.end, found.crc)
    if found.damaged or found.torn_path:
        _log.warning(
            "journal mended path=%s records=%d damaged=%d torn_bytes=%d kept=%s",
            journal.path, found.records, found.damaged, found.torn_bytes, found.torn_path,
        )  # fmt: skip
    return found


def scan(
    fd: int,
    decode: Decode[T],
    on_events: OnEvents[T],
    *,
    start: int = layout.START,
    crc: int = layout.START_CRC,
    until: int | None = None,
    on_damage: Callable[[int, bytes], None] | None = None,
) -> Recovery:
    """Read the journal, or its bytes before `until`, without changing it.

    `on_damage` gets offset and bytes of each damaged line in the middle; NO_COMMA where a comma is missing.
    """
    return _Scan(fd, decode, on_events, on_damage, start=start, crc=crc, until=until).run()


def crc_of(fd: int, end: int) -> int:
    """CRC-32 of the first `end` bytes."""
    crc = position = 0
    while position < end:
        block = os.pread(fd, min(_BLOCK, end - position), position)
        if not block:
            return -1
        crc = zlib.crc32(block, crc)
        position += len(block)
    return crc


class _Scan(Generic[T]):
    def __init__(
        self,
        fd: int,
        decode: Decode[T],
        on_events: OnEvents[T],
        on_damage: Callable[[int, bytes], None] | None,
        *,
        start: int,
        crc: int,
        until: int | None,
    ) -> None:
        self._fd = fd
        self._until = sys.maxsize if until is None else until
        self._decode = decode
        self._on_events = on_events
        self._on_damage = on_damage
        self._doubtful: list[tuple[int, bytes]] = []  # damaged middle or torn tail: the next whole record decides
        self._found = Recovery(end=start, crc=crc)
        self._gap = None if start == layout.START else start  # where a separator must follow, until it is seen

    def run(self) -> Recovery:
        position = self._found.end  # of the first byte of `pending`
        pending = b""
        while True:
            reached = position + len(pending)
            block = os.pread(self._fd, min(_BLOCK, self._until - reached), reached)
            data = pending + block
            cut = data.rfind(b"\n") + 1 if block else len(data)
            before = self._found.end
            self._take(data[:cut], position)
            if self._found.end > before:
                # Between two takes `data` reaches back to the last newline only, which lies before the end
                # of the last record by the separator's length; fetch what the checksum still lacks.
                self._found.crc = self._extended_crc(before)
            if not block:
                break
            pending = data[cut:]
            position += cut
        self._found.torn_bytes = _torn_bytes(self._fd, self._found.end)
        return self._found

    def _take(self, data: bytes, offset: int) -> None:
        events = self._all_whole(data)
        if events is None:
            self._take_lines(data, offset)
            return
        end = offset + len(data) - len(layout.SEPARATOR)
        self._found.end = end
        self._found.records += len(events)
        self._report_damage(end)
        self._on_events(events, end)

    def _all_whole(self, data: bytes) -> list[T] | None:
        """The events of `data` when it is nothing but whole records and separators, as it is nearly always."""
        if self._gap is not None or not data.endswith(layout.SEPARATOR):
            return None
        records = data[: -len(layout.SEPARATOR)].split(layout.SEPARATOR)
        if data.count(b"\n") != len(records) or b" \n" in data:
            return None
        try:
            if not data.isascii():
                data.decode()
            return list(map(self._decode, records))
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            return None

    def _take_lines(self, data: bytes, offset: int) -> None:
        events: list[T] = []
        plain = data.isascii()
        end = self._found.end
        for line in data.split(b"\n"):
            shown = line.rstrip(b" ") if line[-1:] == b" " else line  # blanks of a mended neighbour
            record = shown[:-1] if shown[-1:] == b"," else shown
            try:
                if not plain:
                    record.decode()
                event = self._decode(record)
            except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
                if line == b"," and self._gap is not None:
                    self._gap = None  # the separator that stands behind a checkpoint's end
                elif line.strip(b" "):
                    self._doubtful.append((offset, line))  # the closing too: it may stand between two joined files
            else:
                if self._gap is not None:
                    self._doubtful.append((self._gap, NO_COMMA))
                self._gap = None if record is not shown else offset + len(shown.rstrip())
                events.append(event)
                end = offset + len(record)
            offset += len(line) + 1
        self._found.end = end
        self._found.records += len(events)
        self._report_damage(end)
        if events:
            self._on_events(events, end)

    def _report_damage(self, end: int) -> None:
        for offset, line in self._doubtful:
            if offset < end:
                self._found.damaged += 1
                if self._on_damage is not None:
                    self._on_damage(offset, line)
        self._doubtful = [(offset, line) for offset, line in self._doubtful if offset >= end]

    def _extended_crc(self, before: int) -> int:
        return zlib.crc32(os.pread(self._fd, self._found.end - before, before), self._found.crc)


class _Healer:
    """Copies damaged lines to the quarantine, then puts blanks in their place."""

    def __init__(self, journal: Journal, quarantine: Quarantine) -> None:
        self._journal = journal
        self._quarantine = quarantine

    def heal(self, offset: int, line: bytes) -> None:
        if line == NO_COMMA:
            write_fully(self._journal.fileno(), layout.SEPARATOR[:1], offset)
            return
        if line.isspace() and offset != layout.START:
            write_fully(
                self._journal.fileno(), b" " * len(line), offset
            )  # nothing is lost, but not all blanks are JSON
            return
        message = f"damaged line at byte {offset} of {self._journal.path.name}; its bytes are kept here"
        received_at = text(now_ms())
        pieces = [line[start : start + MAX_RAW_BYTES] for start in range(0, len(line), MAX_RAW_BYTES)]
        try:
            self._quarantine.keep(
                [Refused(received_at, "damaged_record", None, message, "journal", piece) for piece in pieces]
            )
        except OSError as problem:
            _log.error("damaged line left in place offset=%d error=%s", offset, problem)
            return
        blanks = b" " * len(line)
        if offset == layout.START:
            blanks = b"\n" + blanks[1:]  # the opening stands on a line of its own, else it would read as a record
        write_fully(self._journal.fileno(), blanks, offset)


def _mend_opening(fd: int) -> None:
    head = os.pread(fd, 2, 0)
    if head[:1] != layout.OPENING:
        write_fully(fd, layout.OPENING, 0)
    if head[1:].isspace() and head[1:] != b"\n":
        write_fully(fd, b"\n", layout.START)


def _torn_bytes(fd: int, end: int) -> int:
    """Length of what stands behind the last record instead of the closing; 0 for a missing or half-written closing."""
    size = os.fstat(fd).st_size
    tail = os.pread(fd, 16, end)
    if size - end < 16 and (layout.CLOSING.startswith(tail) or tail in (b",", b",\n", b",\n]\n")):
        return 0
    return max(0, size - end)


def _keep_torn_tail(journal: Journal, found: Recovery) -> Path | None:
    if not found.torn_bytes:
        return None
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    path = journal.path.with_name(f"{journal.path.name}.torn-{stamp}-{found.end}")
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        position = found.end
        while tail := os.pread(journal.fileno(), _BLOCK, position):
            write_fully(fd, tail, position - found.end)
            position += len(tail)
        sync(fd)
    finally:
        os.close(fd)
    sync_directory(path.parent)
    return path
