"""Requests for adapters, built from recorded ones or by hand, and what comes out of them."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from clickstream.events import Limits, validate
from clickstream.wire import ROUTES, Route, WireBatch, WireRequest

CAPTURES = Path(__file__).parent.parent / "sdk" / "captures"
LIMITS = Limits(max_event_bytes=256 * 1024, max_nesting=32)


def captured(name: str, *, received_at: datetime) -> list[WireRequest]:
    """The recorded requests of one SDK, as the API hands them to an adapter."""
    return [_request(entry, received_at) for entry in json.loads((CAPTURES / f"{name}.json").read_text())]


def request(
    path: str,
    document: object = None,
    *,
    method: str = "POST",
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
    user_agent: str = "",
    received_at: datetime | None = None,
) -> WireRequest:
    """A request made by hand; `document` becomes its JSON body."""
    address = urlsplit(path)
    return WireRequest(
        method=method,
        path=address.path,
        query=dict(parse_qsl(address.query, keep_blank_values=True)),
        headers=headers or {},
        body=body if body is not None else b"" if document is None else json.dumps(document).encode(),
        received_at=received_at or datetime(2026, 11, 24, 9, 20, tzinfo=timezone.utc),
        user_agent=user_agent,
    )


def route_of(wire_request: WireRequest) -> Route:
    """The registered route that takes `wire_request`."""
    found = [
        route
        for route in ROUTES
        for rule in route.rules
        if wire_request.method in route.methods and _matches(rule, wire_request.path)
    ]
    assert len(found) == 1, f"{wire_request.method} {wire_request.path}: {len(found)} routes"
    return found[0]


def decode(wire_request: WireRequest) -> WireBatch:
    """What the registered adapter makes of `wire_request`."""
    return route_of(wire_request).decode(wire_request)


def events(wire_request: WireRequest) -> list[dict[str, Any]]:
    """The events of `wire_request`; fails when the platform's own validation would refuse one."""
    batch = decode(wire_request)
    verdicts = validate(batch.records, LIMITS, int(wire_request.received_at.timestamp() * 1000))
    assert verdicts.rejections == []
    return [json.loads(record) for record in batch.records]


def leaves(value: object) -> Iterator[Any]:
    """Every scalar inside `value` but null, empty containers and empty texts, which say nothing."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner)
    elif value is not None and value != "":
        yield value


def _matches(rule: str, path: str) -> bool:
    parts, given = rule.split("/"), path.split("/")
    return len(parts) == len(given) and all(
        part == one or (part.startswith("<") and part.endswith(">")) for part, one in zip(parts, given, strict=True)
    )


def _request(entry: dict[str, Any], received_at: datetime) -> WireRequest:
    body = base64.b64decode(entry["raw_base64"])
    headers = {name.lower(): value for name, value in entry["headers"]}
    address = urlsplit(entry["path"])
    return WireRequest(
        method=entry["method"],
        path=address.path,
        query=dict(parse_qsl(address.query)),
        headers=headers,
        body=gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body,
        received_at=received_at,
        user_agent=headers.get("user-agent", ""),
    )
