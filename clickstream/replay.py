"""Quarantined records tried again, with an optional patch: which are good now, and which still are not."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from clickstream.errors import RequestRefused
from clickstream.events import Limits, repeated_key, validate
from clickstream.journal import Quarantine

MOST_REPLAYED: Final = 1_000

_decode: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode: Final = msgspec.json.encode


class Selection(msgspec.Struct, forbid_unknown_fields=True):
    """What `POST /rejected/replay` asks for; every condition left out holds."""

    code: str | None = None
    source: str | None = None
    event_id: str | None = None
    field: str | None = None
    # JSON merge patch (RFC 7396) that is applied to each record before it is tried.
    patch: dict[str, Any] = {}
    limit: int = MOST_REPLAYED
    dry_run: bool = False


@dataclass(slots=True)
class Trial:
    """Good records with the quarantine lines they came from, and the reasons of the others."""

    records: list[bytes] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)
    still_rejected: list[dict[str, Any]] = field(default_factory=list)


def read_selection(body: bytes) -> Selection:
    """The selection in a request body, an empty one selects everything; raises RequestRefused."""
    try:
        selection = msgspec.json.decode(body or b"{}", type=Selection)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as problem:
        raise RequestRefused("invalid_body", f"not a replay request: {problem}") from None
    if not 1 <= selection.limit <= MOST_REPLAYED:
        raise RequestRefused("invalid_parameter", f"limit: expected 1 to {MOST_REPLAYED}", field="limit")
    return selection


def attempt(quarantine: Quarantine, selection: Selection, limits: Limits, now_ms: int) -> Trial:
    """Try what `selection` names, oldest first; changes nothing."""
    trial = Trial()
    chosen = []
    copies: Counter[bytes] = Counter()
    for line, entry in quarantine.entries():
        if _is_selected(entry, selection):
            # Counted from the newest, for the oldest are tried and taken out first: the others keep their numbers.
            chosen.append((line, entry, copies[line]))
        copies[line] += 1
    for line, entry, copy in chosen[-selection.limit :][::-1]:
        record, reason = _patched(entry, selection.patch, copy)
        batch = validate([record], limits, now_ms) if record else None
        if batch is not None and batch.events:
            trial.records.append(record)
            trial.lines.append(line)
            continue
        verdict = {"code": entry.get("code"), "field": entry.get("field"), "message": reason}
        if batch is not None:
            fault = batch.rejections[0]
            verdict = {"code": fault.code, "field": fault.field, "message": fault.message}
        trial.still_rejected.append({"received_at": entry["received_at"], "event_id": entry.get("event_id"), **verdict})
    return trial


def _is_selected(entry: Mapping[str, Any], selection: Selection) -> bool:
    return all(
        wanted is None or entry.get(name) == wanted
        for name, wanted in (
            ("code", selection.code),
            ("source", selection.source),
            ("event_id", selection.event_id),
            ("field", selection.field),
        )
    )


def _patched(entry: Mapping[str, Any], patch: Mapping[str, Any], copy: int) -> tuple[bytes, str]:
    """The record to try, or nothing and why there is none; `copy` tells equal ones apart."""
    raw = entry.get("raw")
    if not isinstance(raw, str):
        return b"", "the record is not UTF-8; send it again from its source"
    if "raw_bytes" in entry:
        return b"", f"only the first part of {entry['raw_bytes']:,} bytes was kept; send it again from its source"
    record = raw.encode().strip()
    try:
        # Values stay the bytes that were sent: a large integer decoded and encoded again would be another one.
        event = _decode(record)
        is_ambiguous = repeated_key(record) is not None
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return record, ""
    if is_ambiguous:
        return record, ""  # a patch would silently decide which of the values counts
    changed = merged(event, patch)
    for name in ("event_id", "timestamp"):
        if name in changed and _is_null(changed[name]):
            del changed[name]
    # Both make a second replay find the copies of the first one, and keep the event where it happened.
    source = entry["received_at"] + raw + (f" {copy}" if copy else "")
    changed.setdefault("event_id", f"replay-{hashlib.sha256(source.encode()).hexdigest()[:32]}")
    changed.setdefault("timestamp", entry["received_at"])
    return (record if changed == event else _encode(changed)), ""


def merged(target: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """`target` with `patch` applied as RFC 7396 says: null removes, objects merge, everything else replaces."""
    result = dict(target)
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict):
            result[name] = merged(_object(result.get(name)), value)
        else:
            result[name] = value
    return result


def _is_null(value: object) -> bool:
    return value is None or (isinstance(value, msgspec.Raw) and bytes(value).strip() == b"null")


def _object(value: object) -> dict[str, Any]:
    if isinstance(value, msgspec.Raw):
        return _decode(value) if bytes(value).startswith(b"{") else {}
    return value if isinstance(value, dict) else {}


def answer(trial: Trial, *, replayed: int, duplicates: int, dry_run: bool) -> dict[str, Any]:
    """What the requester is told."""
    return {
        "status": "dry_run" if dry_run else "replayed",
        "replayed": replayed,
        "duplicates": duplicates,
        "still_rejected": trial.still_rejected,
    }
