"""A Parquet copy of a journal's older part, derived and deletable, so that questions over millions of events stay fast.

The copy is a chain of parts, each a directory named by the bytes of the journal it covers and a checksum of their
end. A part whose bytes stand there no longer (a compaction has moved them) is deleted with all that follow, and made
again. What is younger than the last part is read from the journal itself.
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

from clickstream.analytics.engine import SourceUnreadable
from clickstream.analytics.part import write_events, write_tables
from clickstream.analytics.views import EVENTS, Copied, table_file
from clickstream.errors import Replaying
from clickstream.journal import layout
from clickstream.journal.disk import sync_directory

_LEAST_PART_BYTES: Final = 16 * 1024 * 1024  # a smaller rest is read as JSON in about 50 ms
_MOST_PART_BYTES: Final = 256 * 1024 * 1024
_CHECKED_BYTES: Final = 64 * 1024
# Of lines that DuckDB takes at once. An event of many short values takes several hundred times its size while each
# column is read out of it.
_BLOCK: Final = 512 * 1024
_FORM: Final = "v9"  # of a part's tables: parts of another are made anew
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
    def source(self, end: int) -> Iterator[Copied]:
        """All records before `end`, the durable offset, for `engine.answer`.

        Valid inside the block, unless the copy is withheld meanwhile.
        Raises Replaying while it is. One thread or process at a time, but for `workplace`.
        """
        with self._journal.open("rb") as file, self._work() as (work, began):
            parts = self._refresh(file.fileno(), end, work, began)
            young = table_file(work, "young")
            self._write_events(file.fileno(), parts[-1].end if parts else layout.START, end, young, work)
            yield Copied(tuple(part.path for part in parts), young)

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
        small = self._worth_joining(parts, end)
        parts = parts[: len(parts) - len(small)]
        position = parts[-1].end if parts else layout.START
        while end - position >= self._least:
            self._require(began)
            cut = _cut(fd, position, min(position + self._most, end), end)
            part = self._make(fd, position, cut, [part.path for part in parts], work)
            self._publish(part, work, began)
            parts.append(part)
            position = part.end
        for part in small:  # a kill before leaves parts that begin alike; either is the beginning of a chain
            _remove(part.path)
        return parts

    def _worth_joining(self, parts: list[_Part], end: int) -> list[_Part]:
        """The small parts at the end, once there is enough for a large one: each part takes time at every question."""
        first = len(parts)
        while first and parts[first - 1].end - parts[first - 1].start < self._most // 2:
            first -= 1
        return parts[first:] if first < len(parts) and end - parts[first].start >= self._most else []

    def _valid_parts(self, fd: int, end: int) -> list[_Part]:
        valid: list[_Part] = []
        found = {path: _part_of(path) for path in self._directory.iterdir() if not path.name.startswith(_WORK)}
        for path, part in sorted(found.items(), key=lambda one: one[1].start if one[1] else -1):
            position = valid[-1].end if valid else layout.START
            if (
                part
                and (part.start, part.checksum) == (position, _checksum(fd, part.start, part.end))
                and part.end <= end
            ):
                valid.append(part)
            else:
                _remove(path)
        return valid

    def _make(self, fd: int, start: int, end: int, earlier: list[Path], work: Path) -> _Part:
        checksum = _checksum(fd, start, end)
        name = f"{_FORM}-{start}-{end}-{checksum:08x}"
        (work / name).mkdir()
        self._write_events(fd, start, end, table_file(work / name, EVENTS), work)
        write_tables(work / name, start, earlier, spill=work)
        return _Part(self._directory / name, start, end, checksum)

    def _write_events(self, fd: int, start: int, end: int, target: Path, work: Path) -> None:
        lines = _write_lines(fd, start, end, work)
        write_events(lines, target, spill=work)
        for file in lines:
            file.unlink()

    def _publish(self, part: _Part, work: Path, began: int) -> None:
        made = work / part.path.name
        for table in made.iterdir():
            with table.open("rb") as file:
                os.fsync(file.fileno())  # else a power cut leaves a name that promises more than there is
        sync_directory(made)
        with self._lock:
            self._require(began)
            made.replace(part.path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)  # a discard may delete it at the same time
    else:
        path.unlink(missing_ok=True)  # a part of an older version was a file


def _part_of(path: Path) -> _Part | None:
    try:
        form, start, end, checksum = path.name.split("-")
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


def _write_lines(fd: int, start: int, end: int, directory: Path) -> list[Path]:
    """Records between two offsets as NDJSON, in files that DuckDB can read.

    It takes 2048 lines of a file at once, and holds them once for each column: of long events that is more than it may.
    """
    files: list[Path] = []
    for number, lines in enumerate(_lines(fd, start, end)):
        files.append(directory / f"{number}.ndjson")
        files[-1].write_bytes(lines)
    return files


def _lines(fd: int, start: int, end: int) -> Iterator[bytes]:
    """Records between two offsets a line each, a block at a time."""
    rest = b""
    while start < end:
        block = os.pread(fd, min(_BLOCK, end - start), start)
        if not block:
            raise OSError(f"the journal ends at byte {start}, before its durable offset {end}")
        start += len(block)
        whole, newline, rest = (rest + block).rpartition(b"\n")
        yield _without_separators(whole + newline)
    yield _without_separators(rest + b"\n")


def _without_separators(lines: bytes) -> bytes:
    if b" \n" not in lines:
        return lines.replace(layout.SEPARATOR, b"\n")
    # Blanks stand where a damaged line was mended, and may follow a neighbour's comma.
    return b"".join(line.rstrip(b" ,") + b"\n" for line in lines.split(b"\n"))
