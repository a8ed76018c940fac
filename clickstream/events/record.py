"""One record, looked at rule by rule: the event in it, or the first rule that it breaks."""

from __future__ import annotations

import json
import os
import re
from typing import Any, Final

import msgspec

from clickstream.events.model import IDENTITY_FIELDS, MAX_AHEAD_MS, MAX_ID_LENGTH, STANDARD_TYPES, Event, Limits
from clickstream.timestamps import UtcClockReader, parse, text

_TYPE_NAME: Final = re.compile(r"[a-z][a-z0-9_.:-]{0,63}")
_TYPES_REMEMBERED: Final = 10_000
_BATCH_NAMES: Final = ("events", "batch", "data", "items")
_TYPE_NAMES: Final = ("type", "event", "eventType", "event_name", "eventName", "name", "action")
_JSON_STRINGS: Final = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKETS: Final = b"{}[]"
_NOT_BRACKETS: Final = bytes(code for code in range(256) if code not in _BRACKETS)

# Names of types that were found right, so that the next event of a type costs a look into a set.
known_types: Final[set[str]] = set(STANDARD_TYPES)

_anything: Final = msgspec.json.Decoder()
_objects: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encode: Final = msgspec.json.encode
_clock: Final = UtcClockReader()


class Fault(Exception):
    """The first rule that a record breaks: a code of errors.py, the field, and a sentence for its sender."""

    def __init__(self, code: str, message: str, field_name: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.field = field_name


def examine(record: bytes, limits: Limits, received_ms: int, received_at: str) -> tuple[Event, bytes, int]:
    """Event, line to keep and time of one record, checked rule by rule; raises Fault with the first broken one."""
    if len(record) > limits.max_event_bytes:
        raise Fault("event_too_large", f"the event has {len(record):,} bytes, at most {limits.max_event_bytes:,}")
    fields = _decode_fields(record)
    _check_nesting(record, limits.max_nesting)
    _check_unique_keys(record)
    event_type = _checked_type(fields)
    ids = {name: _checked_id(fields, name) for name in ("event_id", *IDENTITY_FIELDS)}
    if not any(ids[name] for name in IDENTITY_FIELDS):
        raise Fault("missing_identity", "send at least one of user_id, anonymous_id, session_id", "user_id")
    properties = fields.get("properties")
    if properties is not None and not isinstance(properties, dict):
        raise Fault("invalid_type", f"properties is {_kind(properties)}; send an object", "properties")
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


def _one_line(record: bytes) -> bytes:
    """`record` without line breaks, which are never legal inside a JSON string and mean nothing between tokens."""
    if b"\n" in record or b"\r" in record:
        return record.replace(b"\n", b" ").replace(b"\r", b" ")
    return record


def _check_nesting(record: bytes, max_nesting: int) -> None:
    if depth(record) > max_nesting:
        raise Fault("nesting_too_deep", f"objects and arrays nest deeper than {max_nesting} (MAX_NESTING)")


def _decode_fields(record: bytes) -> dict[str, Any]:
    if not is_utf8(record):
        raise Fault("invalid_unicode", "the event is not UTF-8")
    try:
        fields = _anything.decode(record)
    except RecursionError:
        raise Fault("nesting_too_deep", "objects and arrays nest too deeply") from None
    except msgspec.ValidationError:
        raise Fault("number_out_of_range", "a number is beyond what a 64-bit float can hold") from None
    except msgspec.DecodeError as problem:
        if "surrogate" in str(problem) or re.search(rb"\\u[dD][89a-fA-F]", record):
            raise Fault("invalid_unicode", "a string holds half of a surrogate pair") from None
        reason = str(problem).removeprefix("JSON is malformed: ")
        raise Fault("malformed_json", f"the event is not valid JSON: {reason}") from None
    if not isinstance(fields, dict):
        raise Fault("not_an_object", f"the event is {_kind(fields)}; send an object")
    return fields


def depth(record: bytes) -> int:
    """How deep a record nests that is known to be JSON: where a quote is never closed, this takes quadratic time."""
    level = deepest = 0
    for bracket in _JSON_STRINGS.sub(b"", record).translate(None, _NOT_BRACKETS):
        level += 1 if bracket in b"{[" else -1
        deepest = max(deepest, level)
    return deepest


def is_utf8(blob: bytes) -> bool:
    """Whether `blob` is text; msgspec lets other bytes pass inside values that it skips."""
    if blob.isascii():
        return True
    try:
        blob.decode()
    except UnicodeDecodeError:
        return False
    return True


def repeated_key(record: bytes) -> str | None:
    """The first key that has stood before in the outermost object of `record`, which is valid JSON."""
    keys: list[str] = []

    def keep_outermost(pairs: list[tuple[str, Any]]) -> None:
        keys[:] = [key for key, _ in pairs]

    json.loads(record, object_pairs_hook=keep_outermost)
    seen: set[str] = set()
    for key in keys if len(set(keys)) < len(keys) else ():
        if key in seen:
            return key
        seen.add(key)
    return None


def _check_unique_keys(record: bytes) -> None:
    if (twice := repeated_key(record)) is not None:
        raise Fault("duplicate_key", f'"{twice}" stands twice in the event; which one counts is undefined', twice)


def _meant_instead(fields: dict[str, Any]) -> str:
    """What the sender may have meant by other names, for who sends a first event."""
    if name := next((name for name in _BATCH_NAMES if isinstance(fields.get(name), list)), None):
        return f'; a batch is {{"records": [...]}}, not "{name}"'
    if name := next((name for name in _TYPE_NAMES if isinstance(fields.get(name), str)), None):
        return f'; it is not called "{name}" here'
    return ""


def _checked_type(fields: dict[str, Any]) -> str:
    event_type = fields.get("event_type")
    if event_type is None:
        raise Fault("missing_field", f"event_type is missing{_meant_instead(fields)}", "event_type")
    if not isinstance(event_type, str):
        raise Fault("invalid_type", f"event_type is {_kind(event_type)}; send a string", "event_type")
    if event_type not in known_types and _TYPE_NAME.fullmatch(event_type) is None:
        raise Fault(
            "invalid_value",
            f"event_type {_quoted(event_type)}: expected 1 to 64 characters a-z 0-9 _ . : - that begin with a letter",
            "event_type",
        )
    if len(known_types) < _TYPES_REMEMBERED:
        known_types.add(event_type)
    return event_type


def _checked_id(fields: dict[str, Any], name: str) -> str | None:
    value = fields.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise Fault("invalid_type", f"{name} is {_kind(value)}; send a string", name)
    if not 0 < len(value) <= MAX_ID_LENGTH:
        raise Fault("invalid_value", f"{name} has {len(value)} characters; expected 1 to {MAX_ID_LENGTH}", name)
    return value


def _checked_time(fields: dict[str, Any], received_ms: int, received_at: str) -> tuple[int, dict[str, Any]]:
    """Time of the event and the fields that must be added or replaced for it to be UTC and not in the far future."""
    stamp = fields.get("timestamp")
    if stamp is None:
        return received_ms, {"timestamp": received_at}
    if not isinstance(stamp, str):
        raise Fault("invalid_type", f"timestamp is {_kind(stamp)}; send an RFC 3339 string", "timestamp")
    try:
        ms = parse(stamp)
        canonical = stamp if _clock.canonical_ms(stamp) == ms else text(ms)
    except (ValueError, OverflowError) as problem:
        raise Fault("invalid_value", f"timestamp {_quoted(stamp)} {problem}", "timestamp") from None
    if ms > received_ms + MAX_AHEAD_MS:
        # The original stays readable.
        return received_ms, {"timestamp": received_at, "original_timestamp": stamp}
    return ms, {} if canonical == stamp else {"timestamp": canonical}


def new_event_id(now_ms: int) -> str:
    """A UUIDv7 (RFC 9562): 48 bits of `now_ms`, then random."""
    value = (now_ms & (2**48 - 1)) << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF000 << 64) | 0x7000 << 64
    value = value & ~(0xC000 << 48) | 0x8000 << 48
    digits = f"{value:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def readable_id(record: bytes) -> str | None:
    """The event_id of a record that was refused, where it has one."""
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
