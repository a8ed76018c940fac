"""What an adapter takes and gives: a request some SDK sent in, records in our own event shape out.

An adapter is a pure function `decode(request) -> WireBatch` that never raises for anything a client can
send. What it cannot read becomes a record as it came, so that validation refuses it with a reason and
quarantine keeps it: nothing an SDK sent disappears here. Whoever mounts the routes does this:

    batch = route.decode(request)
    accept(batch.records, batch.events) -> route.answer(batch, rejected), with the indexes of refused records;
                                           a batch without records is a stub (settings, flags): the same call, no accept
    RequestRefused (body too large, …)  -> route.answers.refusal     stops this SDK's retries
    Unavailable, Replaying              -> route.answers.unavailable makes it keep the events and come back
    OPTIONS                             -> preflight(request)

Every answer gets `cors_headers(origin)` on top.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import msgspec

from clickstream.events import PlainEvent

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
    # Makes `refused` with the reason in it, for SDKs that log what they are told.
    refused_because: Callable[[str], Answer] | None = None

    def refusal(self, reason: str) -> Answer:
        """The answer to events at fault, with the `reason` where the SDK has an ear for it."""
        return self.refused if self.refused_because is None else self.refused_because(reason)


@dataclass(frozen=True, slots=True)
class WireBatch:
    """Records in the native event shape, one JSON object each, in the order the SDK sent them."""

    records: Sequence[bytes]
    # The key the SDK presented: Segment's writeKey, PostHog's api_key; trackers without keys present their app id.
    write_key: str | None = None
    # Replaces the route's `accepted` where the answer depends on the request.
    accepted: Answer | None = None
    # Makes the answer from the indexes of the refused records, for SDKs that are told about each event.
    answer_each: Callable[[Collection[int]], Answer] | None = None
    # What the records hold, where the adapter has written all of them: they need not be read again.
    events: Sequence[PlainEvent] | None = None


Decode = Callable[[WireRequest], WireBatch]


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the registry: Flask rules of one SDK family, how to read them and what to answer."""

    family: str
    rules: tuple[str, ...]
    methods: tuple[str, ...]
    decode: Decode
    answers: Answers

    def answer(self, batch: WireBatch, rejected: Collection[int], reason: str = "") -> Answer:
        """Choose the answer to `batch` of which the records at the indexes `rejected` were refused for `reason`.

        A batch that is refused in part is success to its SDK: sending it again would change nothing.
        """
        if batch.answer_each is not None:
            return batch.answer_each(rejected)
        if batch.records and len(rejected) == len(batch.records):
            return self.answers.refusal(reason) if reason else self.answers.refused
        return batch.accepted or self.answers.accepted


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
