"""Events collected in one place sent to another: from a file or the lake to an API or a stream, idempotent by id."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from clickstream.aws.lake import PREFIX, Lake
from clickstream.aws.packing import Line, record_of, unpack
from clickstream.aws.sink import KinesisSink
from clickstream.client.sending import RetryPolicy, SendingClient, turned_away, unreachable
from clickstream.errors import ClickstreamError
from clickstream.timestamps import parse

BATCH: Final = 500
FAILED_PREFIX: Final = "aws/lambda/"  # where Lambda's failure destination writes
_DEADLINE_S: Final = 300.0
_LINES_LOOKED_AT: Final = 1_000


class ReplayFailed(ClickstreamError):
    """The target took no more events; everything before is there, so the same command may be run again."""


@dataclass(slots=True)
class Result:
    """What became of the events that were read."""

    sent: int = 0
    accepted: int = 0
    duplicates: int = 0
    skipped: int = 0  # outside the asked time
    problems: list[str] = field(default_factory=list)


class Target(Protocol):
    """Where events go."""

    def send(self, records: list[bytes], result: Result) -> None:
        """Add `records` to the target and to `result`, or raise ReplayFailed."""
        ...


class _Envelope(msgspec.Struct):
    timestamp: str


_envelope: Final = msgspec.json.Decoder(_Envelope)


def from_file(path: Path) -> Iterator[bytes]:
    """Events of a journal, an export as json or as ndjson: one event a line; ReplayFailed when it holds none."""
    _check_holds_events(path)  # now, and not when the first event is asked for
    return _records(path)


def _records(path: Path, most_lines: int | None = None) -> Iterator[bytes]:
    with path.open("rb") as file:
        for line in islice(file, most_lines):
            record = line.strip().rstrip(b",").strip()
            if record not in (b"", b"[", b"]"):
                yield record


def _check_holds_events(path: Path) -> None:
    """A file of something else is refused as a whole, and not line by line."""
    seen = list(_records(path, _LINES_LOOKED_AT))
    if seen and not any(map(_is_event, seen)):
        raise ReplayFailed(
            f"{path} holds no events: expected a journal or an export as json or ndjson, an event a line"
        )


def _is_event(record: bytes) -> bool:
    try:
        _envelope.decode(record)
    except (msgspec.MsgspecError, RecursionError):
        return False
    return True


def from_s3(s3: Any, bucket: str, prefix: str) -> Iterator[bytes]:  # noqa: ANN401 (boto3 makes its classes at run time)
    """Events of the lake, or with `prefix` aws/lambda/… those that the consumer has given up."""
    if prefix.startswith(FAILED_PREFIX):
        return _given_up(s3, bucket, prefix)
    if prefix and not PREFIX.startswith(prefix.rstrip("/") + "/") and not prefix.startswith(PREFIX):
        raise ReplayFailed(f"s3://{bucket}/{prefix}: expected {PREFIX} (the lake) or {FAILED_PREFIX} (given up)")
    return Lake(s3, bucket).records(prefix if prefix.startswith(PREFIX) else PREFIX)


class ToApi:
    """POST /events of an API; it removes what it has already. ReplayFailed when nothing listens there."""

    def __init__(self, url: str, *, key: str = "", policy: RetryPolicy | None = None) -> None:
        self._endpoint = url.rstrip("/").removesuffix("/events") + "/events"
        if problem := unreachable(self._endpoint, "--to"):
            raise ReplayFailed(problem)
        self._client = SendingClient(self._endpoint, key=key, policy=policy)

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
    """The stream itself; copies are removed in the lake by event_id."""

    def __init__(self, sink: KinesisSink) -> None:
        self._sink = sink

    def send(self, records: list[bytes], result: Result) -> None:
        """Wait until Kinesis has confirmed `records`."""
        outcome = self._sink.put(records, deadline_s=_DEADLINE_S)
        if outcome.unsent:
            raise ReplayFailed(f"{len(outcome.unsent)} of {len(records)} events not taken: {outcome.reason}")
        result.accepted += len(records)


def replay(
    records: Iterable[bytes],
    target: Target,
    *,
    since_ms: int | None = None,
    until_ms: int | None = None,
    speed: float | None = None,
    on_sent: Callable[[Result], None] | None = None,
    wait: Callable[[float], None] = time.sleep,
    clock_s: Callable[[], float] = time.monotonic,
) -> Result:
    """Send `records` in their order; with `speed` as far apart as they happened, divided by it.

    `on_sent` is called after each batch with what has become of everything so far.
    """
    result = Result()
    pace = _Pace(speed, wait, clock_s)
    batch: list[bytes] = []
    for record in records:
        try:
            ms = parse(msgspec.json.decode(record)["timestamp"])
        except (msgspec.MsgspecError, KeyError, TypeError, ValueError) as problem:
            result.problems.append(f"{record[:60].decode(errors='replace')}: not a stored event: {problem}")
            continue
        if (since_ms is not None and ms < since_ms) or (until_ms is not None and ms >= until_ms):
            result.skipped += 1
            continue
        if batch and (len(batch) == BATCH or pace.is_early(ms)):
            _send(batch, target, result, on_sent)
            batch = []
        pace.wait_for(ms)
        batch.append(record)
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

    def wait_for(self, ms: int) -> None:
        if (due_in_s := self._due_in_s(ms)) > 0:
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


def _given_up(s3: Any, bucket: str, prefix: str) -> Iterator[bytes]:  # noqa: ANN401 (as above)
    """Events in the objects of Lambda's failure destination; lines that nobody can decode are in quarantine already."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    for key in (one["Key"] for page in pages for one in page.get("Contents", [])):
        body = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        for record in json.loads(body["payload"])["Records"]:
            for _, line, _ in unpack(base64.b64decode(record["kinesis"]["data"])):
                if isinstance(line, Line):
                    yield record_of(line)
