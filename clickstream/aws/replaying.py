"""Events collected in one place sent to another: from a file or the lake to an API or a stream, idempotent by id."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from clickstream.aws.completion import as_kept, completed
from clickstream.aws.packing import MAX_EVENT_BYTES, NotAnEvent
from clickstream.aws.sink import KinesisSink
from clickstream.client.sending import RetryPolicy, SendingClient, turned_away, unreachable
from clickstream.errors import ClickstreamError
from clickstream.events import Limits
from clickstream.events.record import Fault

BATCH: Final = 500
_DEADLINE_S: Final = 300.0
_SHOWN: Final = 60  # bytes of an event that cannot be sent


class ReplayFailed(ClickstreamError):
    """The target took no more events; everything before is there, so the same command may be run again."""


class Sourced(NamedTuple):
    """One event of a source, or why there is none, and where it stands there."""

    place: str
    record: bytes | NotAnEvent
    is_counted: bool = False  # the live counters have it already; it needs no replay


@dataclass(slots=True)
class Result:
    """What became of the events that were read."""

    sent: int = 0
    accepted: int = 0
    duplicates: int = 0
    skipped: int = 0  # outside the asked time
    counted: int = 0  # had been counted before their batch was given up
    problems: list[str] = field(default_factory=list)


class Target(Protocol):
    """Where events go."""

    def fitted(self, record: bytes) -> bytes:
        """`record` as it can be sent there; raises Fault when it cannot."""
        ...

    def send(self, records: list[bytes], result: Result) -> None:
        """Add `records` to the target and to `result`, or raise ReplayFailed."""
        ...


class ToApi:
    """POST /events of an API; it removes what it has already. ReplayFailed when nothing listens there."""

    def __init__(self, url: str, *, key: str = "", policy: RetryPolicy | None = None) -> None:
        self._endpoint = url.rstrip("/").removesuffix("/events") + "/events"
        if problem := unreachable(self._endpoint, "--to"):
            raise ReplayFailed(problem)
        self._client = SendingClient(self._endpoint, key=key, policy=policy)

    def fitted(self, record: bytes) -> bytes:
        """As it is: the API judges it."""
        return record

    def send(self, records: list[bytes], result: Result) -> None:
        """Wait for the verdict on `records`."""
        delivery = self._client.send(records)
        done = delivery.accepted + delivery.duplicates + len(delivery.rejected)
        if done != len(records):
            why = f"no verdict on {len(records)} events: {delivery.reason or delivery.outcome}"
            raise ReplayFailed("\n".join(filter(None, [why, turned_away(self._endpoint, delivery)])))
        result.accepted += delivery.accepted
        result.duplicates += delivery.duplicates
        result.problems += [f"{one.event_id}: {one.code}: {one.message}" for one in delivery.rejected]


class ToStream:
    """The stream itself; copies are removed in the lake by event_id. Nobody behind it judges, so it is done here."""

    def __init__(self, sink: KinesisSink, *, max_nesting: int, clock_ms: Callable[[], int]) -> None:
        self._sink = sink
        self._limits = Limits(MAX_EVENT_BYTES, max_nesting)
        self._clock_ms = clock_ms

    def fitted(self, record: bytes) -> bytes:
        """By the rules of the API, and within what a record of the stream holds."""
        return as_kept(record, self._limits, self._clock_ms())

    def send(self, records: list[bytes], result: Result) -> None:
        """Wait until Kinesis has confirmed `records`."""
        outcome = self._sink.put(records, deadline_s=_DEADLINE_S)
        if outcome.unsent:
            raise ReplayFailed(f"{len(outcome.unsent)} of {len(records)} events not taken: {outcome.reason}")
        result.accepted += len(records)


def replay(
    events: Iterable[Sourced],
    target: Target,
    *,
    since_ms: int | None = None,
    until_ms: int | None = None,
    speed: float | None = None,
    on_sent: Callable[[Result], None] | None = None,
    on_wait: Callable[[float], None] | None = None,
    wait: Callable[[float], None] = time.sleep,
    clock_s: Callable[[], float] = time.monotonic,
) -> Result:
    """Send `events` in their order; with `speed` as far apart as they happened, divided by it.

    `on_sent` is called after each batch with what has become of everything so far, `on_wait` before each pause with its
    seconds.
    """
    result = Result()
    pace = _Pace(speed, wait, clock_s)
    batch: list[bytes] = []
    for place, record, is_counted in events:
        if isinstance(record, NotAnEvent):
            result.problems.append(f"{place}: {record}")
            continue
        try:
            whole, ms = completed(record)
            if is_counted:
                result.counted += 1
                continue
            if (since_ms is not None and ms < since_ms) or (until_ms is not None and ms >= until_ms):
                result.skipped += 1
                continue
            fitting = target.fitted(whole)
        except Fault as problem:
            result.problems.append(f"{place}: {record[:_SHOWN].decode(errors='replace')}: {problem}")
            continue
        if batch and (len(batch) == BATCH or pace.is_early(ms)):
            _send(batch, target, result, on_sent)
            batch = []
        pace.wait_for(ms, on_wait)
        batch.append(fitting)
    if batch:
        _send(batch, target, result, on_sent)
    return result


class _Pace:
    """When an event that happened at some time is due."""

    def __init__(self, speed: float | None, wait: Callable[[float], None], clock_s: Callable[[], float]) -> None:
        self._speed = speed
        self._wait = wait
        self._clock_s = clock_s
        self._origin: tuple[int, float] | None = None

    def is_early(self, ms: int) -> bool:
        return self._due_in_s(ms) > 0

    def wait_for(self, ms: int, on_wait: Callable[[float], None] | None) -> None:
        if (due_in_s := self._due_in_s(ms)) > 0:
            if on_wait is not None:
                on_wait(due_in_s)
            self._wait(due_in_s)

    def _due_in_s(self, ms: int) -> float:
        if self._speed is None:
            return 0.0
        if self._origin is None:
            self._origin = ms, self._clock_s()
        first_ms, began_s = self._origin
        return began_s + (ms - first_ms) / 1000 / self._speed - self._clock_s()


def _send(batch: list[bytes], target: Target, result: Result, on_sent: Callable[[Result], None] | None) -> None:
    target.send(batch, result)
    result.sent += len(batch)
    if on_sent is not None:
        on_sent(result)
