"""Sends events over one kept-alive connection and reads the verdict: the only place where this project posts events.

A batch is sent again with the same ids until the API has answered for it: a lost answer costs a duplicate,
never an event.
"""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlsplit

import msgspec
import requests
import urllib3
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from clickstream.client.answers import body_within
from clickstream.place import command

ACKNOWLEDGED: Final = "acknowledged"
REFUSED: Final = "refused"
UNACKNOWLEDGED: Final = "unacknowledged"

MAX_BODY_BYTES: Final = 4 * 1024 * 1024
_MOST_RETRY_AFTER_S: Final = 60.0
_KEPT_BODY_CHARACTERS: Final = 2_000
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
# Answers that every other batch would get as well: sending on is in vain.
_WRONG_KEY: Final = frozenset({401, 403})
_WRONG_ADDRESS: Final = frozenset({301, 302, 303, 307, 308, 404, 405})
_AGAIN: Final = frozenset({408, 429, *range(500, 600)})

Wait = Callable[[float], bool]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long to wait between attempts, and when to stop trying; all in seconds."""

    first_s: float = 0.1
    longest_s: float = 5.0
    give_up_after_s: float = 60.0
    request_timeout_s: float = 30.0

    def pause_s(self, attempt: int, fraction: float) -> float:
        """Full jitter, anywhere up to the doubled limit: senders that failed together do not return together."""
        return fraction * min(self.longest_s, self.first_s * 2.0 ** min(attempt - 1, 30))


class RecordRejection(msgspec.Struct, frozen=True):
    """One record that the API found at fault; `index` is its place in the batch."""

    index: int
    code: str
    event_id: str | None = None
    field: str | None = None
    message: str = ""


@dataclass(slots=True)
class Delivery:
    """What became of one batch; refused when it is certain that nothing of it was kept.

    `maybe_stored` attempts ended without an answer, or with one that does not rule out that events were kept:
    each of them may come back as duplicates.
    """

    outcome: str = UNACKNOWLEDGED
    attempts: int = 0
    maybe_stored: int = 0
    status: int | None = None
    accepted: int = 0
    duplicates: int = 0
    rejected: list[RecordRejection] = field(default_factory=list)
    reason: str = ""

    @property
    def is_turned_away(self) -> bool:
        """True when the address or the write key is wrong, so that no other batch can fare better."""
        return self.outcome != ACKNOWLEDGED and self.status in _WRONG_KEY | _WRONG_ADDRESS


class _Verdict(msgspec.Struct):
    status: str
    processed: int
    duplicates: int = 0
    rejected: list[RecordRejection] = []


class _AllRejected(msgspec.Struct):
    rejected: list[RecordRejection]


_verdicts: Final = msgspec.json.Decoder(_Verdict)
_all_rejected: Final = msgspec.json.Decoder(_AllRejected)


def body_of(records: Sequence[bytes]) -> bytes:
    """The request body that carries `records`."""
    return b'{"records":[' + b",".join(records) + b"]}"


class SendingClient:
    """One connection to the API; one thread uses it at a time.

    `wait(seconds)` pauses between attempts and answers True when sending should stop at once.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        key: str = "",
        policy: RetryPolicy | None = None,
        wait: Wait | None = None,
        fraction: Callable[[], float] = random.random,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._endpoint = endpoint
        self._policy = policy or RetryPolicy()
        self._wait = wait or _sleep
        self._fraction = fraction
        self._now = now
        self._session = requests.Session()
        self._session.headers.update({"Content-Type": "application/json", "User-Agent": "clickstream-sender"})
        if key:
            self._session.headers["X-Write-Key"] = key
        # Looking for proxies and netrc costs more than the request, and a proxy cannot reach this machine's loopback.
        self._session.trust_env = urlsplit(endpoint).hostname not in _LOOPBACK

    def send(self, records: Sequence[bytes]) -> Delivery:
        """Send one batch until it is answered, refused, or the policy gives up."""
        body = body_of(records)
        delivery = Delivery()
        give_up_at = self._now() + self._policy.give_up_after_s
        while True:
            delivery.attempts += 1
            retry_after_s = self._attempt(body, delivery, len(records))
            if retry_after_s is None:
                return delivery
            pause_s = max(retry_after_s, self._policy.pause_s(delivery.attempts, self._fraction()))
            if self._now() + pause_s > give_up_at or self._wait(pause_s):
                return delivery

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def _attempt(self, body: bytes, delivery: Delivery, count: int) -> float | None:
        """One request, noted in `delivery`; the least pause before the next one, or None when this was the last."""
        try:
            response, answered = self._exchange(body)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as problem:
            never_connected = _never_connected(problem)
            delivery.maybe_stored += not never_connected
            delivery.status = None
            delivery.reason = "no connection" if never_connected else f"no answer ({type(problem).__name__})"
            return 0.0
        delivery.status = response.status_code
        if response.status_code in _AGAIN:
            # Who answers 408 may be a proxy that lost patience with the API behind it.
            delivery.maybe_stored += response.status_code != 429
            delivery.reason = _kept(response, answered)
            return retry_after_s(response.headers.get("Retry-After"), datetime.now(timezone.utc))
        _read_final(response, answered, delivery, count)
        return None

    def _exchange(self, body: bytes) -> tuple[requests.Response, bytes]:
        timeout_s = self._policy.request_timeout_s
        deadline = time.monotonic() + timeout_s  # for the whole answer; requests itself bounds each part of it alone
        with self._session.post(
            self._endpoint, data=body, timeout=timeout_s, allow_redirects=False, stream=True
        ) as response:
            return response, body_within(response, deadline)


def unreachable(endpoint: str, option: str = "--endpoint", timeout_s: float = 3.0) -> str | None:
    """A sentence that says what to do when nothing listens at `endpoint`, as `option` said; else None."""
    try:
        parts = urlsplit(endpoint)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        socket.create_connection((parts.hostname or "", port), timeout=timeout_s).close()
    except (OSError, ValueError) as problem:  # the latter for a port or a name that cannot be one
        return (
            f"Nothing answers at {endpoint} ({getattr(problem, 'strerror', None) or problem}). "
            f"Start the API with `{command('local_api.py')}`, or name another address with {option}."
        )
    return None


def turned_away(endpoint: str, delivery: Delivery) -> str:
    """What to do about an answer that concerns the address or the key; empty for any other."""
    if not delivery.is_turned_away:
        return ""
    if delivery.status in _WRONG_KEY:
        return "Give the write key with --key, or set WRITE_KEYS as it is set for the API."
    ends_well = urlsplit(endpoint).path.rstrip("/").endswith("/events")
    return f"Is {endpoint} the right address?" + ("" if ends_well else " The one of the API ends in /events.")


def retry_after_s(value: str | None, now: datetime) -> float:
    """Seconds that a Retry-After header asks for, at most a minute; 0 when it is missing or unreadable."""
    if not value:
        return 0.0
    if value.strip().isdecimal():
        return min(float(value), _MOST_RETRY_AFTER_S)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):  # a year that no calendar has
        return 0.0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return min(max((moment - now).total_seconds(), 0.0), _MOST_RETRY_AFTER_S)


def _read_final(response: requests.Response, answered: bytes, delivery: Delivery, count: int) -> None:
    try:
        if 200 <= response.status_code < 300:
            verdict = _verdicts.decode(answered)
            delivery.accepted, delivery.duplicates = verdict.processed, verdict.duplicates
            delivery.rejected = verdict.rejected
        else:
            delivery.rejected = _all_rejected.decode(answered).rejected
    except msgspec.MsgspecError:
        delivery.rejected = []
    answered_for = delivery.accepted + delivery.duplicates + len(delivery.rejected)
    if answered_for == count:
        delivery.outcome, delivery.reason = ACKNOWLEDGED, ""
    else:
        # Neither a verdict over these records nor a reason to try again: another address, or a request beyond a limit.
        # Only a 4xx says that nothing was kept, and it speaks for itself alone: an earlier attempt may have been kept.
        delivery.maybe_stored += not 400 <= response.status_code < 500
        delivery.outcome = UNACKNOWLEDGED if delivery.maybe_stored else REFUSED
        delivery.reason = _kept(response, answered)
        delivery.accepted, delivery.duplicates, delivery.rejected = 0, 0, []


def _kept(response: requests.Response, answered: bytes) -> str:
    # Not in the encoding that the answer names: it may name one that nobody can read.
    text = answered[: 4 * _KEPT_BODY_CHARACTERS].decode(errors="replace")
    return f"{response.status_code} {text[:_KEPT_BODY_CHARACTERS]}".rstrip()


def _never_connected(problem: Exception) -> bool:
    """True when the request cannot have reached anybody."""
    cause = problem.args[0] if problem.args else None
    reason = getattr(cause, "reason", cause)
    return isinstance(reason, NewConnectionError | ConnectTimeoutError)


def _sleep(seconds: float) -> bool:
    time.sleep(seconds)
    return False
