"""Stored events -> records of the stream, and back.

One event is one line of JSON in wire form 1, whose fields are the columns of the lake:

    {"v":1,"event_id":…,"event_type":…,"user_id":…,"anonymous_id":…,"session_id":…,"timestamp":…,"received_at":…,
     "properties":"<JSON text>","extra":"<JSON text of the top-level fields this platform does not know>"}

`properties` and `extra` are text, byte for byte as they were stored: Firehose writes them into Parquet columns
without knowing what is in them, so no property is lost because a schema did not foresee it.

Several lines make one record of at most 25 KB, because Kinesis and Lambda are billed by the record. All events
of a person are in one lane, a lane has one partition key, so a person's events stay in order in one shard.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

WIRE_VERSION: Final = 1
LANES: Final = 64  # also the most shards that can be kept busy; changing it moves people between shards once
MAX_PACK_BYTES: Final = 25 * 1024  # billed in units of 25 KB
MAX_RECORD_BYTES: Final = 1024 * 1024  # data and partition key together

# Text inside a JSON string at most doubles: every quote and backslash gets a backslash, nothing else does.
# 4 KB are for the other fields, which validation bounds.
MAX_EVENT_BYTES: Final = (MAX_RECORD_BYTES - 4096) // 2

COLUMNS: Final = (
    "v",
    "event_id",
    "event_type",
    "user_id",
    "anonymous_id",
    "session_id",
    "timestamp",
    "received_at",
    "properties",
    "extra",
)
_TEXTS: Final = ("event_id", "event_type", "user_id", "anonymous_id", "session_id", "timestamp", "received_at")
_HASH_KEYS: Final = 2**128


@dataclass(frozen=True, slots=True)
class Pack:
    """One record of the stream: its data, its lane, and which stored events are in it."""

    data: bytes
    lane: int
    indexes: tuple[int, ...]  # which of the packed events are inside; lets a sink say what was not sent

    @property
    def partition_key(self) -> str:
        """Never empty, the same for all events of a person."""
        return f"lane-{self.lane:03d}"


class _Keys(msgspec.Struct):
    user_id: str | None = None
    anonymous_id: str | None = None
    session_id: str | None = None


class Line(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One event in wire form 1."""

    v: int
    event_id: str
    event_type: str
    user_id: str | None = None
    anonymous_id: str | None = None
    session_id: str | None = None
    timestamp: str
    received_at: str
    properties: str = "{}"
    extra: str | None = None


class NotAnEvent(ValueError):
    """A line of a record is neither wire form 1 nor a stored event."""


_decode_keys: Final = msgspec.json.Decoder(_Keys).decode
_decode_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_text: Final = msgspec.json.Decoder(str | None).decode
_decode_line: Final = msgspec.json.Decoder(Line).decode
_encode: Final = msgspec.json.Encoder().encode


def lane_of(record: bytes) -> int:
    """Lane of a stored event: by user_id, else anonymous_id, else session_id."""
    keys = _decode_keys(record)
    return zlib.crc32((keys.user_id or keys.anonymous_id or keys.session_id or "").encode()) % LANES


def hash_key(lane: int) -> str:
    """Where a lane lies in the stream's range of hash keys: lanes are spread evenly over the shards."""
    return str((2 * lane + 1) * _HASH_KEYS // (2 * LANES))


def pack(records: Sequence[bytes]) -> list[Pack]:
    """Stored events as records of the stream; events of one lane keep their order."""
    lanes: dict[int, list[int]] = {}
    for index, record in enumerate(records):
        lanes.setdefault(lane_of(record), []).append(index)
    return [one for lane, indexes in lanes.items() for one in _packs_of_lane(lane, indexes, records)]


def line_of(record: bytes) -> bytes:
    """A stored event in wire form 1, without a newline; of older versions, which may lack fields, without those."""
    fields = _decode_fields(record)
    texts = {name: text for name in _TEXTS if (text := _decode_text(fields.pop(name, b"null"))) is not None}
    line: dict[str, object] = {"v": WIRE_VERSION, **texts}
    if (properties := bytes(fields.pop("properties", b"{}"))) != b"{}":
        line["properties"] = properties.decode()
    if fields:
        line["extra"] = _encode(fields).decode()
    return _encode(line)


def record_of(line: Line) -> bytes:
    """The stored event that `line_of` was given, equal as JSON."""
    fields: dict[str, object] = {name: text for name in _TEXTS if (text := getattr(line, name)) is not None}
    received_at = fields.pop("received_at")
    fields["properties"] = msgspec.Raw(line.properties.encode())
    if line.extra is not None:
        fields.update(_decode_fields(line.extra.encode()))
    fields["received_at"] = received_at
    return _encode(fields)


def unpack(data: bytes) -> Iterator[tuple[int, Line | NotAnEvent, bytes]]:
    """Number, event or reason, and bytes of each line of a record; one bad line never hides the others.

    Understands wire form 1 and plain stored events, which other producers may put into the stream.
    """
    for number, line in enumerate(data.split(b"\n")):
        if line.strip():
            yield number, _read_line(line), line


def _read_line(line: bytes) -> Line | NotAnEvent:
    try:
        return _decode_line(line) if b'"v":' in line[:16] else _decode_line(line_of(line))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, TypeError) as problem:
        return NotAnEvent(str(problem))


def _packs_of_lane(lane: int, indexes: Iterable[int], records: Sequence[bytes]) -> Iterator[Pack]:
    lines: list[bytes] = []
    inside: list[int] = []
    size = 0
    for index in indexes:
        line = line_of(records[index]) + b"\n"
        if lines and size + len(line) > MAX_PACK_BYTES:
            yield Pack(b"".join(lines), lane, tuple(inside))
            lines, inside, size = [], [], 0
        lines.append(line)
        inside.append(index)
        size += len(line)
    if lines:
        yield Pack(b"".join(lines), lane, tuple(inside))
