"""What an adapter takes and gives: a request some SDK sent in, records in our own event shape out.

An adapter is a pure function `decode(request) -> WireBatch` that never raises for anything a client can
send. What it cannot read becomes a record as it came, so that validation refuses it with a reason and
quarantine keeps it: nothing an SDK sent disappears here. Whoever mounts the routes does this:

    batch = route.decode(request)
    no records              -> batch.accepted or route.answers.accepted (a stub: settings, flags, …)
    accept(batch.records)   -> the same, when at least one event was accepted or is a duplicate
    all refused, too large  -> route.answers.refused      (stops this SDK's retries)
    Unavailable, replaying  -> route.answers.unavailable  (makes it keep the events and come back)
    OPTIONS                 -> preflight(request)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import msgspec

JSON_TYPE: Final = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class WireRequest:
    """One HTTP request; the body is already size-limited and gunzipped, header names are lower-case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    received_at: datetime
    client_address_hint: str | None = None
    user_agent: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer, complete but for CORS headers."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answers:
    """What an SDK family understands: kept; the events are at fault; we are at fault."""

    accepted: Answer
    refused: Answer
    unavailable: Answer


@dataclass(frozen=True, slots=True)
class WireBatch:
    """Records in the native event shape, one JSON object each, in the order the SDK sent them."""

    records: Sequence[bytes]
    # The key the SDK presented (Segment's writeKey, PostHog's api_key, Clickstream's appId); None when it has none.
    write_key: str | None = None
    # Replaces the route's `accepted` where the answer depends on the request.
    accepted: Answer | None = None


Decode = Callable[[WireRequest], WireBatch]


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the registry: Flask rules of one SDK family, how to read them and what to answer."""

    family: str
    rules: tuple[str, ...]
    methods: tuple[str, ...]
    decode: Decode
    answers: Answers


def json_answer(status: int, document: Any, headers: Mapping[str, str] | None = None) -> Answer:  # noqa: ANN401 - any JSON
    """Build an answer whose body is `document` as JSON."""
    return Answer(status, msgspec.json.encode(document), {**JSON_TYPE, **(headers or {})})


# A literal list instead of an echo: what SDKs and tracker.js really send, and nothing else.
_ALLOWED_HEADERS: Final = ", ".join(
    (
        "anonymousid",
        "authorization",
        "content-encoding",
        "content-type",
        "sp-anonymous",
        "x-clickstream-test-id",
        "x-retry-count",
        "x-write-key",
    )
)


def cors_headers(origin: str | None) -> dict[str, str]:
    """Headers that let a page at `origin` read the answer; empty without an origin.

    The origin is echoed because credentialed SDKs (Snowplow, AWS Clickstream) refuse `*`.
    """
    if not origin:
        return {}
    return {"Access-Control-Allow-Origin": origin, "Access-Control-Allow-Credentials": "true", "Vary": "Origin"}


def preflight(request: WireRequest) -> Answer:
    """Answer a browser's OPTIONS request before a cross-origin POST."""
    headers = {
        **cors_headers(request.headers.get("origin")),
        "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
        "Access-Control-Allow-Headers": _ALLOWED_HEADERS,
        "Access-Control-Max-Age": "600",
    }
    # Chromium asks this before a public page may talk to an address on this machine.
    if request.headers.get("access-control-request-private-network") == "true":
        headers["Access-Control-Allow-Private-Network"] = "true"
    return Answer(200, b"", headers)
