"""The journal as json, ndjson, csv or Parquet: streamed, memory flat, a consistent prefix while writes go on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from clickstream import csv_rows, parquet
from clickstream.aws.packing import line_of
from clickstream.journal import JournalReader, layout
from clickstream.query import Query

MEDIA_TYPES: Final = {
    "json": "application/json",
    "ndjson": "application/x-ndjson",
    "csv": "text/csv; charset=utf-8",
    "parquet": parquet.MEDIA_TYPE,
}

_FLUSH_BYTES: Final = 256 * 1024


Workplace = Callable[[], AbstractContextManager[Path]]


def export(
    reader: JournalReader, query: Query, form: str, workplace: Workplace, *, columns: Sequence[str] = csv_rows.COLUMNS
) -> Iterator[bytes]:
    """The events of `reader` that `query` asks for, oldest first; `form` is one of MEDIA_TYPES. Closes `reader`.

    Only CSV goes by `columns`, which csv_rows.py knows.
    Only Parquet needs a `workplace`: a directory for temporary files, and is made whole before its first part.
    """
    try:
        if query.is_everything and form in _WHOLE:
            yield from _WHOLE[form](reader)
        else:
            records = reader.records() if query.is_everything else filter(query.matches, reader.records())
            yield from encoded(records, form, workplace, columns=columns)
    finally:
        reader.close()


def encoded(
    records: Iterator[bytes], form: str, workplace: Workplace, *, columns: Sequence[str] = csv_rows.COLUMNS
) -> Iterator[bytes]:
    """`records` in one of MEDIA_TYPES, a good portion at a time; CSV in `columns`."""
    if form == "parquet":
        return _parquet(records, workplace)
    return csv_rows.rows(records, columns) if form == "csv" else _joined(_FILTERED[form](records))


def _parquet(records: Iterator[bytes], workplace: Workplace) -> Iterator[bytes]:
    with workplace() as directory:
        parts = parquet.blocks(parquet.write(map(line_of, records), directory))
        first = next(parts)
    # The file has no name any more: nothing is left of it however this ends.
    yield first
    yield from parts


def _whole_json(reader: JournalReader) -> Iterator[bytes]:
    yield from reader.blocks()
    yield layout.CLOSING


def _whole_ndjson(reader: JournalReader) -> Iterator[bytes]:
    """The file without its bracket, commas and mended lines."""
    rest = b""
    opening = len(layout.OPENING)  # behind which the first record may stand
    for block in reader.blocks():
        lines = block[opening:].split(b"\n")
        lines[0] = rest + lines[0]
        rest = lines.pop()
        yield _without_separators(lines)
        opening = 0
    yield _without_separators([rest])


def _without_separators(lines: Iterable[bytes]) -> bytes:
    # A record ends in a brace, so nothing of it is stripped; of the blanks of a mended line nothing is left.
    records = [record for line in lines if (record := line.rstrip(b" ,"))]
    records.append(b"")
    return b"\n".join(records)


def _json(records: Iterator[bytes]) -> Iterator[bytes]:
    before = layout.OPENING + b"\n"
    for record in records:
        yield before + record
        before = layout.SEPARATOR
    yield layout.CLOSING if before == layout.SEPARATOR else layout.EMPTY


def _ndjson(records: Iterator[bytes]) -> Iterator[bytes]:
    return (record + b"\n" for record in records)


def _joined(parts: Iterator[bytes]) -> Iterator[bytes]:
    """`parts` in pieces worth sending."""
    waiting: list[bytes] = []
    size = 0
    for part in parts:
        waiting.append(part)
        size += len(part)
        if size > _FLUSH_BYTES:
            yield b"".join(waiting)
            waiting, size = [], 0
    yield b"".join(waiting)


_WHOLE: Final[dict[str, Callable[[JournalReader], Iterator[bytes]]]] = {"json": _whole_json, "ndjson": _whole_ndjson}
_FILTERED: Final[dict[str, Callable[[Iterator[bytes]], Iterator[bytes]]]] = {
    "json": _json,
    "ndjson": _ndjson,
}
