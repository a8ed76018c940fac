"""A Parquet copy of a journal's older part, derived and deletable, so that questions over millions of events stay fast.

The copy is a chain of files, each named by the bytes of the journal it covers and a checksum of their end. A part
whose bytes stand there no longer (a compaction has moved them) is deleted with all that follow, and made again.
What is younger than the last part is read from the journal itself.
"""

from __future__ import annotations

import os
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from clickstream.analytics import sources
from clickstream.analytics.engine import connect, events_view
from clickstream.analytics.sources import literal
from clickstream.journal import layout

_LEAST_PART_BYTES: Final = 16 * 1024 * 1024  # a smaller rest is read as JSON in about 50 ms
_MOST_PART_BYTES: Final = 256 * 1024 * 1024
_CHECKED_BYTES: Final = 64 * 1024


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

    @contextmanager
    def source(self, end: int) -> Iterator[str]:
        """SQL that gives the columns of sql/events.sql for all records before `end`, the durable offset.

        For `engine.answer(…, derived=True)`; valid inside the block. One thread or process at a time.
        """
        with self._journal.open("rb") as file, tempfile.TemporaryDirectory(prefix="clickstream-columns-") as directory:
            parts = self._refresh(file.fileno(), end, Path(directory))
            rest = Path(directory) / "rest.ndjson"
            _write_lines(file.fileno(), parts[-1].end if parts else layout.START, end, rest)
            yield _union([part.path for part in parts], rest)

    def discard(self) -> None:
        """Delete the copy; the next question makes it again. Erasing a person calls this."""
        for path in self._directory.glob("*.parquet*"):
            path.unlink(missing_ok=True)

    def _refresh(self, fd: int, end: int, directory: Path) -> list[_Part]:
        parts = self._valid_parts(fd, end)
        position = parts[-1].end if parts else layout.START
        while end - position >= self._least:
            part = self._convert(fd, position, _cut(fd, position, min(position + self._most, end), end), directory)
            parts.append(part)
            position = part.end
        return parts

    def _valid_parts(self, fd: int, end: int) -> list[_Part]:
        valid: list[_Part] = []
        for part in sorted(filter(None, map(_part_of, self._directory.glob("*.parquet"))), key=lambda one: one.start):
            position = valid[-1].end if valid else layout.START
            if part.start == position and part.end <= end and part.checksum == _checksum(fd, part.start, part.end):
                valid.append(part)
            else:
                part.path.unlink(missing_ok=True)
        return valid

    def _convert(self, fd: int, start: int, end: int, directory: Path) -> _Part:
        lines = directory / "part.ndjson"
        _write_lines(fd, start, end, lines)
        self._directory.mkdir(mode=0o700, exist_ok=True)
        checksum = _checksum(fd, start, end)
        target = self._directory / f"{start}-{end}-{checksum:08x}.parquet"
        unfinished = target.with_name(target.name + ".new")
        with connect() as connection:
            view = _as_text(events_view(sources.ndjson(lines), None, None))
            connection.execute(f"COPY ({view}) TO {literal(str(unfinished))} (FORMAT parquet, COMPRESSION zstd)")
        unfinished.replace(target)
        lines.unlink()
        return _Part(target, start, end, checksum)


def _union(parts: list[Path], rest: Path) -> str:
    young = _as_text(events_view(sources.ndjson(rest), None, None))
    if not parts:
        return young
    names = ", ".join(literal(str(path)) for path in parts)
    return f"SELECT * FROM read_parquet([{names}]) UNION ALL BY NAME ({young})"  # noqa: S608 (quoted paths)


def _as_text(view: str) -> str:
    return f"SELECT * REPLACE (CAST(order_properties AS VARCHAR) AS order_properties) FROM ({view}) AS typed"  # noqa: S608 (our own SQL)


def _part_of(path: Path) -> _Part | None:
    pieces = path.stem.split("-")
    try:
        return _Part(path, int(pieces[0]), int(pieces[1]), int(pieces[2], 16))
    except (IndexError, ValueError):
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
        before = b""
        while start < end:
            block = before + os.pread(fd, min(4 * 1024 * 1024, end - start), start)
            start += len(block) - len(before)
            # A separator may be cut in two: keep a comma at the end for the next round.
            before = b"," if block.endswith(b",") else b""
            file.write((block[:-1] if before else block).replace(layout.SEPARATOR, b"\n"))
        file.write(b"\n")
