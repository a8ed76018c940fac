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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
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


_AnyLine = Line | dict[str, object]  # of events with unknown or missing fields the second


@dataclass(slots=True)
class Lane:
    """Lines of one lane in the order they came, and which events they are."""

    lines: list[_AnyLine] = field(default_factory=list)
    indexes: list[int] = field(default_factory=list)
    size: int = 0  # of the stored events, in bytes


class _Stored(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, gc=False):
    """A stored event that has only the usual fields; nearly all do, and so they are read in one pass."""

    event_id: str
    event_type: str
    user_id: str | None = None
    anonymous_id: str | None = None
    session_id: str | None = None
    timestamp: str
    received_at: str
    properties: msgspec.Raw = msgspec.Raw(b"{}")


class NotAnEvent(ValueError):
    """A line of a record is neither wire form 1 nor a stored event."""


_decode_stored: Final = msgspec.json.Decoder(_Stored).decode
_decode_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_text: Final = msgspec.json.Decoder(str | None).decode
_decode_line: Final = msgspec.json.Decoder(Line).decode
_encode: Final = msgspec.json.Encoder().encode


def lane_of(record: bytes) -> int:
    """Lane of a stored event: by user_id, else anonymous_id, else session_id."""
    return _lined(record)[1]


def hash_key(lane: int) -> str:
    """Where a lane lies in the stream's range of hash keys: lanes are spread evenly over the shards."""
    return str((2 * lane + 1) * _HASH_KEYS // (2 * LANES))


def pack(records: Sequence[bytes]) -> list[Pack]:
    """Stored events as records of the stream; events of one lane keep their order."""
    return [one for number, lane in lanes_of(records).items() for one in packs_of(number, lane)]


def lanes_of(records: Sequence[bytes]) -> dict[int, Lane]:
    """Stored events by lane."""
    lanes: dict[int, Lane] = {}
    for index, record in enumerate(records):
        line, number = _lined(record)
        lane = lanes.get(number)
        if lane is None:
            lane = lanes[number] = Lane()
        lane.lines.append(line)
        lane.indexes.append(index)
        lane.size += len(record)
    return lanes


def packs_of(number: int, lane: Lane) -> Iterator[Pack]:
    """The records of the stream that hold the lines of lane `number`."""
    lines: list[bytes] = []
    begin = size = 0
    for end, one in enumerate(lane.lines):
        line = _encode(one)
        if lines and size + len(line) + 1 > MAX_PACK_BYTES:
            yield Pack(b"\n".join(lines) + b"\n", number, tuple(lane.indexes[begin:end]))
            lines, begin, size = [], end, 0
        lines.append(line)
        size += len(line) + 1
    if lines:
        yield Pack(b"\n".join(lines) + b"\n", number, tuple(lane.indexes[begin:]))


def line_of(record: bytes) -> bytes:
    """A stored event in wire form 1, without a newline; of older versions, which may lack fields, without those."""
    return _encode(_lined(record)[0])


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


def _lined(record: bytes) -> tuple[_AnyLine, int]:
    """The line of a stored event and its lane."""
    try:
        event = _decode_stored(record)
    except msgspec.ValidationError:
        line = _line_of_fields(record)
        return line, _lane(line.get("user_id") or line.get("anonymous_id") or line.get("session_id"))
    properties = str(event.properties, "utf-8")
    plain = Line(
        v=WIRE_VERSION,
        event_id=event.event_id,
        event_type=event.event_type,
        user_id=event.user_id,
        anonymous_id=event.anonymous_id,
        session_id=event.session_id,
        timestamp=event.timestamp,
        received_at=event.received_at,
        properties=properties,
    )
    return plain, _lane(event.user_id or event.anonymous_id or event.session_id)


def _line_of_fields(record: bytes) -> dict[str, object]:
    fields = _decode_fields(record)
    texts = {name: text for name in _TEXTS if (text := _decode_text(fields.pop(name, b"null"))) is not None}
    line: dict[str, object] = {"v": WIRE_VERSION, **texts}
    if (properties := bytes(fields.pop("properties", b"{}"))) != b"{}":
        line["properties"] = properties.decode()
    if fields:
        line["extra"] = _encode(fields).decode()
    return line


def _lane(person: object) -> int:
    return zlib.crc32(str(person or "").encode()) % LANES
