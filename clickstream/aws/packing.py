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

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final
from zlib import crc32

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
# Before the partition key of a record that was replayed: the consumer then counts each event_id once.
REPLAYED: Final = "replay-"
_TEXTS: Final = ("event_id", "event_type", "user_id", "anonymous_id", "session_id", "timestamp", "received_at")
_REQUIRED: Final = ("event_id", "event_type", "timestamp", "received_at")
_OWN_FIELDS: Final = frozenset({*_TEXTS, "properties"})
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


class Line(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
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


@dataclass(frozen=True, slots=True)
class Lane:
    """Lines of one lane in the order they came, and which events they are."""

    number: int
    lines: list[bytes]
    indexes: list[int]

    @property
    def size(self) -> int:
        """Of the lines in bytes, newlines included."""
        return sum(map(len, self.lines)) + len(self.lines)


class _NewLine(msgspec.Struct, omit_defaults=True, gc=False):
    """A Line made from positional arguments, which is faster; the defaults of the required fields are never used."""

    v: int
    event_id: str
    event_type: str
    user_id: str | None = None
    anonymous_id: str | None = None
    session_id: str | None = None
    timestamp: str = ""
    received_at: str = ""
    properties: str = "{}"


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
    """A line of a record, or a row of the lake, is neither wire form 1 nor a stored event."""


_decode_stored: Final = msgspec.json.Decoder(_Stored).decode
_decode_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_object: Final = msgspec.json.Decoder(dict[str, Any]).decode
_decode_properties: Final = msgspec.json.Decoder(dict[str, Any] | None).decode
_decode_text: Final = msgspec.json.Decoder(str | None).decode
_decode_line: Final = msgspec.json.Decoder(Line).decode
_encode: Final = msgspec.json.Encoder().encode


def lane_of(record: bytes) -> int:
    """Lane of a stored event: by user_id, else anonymous_id, else session_id."""
    return lanes_of([record])[0].number


def hash_key(lane: int) -> str:
    """Where a lane lies in the stream's range of hash keys: lanes are spread evenly over the shards."""
    return str((2 * lane + 1) * _HASH_KEYS // (2 * LANES))


def pack(records: Sequence[bytes]) -> list[Pack]:
    """Stored events as records of the stream; events of one lane keep their order."""
    return [one for lane in lanes_of(records) for one in packs_of(lane)]


def lanes_of(records: Sequence[bytes]) -> list[Lane]:
    """Stored events in wire form 1 by lane."""
    lanes: dict[int, tuple[list[bytes], list[int]]] = {}
    for index, record in enumerate(records):
        try:
            event = _decode_stored(record)
        except msgspec.ValidationError:
            line, person = _line_of_fields(record)
        else:
            line = _encode(_line_of_stored(event))
            person = event.user_id or event.anonymous_id or event.session_id or ""
        number = crc32(person.encode()) % LANES
        lane = lanes.get(number)
        if lane is None:
            lane = lanes[number] = ([], [])
        lane[0].append(line)
        lane[1].append(index)
    return [Lane(number, lines, indexes) for number, (lines, indexes) in lanes.items()]


def packs_of(lane: Lane) -> Iterator[Pack]:
    """The records of the stream that hold the lines of `lane`."""
    lines: list[bytes] = []
    begin = size = 0
    for end, line in enumerate(lane.lines):
        if lines and size + len(line) + 1 > MAX_PACK_BYTES:
            yield Pack(b"\n".join(lines) + b"\n", lane.number, tuple(lane.indexes[begin:end]))
            lines, begin, size = [], end, 0
        lines.append(line)
        size += len(line) + 1
    if lines:
        yield Pack(b"\n".join(lines) + b"\n", lane.number, tuple(lane.indexes[begin:]))


def line_of(record: bytes) -> bytes:
    """A stored event in wire form 1, without a newline; of older versions, which may lack fields, without those."""
    return lanes_of([record])[0].lines[0]


def properties_of(line: Line) -> dict[str, Any] | None:
    """The properties of `line`; raises NotAnEvent unless they and `extra` are sound JSON objects."""
    try:
        properties: dict[str, Any] | None = _decode_properties(line.properties)
        extra = {} if line.extra is None else _decode_object(line.extra)
    except (msgspec.MsgspecError, RecursionError) as problem:
        raise NotAnEvent(f"properties or extra: {problem}") from problem
    if not _OWN_FIELDS.isdisjoint(extra):
        raise NotAnEvent("extra names a field that has a column of its own")
    return properties


def record_of(line: Line) -> bytes:
    """The stored event that `line_of` was given, equal as JSON; raises NotAnEvent for a line that holds none."""
    properties_of(line)
    if missing := [name for name in _REQUIRED if getattr(line, name) is None]:
        raise NotAnEvent(f"without {', '.join(missing)}")
    fields: dict[str, object] = {name: text for name in _TEXTS if (text := getattr(line, name)) is not None}
    received_at = fields.pop("received_at")
    fields["properties"] = msgspec.Raw(line.properties.encode())
    if line.extra is not None:
        fields.update(_decode_fields(line.extra.encode()))
    fields["received_at"] = received_at
    return _encode(fields)


def event_of(line: Line) -> bytes | NotAnEvent:
    """The stored event in `line`, or why it holds none."""
    try:
        return record_of(line)
    except NotAnEvent as problem:
        return problem


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


def _line_of_stored(event: _Stored) -> _NewLine:
    return _NewLine(
        WIRE_VERSION,
        event.event_id,
        event.event_type,
        event.user_id,
        event.anonymous_id,
        event.session_id,
        event.timestamp,
        event.received_at,
        str(event.properties, "utf-8"),
    )


def _line_of_fields(record: bytes) -> tuple[bytes, str]:
    """The line of an event with unknown or missing fields, and whose it is."""
    fields = _decode_fields(record)
    texts = {name: text for name in _TEXTS if (text := _decode_text(fields.pop(name, b"null"))) is not None}
    line: dict[str, object] = {"v": WIRE_VERSION, **texts}
    if (properties := bytes(fields.pop("properties", b"{}"))) != b"{}":
        line["properties"] = properties.decode()
    if fields:
        line["extra"] = _encode(fields).decode()
    return _encode(line), texts.get("user_id") or texts.get("anonymous_id") or texts.get("session_id") or ""
