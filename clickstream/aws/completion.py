"""Events of older files and foreign hands, made what the API would have kept; the same bytes give the same event."""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from clickstream.events import Limits
from clickstream.events.record import Fault, examine
from clickstream.timestamps import parse, text

_ID_DIGITS: Final = 32
_NULL: Final = b"null"

_decode: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode: Final = msgspec.json.encode


def completed(record: bytes) -> tuple[bytes, int]:
    """`record` with the event_id, timestamp and received_at that it lacks, and the time of its event.

    The id follows from the bytes, so a second replay brings a copy and not another event; where one of the two
    times is missing the other stands for both. Raises Fault where there is no object or no time.
    """
    try:
        fields = _decode(record)
    except (msgspec.MsgspecError, RecursionError) as problem:
        raise Fault("malformed_json", f"not a stored event: {problem}") from None
    received_ms = _time(fields, "received_at")
    happened_ms = _time(fields, "timestamp")
    ms = received_ms if happened_ms is None else happened_ms
    if ms is None:
        raise Fault("missing_field", "neither timestamp nor received_at says when it happened", "timestamp")
    additions: dict[str, str] = {}
    if bytes(fields.get("event_id", _NULL)) == _NULL:
        additions["event_id"] = f"replay-{hashlib.sha256(record).hexdigest()[:_ID_DIGITS]}"
    if happened_ms is None:
        additions["timestamp"] = text(ms)
    if received_ms is None:
        additions["received_at"] = text(ms)
    return (_encode({**fields, **additions}) if additions else record), ms


def as_kept(record: bytes, limits: Limits, now_ms: int) -> bytes:
    """A completed `record` by the API's rules, with the time at which it was received; raises Fault."""
    received_ms = _time(_decode(record), "received_at")
    received_ms = now_ms if received_ms is None else min(received_ms, now_ms)
    _, kept, _ = examine(record, limits, now_ms, text(received_ms))
    return kept


def _time(fields: dict[str, msgspec.Raw], name: str) -> int | None:
    raw = fields.get(name, _NULL)
    if bytes(raw) == _NULL:
        return None
    try:
        return parse(msgspec.json.decode(raw, type=str))
    except (msgspec.MsgspecError, ValueError) as problem:
        raise Fault("invalid_value", f"{name} {problem}", name) from None
