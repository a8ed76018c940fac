"""Events as CSV for spreadsheets: a cell for each column, none of which a spreadsheet takes for a formula."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import msgspec

from clickstream.errors import RequestRefused
from clickstream.query import PROPERTY

COLUMNS: Final = (
    "event_id",
    "event_type",
    "timestamp",
    "user_id",
    "anonymous_id",
    "session_id",
    "received_at",
    "properties",
    "other",
)
MOST_COLUMNS: Final = 100

_OTHER: Final = COLUMNS[-1]  # all fields that are no columns, so also one that is called so
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")
_FLUSH_BYTES: Final = 256 * 1024


def columns_of(text: str) -> tuple[str, ...]:
    """The columns that `text` lists, with commas between them; raises RequestRefused for one that there is not."""
    columns = tuple(name.strip() for name in text.split(","))
    if len(columns) > MOST_COLUMNS:
        raise _refused(f"{len(columns):,} columns: there may be {MOST_COLUMNS}")
    for name in columns:
        if name not in COLUMNS and not (name.startswith(PROPERTY) and name != PROPERTY):
            known = f"known: {', '.join(COLUMNS)}, and {PROPERTY}NAME for the property NAME of your events"
            raise _refused(f'there is no column "{name[:40]}"; {known}')
    return columns


def rows(records: Iterator[bytes], columns: Sequence[str] = COLUMNS) -> Iterator[bytes]:
    """A line of names, then one for each of `records`, in good portions."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(columns)
    values = [_value_of(name) for name in columns]
    for record in records:
        event = msgspec.json.decode(record)
        writer.writerow([_cell(value(event)) for value in values])
        if buffer.tell() > _FLUSH_BYTES:
            yield _taken(buffer)
    yield _taken(buffer)


def _value_of(column: str) -> Callable[[dict[str, Any]], object]:
    """What gives the value of `column` of an event."""
    if column.startswith(PROPERTY):
        name = column.removeprefix(PROPERTY)
        return lambda event: _property(event.get("properties"), name)
    if column == _OTHER:
        return lambda event: {name: value for name, value in event.items() if name not in COLUMNS[:-1]} or None
    missing: object = {} if column == "properties" else None
    return lambda event: event.get(column, missing)


def _property(properties: object, name: str) -> object:
    return properties.get(name) if isinstance(properties, dict) else None  # no object, in a file of an older version


def _cell(value: object) -> str:
    """Text of one cell; a leading quote keeps spreadsheets from taking a text for a formula."""
    if value is None:
        return ""
    if isinstance(value, str):
        return "'" + value if value.startswith(_FORMULA_STARTS) else value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _taken(buffer: io.StringIO) -> bytes:
    content = buffer.getvalue().encode()
    buffer.seek(0)
    buffer.truncate()
    return content


def _refused(reason: str) -> RequestRefused:
    return RequestRefused("invalid_parameter", reason, field="columns")
