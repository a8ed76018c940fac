"""A Parquet copy of a journal's older part, derived and deletable, so that questions over millions of events stay fast.

The copy is a chain of files, each named by the bytes of the journal it covers and a checksum of their end. A part
whose bytes stand there no longer (a compaction has moved them) is deleted with all that follow, and made again.
What is younger than the last part is read from the journal itself.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from clickstream.analytics import sources
from clickstream.analytics.catalog import view_sql
from clickstream.analytics.engine import SourceUnreadable, connect, events_view, readable
from clickstream.analytics.sources import literal
from clickstream.errors import Replaying
from clickstream.journal import layout
from clickstream.journal.file import sync_directory

_LEAST_PART_BYTES: Final = 16 * 1024 * 1024  # a smaller rest is read as JSON in about 50 ms
_MOST_PART_BYTES: Final = 256 * 1024 * 1024
_CHECKED_BYTES: Final = 64 * 1024
_BLOCK: Final = 4 * 1024 * 1024
_FORM: Final = "v3"  # of sql/copied_events.sql: parts of another are made anew
_TRIES: Final = 3
_WORK: Final = "work-"


@dataclass(frozen=True, slots=True)
class _Part:
    path: Path
    start: int
    end: int
    checksum: int


class ColumnCopy:
    """The copy of the journal at `path`, in the directory beside it."""

    def __init__(
        self, path: Path, *, least_part_bytes: int = _LEAST_PART_BYTES, most_part_bytes: int = _MOST_PART_BYTES
    ) -> None:
        self._journal = path
        self._directory = path.with_name(path.name + ".parquet")
        self._least = least_part_bytes
        self._most = most_part_bytes
        self._lock = threading.Lock()
        self._is_withheld = False
        self._discarded = 0  # how often; a question that began before must leave nothing behind

    @contextmanager
    def source(self, end: int) -> Iterator[str]:
        """SQL that gives the columns of sql/copied_events.sql for all records before `end`, the durable offset.

        For `engine.answer(…, derived=True)`; valid inside the block, unless the copy is withheld meanwhile.
        Raises Replaying while it is. One thread or process at a time, but for `workplace`.
        """
        with self._journal.open("rb") as file, self._work() as (work, began):
            parts = self._refresh(file.fileno(), end, work, began)
            young = self._convert(file.fileno(), parts[-1].end if parts else layout.START, end, work)
            yield _union([*(part.path for part in parts), work / young.path.name])

    @contextmanager
    def workplace(self) -> Iterator[Path]:
        """A directory for temporary files with events of people: they go with the copy, also after a kill.

        Raises Replaying while the copy is withheld, and when it is withheld meanwhile.
        """
        with self._work() as (work, _):
            yield work

    def tidy(self) -> None:
        """Delete what a kill has left of work in progress; when nobody uses the copy, as at a start."""
        for left in self._directory.glob(_WORK + "*"):
            shutil.rmtree(left)

    def discard(self) -> None:
        """Delete the copy, durably, and whatever a question is making of it; the next question makes it again."""
        with self._lock:
            self._discarded += 1
            for _ in range(_TRIES):  # a question under way may add a file in between
                shutil.rmtree(self._directory, ignore_errors=True)
            if self._directory.exists():
                shutil.rmtree(self._directory)  # raises OSError with what stands in the way
        sync_directory(self._journal.parent)

    @contextmanager
    def withheld(self) -> Iterator[None]:
        """Inside the block there is no copy and none is made: for whoever takes records out of the journal."""
        self._is_withheld = True
        self.discard()
        try:
            yield
        finally:
            self._is_withheld = False

    @contextmanager
    def _work(self) -> Iterator[tuple[Path, int]]:
        """A directory to work in, and how often the copy was discarded: that must not change meanwhile."""
        with self._lock:
            began = self._discarded
            self._require(began)
            self._directory.mkdir(mode=0o700, exist_ok=True)
            work = Path(tempfile.mkdtemp(dir=self._directory, prefix=_WORK))
        try:
            yield work, began
        except (FileNotFoundError, SourceUnreadable):
            self._require(began)
            raise
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _require(self, began: int) -> None:
        if self._is_withheld or self._discarded != began:
            raise Replaying("the events are being rewritten; try again shortly")

    def _refresh(self, fd: int, end: int, work: Path, began: int) -> list[_Part]:
        parts = self._valid_parts(fd, end)
        position = parts[-1].end if parts else layout.START
        while end - position >= self._least:
            self._require(began)
            part = self._convert(fd, position, _cut(fd, position, min(position + self._most, end), end), work)
            self._publish(part, work, began)
            parts.append(part)
            position = part.end
        return parts

    def _valid_parts(self, fd: int, end: int) -> list[_Part]:
        valid: list[_Part] = []
        found = {path: _part_of(path) for path in self._directory.glob("*.parquet")}
        for path, part in sorted(found.items(), key=lambda one: one[1].start if one[1] else -1):
            position = valid[-1].end if valid else layout.START
            if (
                part
                and (part.start, part.checksum) == (position, _checksum(fd, part.start, part.end))
                and part.end <= end
            ):
                valid.append(part)
            else:
                path.unlink(missing_ok=True)
        return valid

    def _convert(self, fd: int, start: int, end: int, work: Path) -> _Part:
        lines = work / "part.ndjson"
        _write_lines(fd, start, end, lines)
        checksum = _checksum(fd, start, end)
        target = self._directory / f"{_FORM}-{start}-{end}-{checksum:08x}.parquet"
        with connect(spill=work) as connection, readable():
            view = events_view(sources.ndjson(lines), None, None)
            unfinished = literal(str(work / target.name))
            connection.execute(f"CREATE TEMP VIEW events AS {view}")
            connection.execute(f"COPY ({view_sql('copied_events')}) TO {unfinished} (FORMAT parquet, COMPRESSION zstd)")
        lines.unlink()
        return _Part(target, start, end, checksum)

    def _publish(self, part: _Part, work: Path, began: int) -> None:
        with (work / part.path.name).open("rb") as file:
            os.fsync(file.fileno())  # else a power cut leaves a file whose name promises more than it holds
        with self._lock:
            self._require(began)
            (work / part.path.name).replace(part.path)


def _union(parts: list[Path]) -> str:
    names = ", ".join(literal(str(path)) for path in parts)
    return f"SELECT * FROM read_parquet([{names}])"  # noqa: S608 (quoted paths)


def _part_of(path: Path) -> _Part | None:
    try:
        form, start, end, checksum = path.stem.split("-")
        return _Part(path, int(start), int(end), int(checksum, 16)) if form == _FORM else None
    except ValueError:
        return None


def _checksum(fd: int, start: int, end: int) -> int:
    size = min(_CHECKED_BYTES, end - start)
    return zlib.crc32(os.pread(fd, size, end - size))


def _cut(fd: int, start: int, limit: int, end: int) -> int:
    """The end of the last record before `limit`; `limit` itself when that is the end of everything."""
    if limit == end:
        return end
    size = min(1024 * 1024, limit - start)
    while True:
        found = os.pread(fd, size, limit - size).rfind(layout.SEPARATOR)
        if found > 0:
            return limit - size + found
        if size >= limit - start:
            return end  # one record alone is larger than a part
        size = min(2 * size, limit - start)


def _write_lines(fd: int, start: int, end: int, target: Path) -> None:
    """Records between two offsets as NDJSON."""
    with target.open("wb") as file:
        rest = b""
        while start < end:
            block = os.pread(fd, min(_BLOCK, end - start), start)
            if not block:
                raise OSError(f"the journal ends at byte {start}, before its durable offset {end}")
            start += len(block)
            whole, newline, rest = (rest + block).rpartition(b"\n")
            file.write(_without_separators(whole + newline))
        file.write(_without_separators(rest + b"\n"))


def _without_separators(lines: bytes) -> bytes:
    if b" \n" not in lines:
        return lines.replace(layout.SEPARATOR, b"\n")
    # Blanks stand where a damaged line was mended, and may follow a neighbour's comma.
    return b"".join(line.rstrip(b" ,") + b"\n" for line in lines.split(b"\n"))
