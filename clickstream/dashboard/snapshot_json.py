"""A snapshot as the JSON that browsers poll: small, tagged so that an unchanged one costs 304, compressed once."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import msgspec

from clickstream.client.reading import ApiProblem
from clickstream.dashboard.snapshots import Snapshot

MAX_SHOWN_EVENT_BYTES: Final = (
    4096  # larger events are shown without their properties; the page fetches them when opened
)

_json: Final = msgspec.json.encode
_MOVING: Final = ("generated_at", "window")  # they move without anything having happened
_SHOWN_OF_LARGE: Final = ("event_id", "event_type", "user_id", "anonymous_id", "session_id", "timestamp", "received_at")


@dataclass(frozen=True, slots=True)
class SnapshotJson:
    """What one snapshot is answered with."""

    status: int
    etag: str
    body: bytes
    gzipped: bytes


@lru_cache(maxsize=8)  # one snapshot of each window, and those just replaced
def encode(snapshot: Snapshot, *, api_url: str, quarantined: int | None) -> SnapshotJson:
    """The statistics with a key `dashboard` beside them; 503 and an error when there are none to show."""
    problem = snapshot.problem
    told = {
        "state": problem.kind if problem else "live",
        "problem": _problem(problem) if problem else None,
        "failing_since": None if snapshot.failing_since is None else round(snapshot.failing_since * 1000),
        "read_at": None if snapshot.read_at is None else round(snapshot.read_at * 1000),
        "quarantined": quarantined,
        "api_url": api_url,
    }
    if snapshot.stats is None:
        assert problem is not None  # a snapshot without statistics exists only because reading them failed
        error = {"code": "unavailable", "message": str(problem)}
        return _encoded(503, {"error": error}, {"dashboard": told}, [told])
    moving = {name: snapshot.stats[name] for name in _MOVING if name in snapshot.stats}
    numbers = {name: value for name, value in snapshot.stats.items() if name not in moving}
    if isinstance(recent := numbers.get("recent_events"), list):
        numbers["recent_events"] = [_small(event) for event in recent]
    window = moving.get("window")
    span = {name: value for name, value in window.items() if name != "to"} if isinstance(window, dict) else window
    said = [told[name] for name in ("state", "problem", "failing_since", "quarantined")]
    return _encoded(200, numbers, moving | {"dashboard": told}, [span, said, told["read_at"] if problem else None])


def _encoded(status: int, numbers: dict[str, Any], moving: dict[str, Any], identity: list[object]) -> SnapshotJson:
    """`numbers` and `moving` in one object; it counts as unchanged while `numbers` and `identity` are."""
    same = _json(numbers)
    tag = hashlib.blake2b(same + _json(identity), digest_size=12).hexdigest()
    body = same[:-1] + b"," + _json(moving)[1:]
    return SnapshotJson(status, tag, body, gzip.compress(body, 5, mtime=0))


def _problem(problem: ApiProblem) -> dict[str, Any]:
    told = {"message": str(problem), "status": problem.status, "code": problem.code, "progress": problem.progress}
    return {name: value for name, value in told.items() if value is not None}


def _small(event: object) -> object:
    if not isinstance(event, dict):
        return event
    written = _json(event)
    if len(written) <= MAX_SHOWN_EVENT_BYTES:
        return msgspec.Raw(written)
    return {name: event[name] for name in _SHOWN_OF_LARGE if name in event} | {"left_out_bytes": len(written)}
