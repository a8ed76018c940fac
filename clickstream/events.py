"""Record -> Event or Rejection: every rule about what an event may be.

A good record is kept byte for byte as its sender wrote it; the server only appends what is missing
(`event_id`, `timestamp`) and `received_at`. So numbers, key order and unknown fields survive unchanged.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Protocol, cast

import msgspec

from clickstream.timestamps import DAY_MS, UtcClockReader, parse, text

STANDARD_TYPES: Final = (
    "page_view",
    "click",
    "search",
    "add_to_cart",
    "remove_from_cart",
    "checkout",
    "purchase",
)
MAX_ID_LENGTH: Final = 128
IDENTITY_FIELDS: Final = ("user_id", "anonymous_id", "session_id")

_TYPE_NAME: Final = re.compile(r"[a-z][a-z0-9_.:-]{0,63}")
_TYPES_REMEMBERED: Final = 10_000
_GROUP: Final = 16  # records judged together when their batch is not plainly right
_JSON_STRINGS: Final = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKETS: Final = b"{}[]"
_NOT_BRACKETS: Final = bytes(code for code in range(256) if code not in _BRACKETS)
_DIGITS: Final = bytes.maketrans(b"123456789E", b"000000000e")
_NOT_IN_EXPONENTS: Final = b"+-."
_LONGEST_DIGITS: Final = b"0" * 300  # a float holds 308 digits before the point
_ENVELOPE_FIELDS: Final = frozenset({"event_id", "event_type", *IDENTITY_FIELDS, "timestamp", "properties"})
_ENVELOPE_KEYS: Final = tuple(f'"{name}"'.encode() for name in sorted(_ENVELOPE_FIELDS))
_SERVER_FIELDS: Final = frozenset({"received_at", "original_timestamp"})


class Event(msgspec.Struct, kw_only=True, gc=False):
    """The fields of an event that this platform understands; the record holds all of them."""

    event_type: str
    event_id: str | None = None
    user_id: str | None = None
    anonymous_id: str | None = None
    session_id: str | None = None
    timestamp: str | None = None
    properties: dict[str, Any] | None = None


class AnyEvent(Protocol):
    """What is read of an event, in whichever way it was decoded."""

    @property
    def event_type(self) -> str:
        """The type's name."""

    @property
    def event_id(self) -> str | None:
        """The key of deduplication."""

    @property
    def user_id(self) -> str | None:
        """The known person."""

    @property
    def anonymous_id(self) -> str | None:
        """The device."""

    @property
    def session_id(self) -> str | None:
        """The visit."""

    @property
    def properties(self) -> dict[str, Any] | None:
        """What the sender says about the event."""


_ABSENT: Final = msgspec.Raw()
_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID_LENGTH)]


class PlainEvent(msgspec.Struct, kw_only=True, gc=False, omit_defaults=True):
    """An event that lacks nothing, to be read like an Event; decoding checks its types and lengths in the same pass.

    Most events are only counted by their envelope, so the properties stay as they were sent until somebody asks.
    """

    event_type: str
    event_id: _Id
    timestamp: str
    raw_properties: msgspec.Raw = msgspec.field(name="properties")
    user_id: _Id | None = None
    anonymous_id: _Id | None = None
    session_id: _Id | None = None

    @property
    def properties(self) -> dict[str, Any]:
        """The properties, decoded anew."""
        properties: dict[str, Any] = _anything.decode(self.raw_properties)
        return properties


class _KnownFieldsOnly(PlainEvent, forbid_unknown_fields=True, kw_only=True, gc=False, omit_defaults=True):
    """A complete event without unknown top-level fields: the decoder has looked at every byte but the raw ones."""

    sdk: msgspec.Raw = _ABSENT  # what wire/ adds to the events of SDKs


@dataclass(frozen=True, slots=True)
class Limits:
    """What one event may be at most."""

    max_event_bytes: int
    max_nesting: int


@dataclass(frozen=True, slots=True)
class Rejection:
    """One record that is at fault: where it stood in its request, why it was refused, and the record itself."""

    index: int
    event_id: str | None
    code: str
    field: str | None
    message: str
    record: bytes


@dataclass(slots=True)
class Batch:
    """The verdicts over one request: three parallel lists of good events, and the rejections."""

    events: list[AnyEvent] = field(default_factory=list)
    records: list[bytes] = field(default_factory=list)
    times_ms: list[int] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)


class _Fault(Exception):
    def __init__(self, code: str, message: str, field_name: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.field = field_name


_known_fields: Final = msgspec.json.Decoder(_KnownFieldsOnly)
_complete: Final = msgspec.json.Decoder(PlainEvent)
_objects: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_anything: Final = msgspec.json.Decoder()
_encode: Final = msgspec.json.encode
_clock: Final = UtcClockReader()
_known_types: Final[set[str]] = set(STANDARD_TYPES)


def validate(records: Sequence[bytes], limits: Limits, received_ms: int) -> Batch:
    """Verdict on each record, in order; `received_ms` is the server's clock in milliseconds since 1970."""
    batch = Batch()
    _validate_range(records, 0, batch, limits, received_ms)
    return batch


def _validate_range(records: Sequence[bytes], first: int, batch: Batch, limits: Limits, received_ms: int) -> None:
    """Verdicts on `records`, which begin at index `first`: together while all are plainly right, else in small groups.

    Two levels, not halving: a batch in which every record is wrong must not cost many times a good one.
    """
    if not records:
        return
    plain = _all_plain(records, limits, received_ms)
    if plain is not None:
        batch.events += plain.events
        batch.records += plain.records
        batch.times_ms += plain.times_ms
    elif len(records) > _GROUP:
        for start in range(0, len(records), _GROUP):
            _validate_range(records[start : start + _GROUP], first + start, batch, limits, received_ms)
    else:
        for index, record in enumerate(records, first):
            _examine_into(batch, record, index, limits, received_ms)


def _all_plain(records: Sequence[bytes], limits: Limits, received_ms: int) -> Batch | None:
    """All of `records` as good events, or None when any needs a closer look.

    Everything here runs over the joined records at once, which costs a fifth of a look at each one.
    """
    blob = b"\0".join(records)
    if (
        (b"\\" in blob and b"\\u00" in blob)  # an escaped letter could hide a key
        or b"\n" in blob
        or b"\r" in blob
        or not _is_utf8(blob)
        or (len(blob) > limits.max_event_bytes and max(map(len, records)) > limits.max_event_bytes)
    ):
        return None
    events = _decode_all(records)
    if (
        events is None
        or not _is_shallow(records, limits.max_nesting)
        or not _has_sound_objects(events)
        or not _has_sound_envelopes(events, blob)
    ):
        return None
    times_ms = _clock.all_canonical_ms([event.timestamp for event in events])
    if times_ms is None or max(times_ms) > received_ms + DAY_MS:
        return None
    suffix = f',"received_at":"{text(received_ms)}"}}'.encode()
    return Batch(list(events), [record[:-1] + suffix for record in records], times_ms)


def _has_sound_envelopes(events: Sequence[PlainEvent], blob: bytes) -> bool:
    """True when no field stands twice in a record, every type is known and every event is somebody's."""
    return (
        _known_types.issuperset([event.event_type for event in events])
        and all(event.session_id or event.user_id or event.anonymous_id for event in events)
        and (_is_compact(events, blob) or _has_unique_keys(events, blob))
    )


def _is_compact(events: Sequence[PlainEvent], blob: bytes) -> bool:
    """True when the records joined in `blob` are as short as these fields can be written.

    A key that stands twice, a blank or a needless escape makes a record longer, and nothing makes one shorter.
    """
    return len(_encode(events)) == len(blob) + len("[]")


def _has_sound_objects(events: Sequence[PlainEvent]) -> bool:
    """True when what stays raw are objects, and no number in them is out of range: the typed decoder sees neither."""
    raws = [event.raw_properties for event in events] + _sdk_parts(events)
    blob = b"\0".join(raws)
    if not blob.startswith(b"{") or blob.count(b"\0{") != len(raws) - 1:
        return False
    if _may_hold_huge_number(blob):
        try:
            for raw in raws:
                _anything.decode(raw)
        except (msgspec.MsgspecError, RecursionError):
            return False
    return True


def _sdk_parts(events: Sequence[PlainEvent]) -> list[msgspec.Raw]:
    """What wire/ has added, of events that were decoded with it: all of a batch were, or none."""
    if not isinstance(events[0], _KnownFieldsOnly):
        return []
    return [sdk for event in cast("Sequence[_KnownFieldsOnly]", events) if (sdk := event.sdk) is not _ABSENT]


def _may_hold_huge_number(blob: bytes) -> bool:
    """False when no number in `blob` can be beyond a 64-bit float: none has an exponent or hundreds of digits."""
    digits = blob.translate(_DIGITS, _NOT_IN_EXPONENTS)
    return b"0e0" in digits or _LONGEST_DIGITS in digits


def _decode_all(records: Sequence[bytes]) -> Sequence[PlainEvent] | None:
    # Not the joined array in one call, though that is a little faster: a line `{"a":[{}` and a line `{}]}` are
    # good JSON together, and would be kept as two broken records.
    try:
        decode = _known_fields.decode
        return [decode(record) for record in records]
    except msgspec.ValidationError:
        return _decode_with_extras(records)
    except (msgspec.DecodeError, RecursionError):
        return None


def _decode_with_extras(records: Sequence[bytes]) -> Sequence[PlainEvent] | None:
    """Complete events with further top-level fields, which the typed decoder skips without looking at them."""
    if any(b"\\" in record for record in records):
        return None  # "a/b" and "a\/b" are one key
    try:
        events = [_complete.decode(record) for record in records]
        objects = [_anything.decode(record) for record in records]
    except (msgspec.MsgspecError, RecursionError):
        return None
    extras = set().union(*objects) - _ENVELOPE_FIELDS
    if extras & _SERVER_FIELDS:
        return None
    for name in extras:
        key = _encode(name)
        if sum(record.count(key) for record in records) != sum(name in one for one in objects):
            return None
    return events


def _has_unique_keys(events: Sequence[PlainEvent], blob: bytes) -> bool:
    """True when each envelope name stands in `blob` exactly as often as an event has that field."""
    count = len(events)
    present = {
        b'"user_id"': count - [event.user_id for event in events].count(None),
        b'"anonymous_id"': count - [event.anonymous_id for event in events].count(None),
        b'"session_id"': count - [event.session_id for event in events].count(None),
    }
    if isinstance(events[0], _KnownFieldsOnly) and blob.count(b'"sdk"') != len(_sdk_parts(events)):
        return False
    return all(blob.count(key) == present.get(key, count) for key in _ENVELOPE_KEYS)


def _is_shallow(records: Sequence[bytes], max_nesting: int) -> bool:
    """True when no record nests deeper than `max_nesting`; those that open so many brackets are looked at closely."""
    return not any(
        record.count(b"{") + record.count(b"[") > max_nesting and _depth(record) > max_nesting for record in records
    )


def _depth(record: bytes) -> int:
    """How deep a record nests that is known to be JSON: where a quote is never closed, this takes quadratic time."""
    depth = deepest = 0
    for bracket in _JSON_STRINGS.sub(b"", record).translate(None, _NOT_BRACKETS):
        depth += 1 if bracket in b"{[" else -1
        deepest = max(deepest, depth)
    return deepest


def _is_utf8(blob: bytes) -> bool:
    if blob.isascii():
        return True
    try:
        blob.decode()
    except UnicodeDecodeError:
        return False
    return True


def _one_line(record: bytes) -> bytes:
    """`record` without line breaks, which are never legal inside a JSON string and mean nothing between tokens."""
    if b"\n" in record or b"\r" in record:
        return record.replace(b"\n", b" ").replace(b"\r", b" ")
    return record


def _examine_into(batch: Batch, record: bytes, index: int, limits: Limits, received_ms: int) -> None:
    try:
        event, line, ms = _examine(record, limits, received_ms, text(received_ms))
    except _Fault as fault:
        batch.rejections.append(Rejection(index, _readable_id(record), fault.code, fault.field, str(fault), record))
        return
    batch.events.append(event)
    batch.records.append(line)
    batch.times_ms.append(ms)


def _examine(record: bytes, limits: Limits, received_ms: int, received_at: str) -> tuple[Event, bytes, int]:
    """Event, line to keep and time of one record, checked rule by rule; raises _Fault with the first broken one."""
    if len(record) > limits.max_event_bytes:
        raise _Fault("event_too_large", f"the event has {len(record):,} bytes, at most {limits.max_event_bytes:,}")
    fields = _decode_fields(record)
    _check_nesting(record, limits.max_nesting)
    _check_unique_keys(record)
    event_type = _checked_type(fields)
    ids = {name: _checked_id(fields, name) for name in ("event_id", *IDENTITY_FIELDS)}
    if not any(ids[name] for name in IDENTITY_FIELDS):
        raise _Fault("missing_identity", "send at least one of user_id, anonymous_id, session_id", "user_id")
    properties = fields.get("properties")
    if properties is not None and not isinstance(properties, dict):
        raise _Fault("invalid_type", f"properties is {_kind(properties)}; send an object", "properties")
    ms, additions = _checked_time(fields, received_ms, received_at)
    additions["received_at"] = received_at
    if ids["event_id"] is None:
        ids["event_id"] = additions["event_id"] = new_event_id(received_ms)
    if properties is None:
        properties = additions["properties"] = {}
    event = Event(
        event_type=event_type,
        timestamp=additions.get("timestamp", fields.get("timestamp")),
        properties=properties,
        **ids,
    )
    return event, _with(record, fields, additions), ms


def _with(record: bytes, fields: dict[str, Any], additions: dict[str, Any]) -> bytes:
    """`record` on one line with `additions`; a field that the sender had set otherwise is replaced in its place."""
    if fields.keys().isdisjoint(additions):
        return _one_line(record[:-1]) + b"," + _encode(additions)[1:]
    raws: dict[str, Any] = dict(_objects.decode(_one_line(record)))
    raws.update(additions)
    return _encode(raws)


def _check_nesting(record: bytes, max_nesting: int) -> None:
    if _depth(record) > max_nesting:
        raise _Fault("nesting_too_deep", f"objects and arrays nest deeper than {max_nesting} (MAX_NESTING)")


def _decode_fields(record: bytes) -> dict[str, Any]:
    if not _is_utf8(record):
        raise _Fault("invalid_unicode", "the event is not UTF-8")
    try:
        fields = _anything.decode(record)
    except RecursionError:
        raise _Fault("nesting_too_deep", "objects and arrays nest too deeply") from None
    except msgspec.ValidationError:
        raise _Fault("number_out_of_range", "a number is beyond what a 64-bit float can hold") from None
    except msgspec.DecodeError as problem:
        if "surrogate" in str(problem) or re.search(rb"\\u[dD][89a-fA-F]", record):
            raise _Fault("invalid_unicode", "a string holds half of a surrogate pair") from None
        reason = str(problem).removeprefix("JSON is malformed: ")
        raise _Fault("malformed_json", f"the event is not valid JSON: {reason}") from None
    if not isinstance(fields, dict):
        raise _Fault("not_an_object", f"the event is {_kind(fields)}; send an object")
    return fields


def repeated_key(record: bytes) -> str | None:
    """The first key that stands more than once in the outermost object of `record`, which is valid JSON."""
    keys: list[str] = []

    def keep_outermost(pairs: list[tuple[str, Any]]) -> None:
        keys[:] = [key for key, _ in pairs]

    json.loads(record, object_pairs_hook=keep_outermost)
    return next(key for key in keys if keys.count(key) > 1) if len(set(keys)) < len(keys) else None


def _check_unique_keys(record: bytes) -> None:
    if (twice := repeated_key(record)) is not None:
        raise _Fault("duplicate_key", f'"{twice}" stands twice in the event; which one counts is undefined', twice)


def _checked_type(fields: dict[str, Any]) -> str:
    event_type = fields.get("event_type")
    if event_type is None:
        raise _Fault("missing_field", "event_type is missing", "event_type")
    if not isinstance(event_type, str):
        raise _Fault("invalid_type", f"event_type is {_kind(event_type)}; send a string", "event_type")
    if event_type not in _known_types and _TYPE_NAME.fullmatch(event_type) is None:
        raise _Fault(
            "invalid_value",
            f"event_type {_quoted(event_type)}: expected 1 to 64 characters a-z 0-9 _ . : - that begin with a letter",
            "event_type",
        )
    if len(_known_types) < _TYPES_REMEMBERED:
        _known_types.add(event_type)
    return event_type


def _checked_id(fields: dict[str, Any], name: str) -> str | None:
    value = fields.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise _Fault("invalid_type", f"{name} is {_kind(value)}; send a string", name)
    if not 0 < len(value) <= MAX_ID_LENGTH:
        raise _Fault("invalid_value", f"{name} has {len(value)} characters; expected 1 to {MAX_ID_LENGTH}", name)
    return value


def _checked_time(fields: dict[str, Any], received_ms: int, received_at: str) -> tuple[int, dict[str, Any]]:
    """Time of the event and the fields that must be added or replaced for it to be UTC and not in the far future."""
    stamp = fields.get("timestamp")
    if stamp is None:
        return received_ms, {"timestamp": received_at}
    if not isinstance(stamp, str):
        raise _Fault("invalid_type", f"timestamp is {_kind(stamp)}; send an RFC 3339 string", "timestamp")
    try:
        ms = parse(stamp)
        canonical = stamp if _clock.canonical_ms(stamp) == ms else text(ms)
    except (ValueError, OverflowError) as problem:
        raise _Fault("invalid_value", f"timestamp {_quoted(stamp)} {problem}", "timestamp") from None
    if ms > received_ms + DAY_MS:
        # A clock this wrong would put the event outside every window; the original stays readable.
        return received_ms, {"timestamp": received_at, "original_timestamp": stamp}
    return ms, {} if canonical == stamp else {"timestamp": canonical}


def new_event_id(now_ms: int) -> str:
    """A UUIDv7 (RFC 9562): 48 bits of `now_ms`, then random."""
    value = (now_ms & (2**48 - 1)) << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF000 << 64) | 0x7000 << 64
    value = value & ~(0xC000 << 48) | 0x8000 << 48
    digits = f"{value:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _readable_id(record: bytes) -> str | None:
    try:
        event_id = msgspec.json.decode(record).get("event_id")
    except (msgspec.MsgspecError, RecursionError, AttributeError, UnicodeDecodeError):
        return None
    return event_id if isinstance(event_id, str) and len(event_id) <= MAX_ID_LENGTH else None


def _kind(value: object) -> str:
    names = {dict: "an object", list: "an array", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _quoted(value: str) -> str:
    return json.dumps(value if len(value) <= 40 else value[:40] + "…", ensure_ascii=False)
