"""PutRecords with all its limits: a record counts as sent only when Kinesis has confirmed that very record."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from clickstream.aws.abandonable import AbandonableThreads
from clickstream.aws.clients import MAX_IN_FLIGHT
from clickstream.aws.packing import REPLAYED, Lane, Pack, hash_key, lanes_of, packs_of

MAX_RECORDS: Final = 500
# The service takes 10 MiB; emulators and the limit of old 5 MiB. Base64 makes four bytes of three on the way.
MAX_REQUEST_BYTES: Final = 9 * 1024 * 1024 // 2

# A call has a price of its own; smaller parts cost more than waiting for them together saves.
_PART_BYTES: Final = 1536 * 1024
_FIRST_DELAY_S: Final = 0.05
_LONGEST_DELAY_S: Final = 5.0
_LAST_CALLS_S: Final = 1.0  # what a stop waits for answers that may still come
_SALT_AFTER: Final = 6  # refusals in a row for throughput until a lane may go to any shard
_THROTTLED: Final = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "KMSThrottlingException",
        "LimitExceededException",
        "ThrottlingException",
    }
)
_LATER: Final = _THROTTLED | {
    "InternalFailure",
    "InternalFailureException",
    "ServiceUnavailable",
    "RequestTimeout",
    "RequestTimeoutException",
    # New credentials arrive by themselves where a role gives them.
    "ExpiredTokenException",
    "ExpiredToken",
    "RequestExpired",
}

PutRecords = Callable[..., Any]


@dataclass(slots=True)
class Outcome:
    """What became of one call of `put`."""

    unsent: list[int] = field(default_factory=list)  # indexes of the records that Kinesis did not confirm, ascending
    reason: str = ""  # why, where there are any
    is_permanent: bool = False  # trying again cannot help: the operator must act


class KinesisSink:
    """Sends stored events to one stream, marked if they are replayed; what it gives back is not its business."""

    def __init__(
        self,
        put_records: PutRecords,
        stream: str,
        *,
        is_replay: bool = False,
        clock_s: Callable[[], float] = time.monotonic,
        wait: Callable[[float], object] | None = None,
        chance: random.Random | None = None,
    ) -> None:
        self._put_records = put_records
        self._stream = stream
        self._key_prefix = REPLAYED if is_replay else ""
        self._clock_s = clock_s
        self._hurrying = threading.Event()
        self._wait = wait or self._hurrying.wait
        self._chance = chance or random.Random()  # noqa: S311 (spreads retries, guards nothing)
        self._threads: AbandonableThreads[Outcome] = AbandonableThreads(MAX_IN_FLIGHT, name="kinesis")
        self.counts: Counter[str] = Counter()  # calls, records, resent, throttled, failed_calls: for metrics and tests

    def put(self, records: Sequence[bytes], *, deadline_s: float) -> Outcome:
        """Send `records`; what is not confirmed `deadline_s` from now on is given back, never dropped.

        Refusals for throughput are only waited out: they never count towards giving up. Events of one
        person are sent in order; a resend after a refusal may overtake, so readers sort by event time.
        """
        end_s = self._clock_s() + deadline_s
        parts = [(part, self._threads.start(partial(self._send, part, end_s))) for part in _parts(lanes_of(records))]
        outcomes = []
        for part, future in parts:
            try:
                outcomes.append(future.result())
            except CancelledError:
                # The call may have been accepted. Sent again it makes copies, which event_id removes.
                unsent = [index for lane in part for index in lane.indexes]
                outcomes.append(Outcome(unsent, "the process stops, and Kinesis has not answered yet"))
        return _together(outcomes)

    def hurry(self) -> None:
        """The process stops: nothing is tried again, and what is not answered within a second is given back."""
        self._hurrying.set()
        self._threads.hurry(_LAST_CALLS_S)

    def close(self) -> None:
        """End the threads; nothing is in flight outside `put` but what a hurried stop has given up."""
        self._threads.close()

    def _send(self, part: Sequence[Lane], end_s: float) -> Outcome:
        outcome = Outcome()
        packs = [one for lane in part for one in packs_of(lane)]
        for request in requests(packs):
            if outcome.unsent:
                # Sending later packs now would overtake the ones that wait.
                outcome.unsent.extend(index for one in request for index in one.indexes)
                continue
            left, outcome.reason, outcome.is_permanent = self._send_request(request, end_s)
            outcome.unsent.extend(index for one in left for index in one.indexes)
        return outcome

    def _send_request(self, request: Sequence[Pack], end_s: float) -> tuple[Sequence[Pack], str, bool]:
        """Packs that could not be sent until `end_s`, why, and whether that is for good."""
        delay_s = _FIRST_DELAY_S
        refusals: Counter[int] = Counter()
        asked, lanes = len(request), len({one.lane for one in request})
        while True:
            request, reason, is_permanent = self._call(request, refusals)
            if len(request) == asked and lanes > 1:
                refusals.clear()  # no shard takes anything: going to another would only lose the order
            if not request or is_permanent:
                return request, reason, is_permanent
            pause_s = self._chance.uniform(0, delay_s)
            if self._hurrying.is_set() or self._clock_s() + pause_s >= end_s:
                return request, reason, False
            self._wait(pause_s)
            if self._hurrying.is_set():
                return request, reason, False
            delay_s = min(2 * delay_s, _LONGEST_DELAY_S)
            self.counts["resent"] += len(request)

    def _call(self, request: Sequence[Pack], refusals: Counter[int]) -> tuple[Sequence[Pack], str, bool]:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 (only with ENV=aws)

        self.counts["calls"] += 1
        try:
            answer = self._put_records(
                StreamName=self._stream, Records=[self._entry(one, refusals[one.lane]) for one in request]
            )
        except ClientError as problem:
            self.counts["failed_calls"] += 1
            code = problem.response.get("Error", {}).get("Code", "")
            status = problem.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            if code in _THROTTLED:
                self.counts["throttled"] += len(request)
            return request, f"{code}: {problem}", not (code in _LATER or status >= 500)
        except BotoCoreError as problem:
            # A timeout may hide that the call was accepted. Sent again it makes copies, which event_id removes.
            self.counts["failed_calls"] += 1
            return request, str(problem), False
        return self._refused(request, answer["Records"], refusals)

    def _refused(
        self, request: Sequence[Pack], answers: Sequence[dict[str, str]], refusals: Counter[int]
    ) -> tuple[Sequence[Pack], str, bool]:
        """HTTP 200 may hide failures: only a record whose own answer has no ErrorCode is in the stream."""
        left, reason = [], ""
        for one, answer in zip(request, answers, strict=True):
            code = answer.get("ErrorCode")
            if code:
                left.append(one)
                reason = f"{code}: {answer.get('ErrorMessage', '')}"
                if code in _THROTTLED:
                    refusals[one.lane] += 1
                    self.counts["throttled"] += 1
        self.counts["records"] += len(request) - len(left)
        return left, reason, False

    def _entry(self, one: Pack, refusals: int) -> dict[str, Any]:
        entry = {
            "Data": one.data,
            "PartitionKey": self._key_prefix + one.partition_key,
            "ExplicitHashKey": hash_key(one.lane),
        }
        if refusals >= _SALT_AFTER:
            # The shard of this lane stays full: any shard is better than none, and readers sort by event time.
            entry["ExplicitHashKey"] = str(self._chance.randrange(2**128))
        return entry


def requests(packs: Sequence[Pack]) -> Iterator[Sequence[Pack]]:
    """`packs` in calls of at most 500 records and 4.5 MiB, keys included."""
    request: list[Pack] = []
    size = 0
    for one in packs:
        own = len(one.data) + len(one.partition_key)
        if request and (len(request) == MAX_RECORDS or size + own > MAX_REQUEST_BYTES):
            yield request
            request, size = [], 0
        request.append(one)
        size += own
    if request:
        yield request


def _parts(lanes: Sequence[Lane]) -> list[list[Lane]]:
    """`lanes` in as many parts as are worth calls at the same time."""
    ways = min(MAX_IN_FLIGHT, 1 + sum(lane.size for lane in lanes) // _PART_BYTES)
    parts: list[list[Lane]] = [[] for _ in range(ways)]
    for lane in lanes:
        parts[lane.number % ways].append(lane)
    return [part for part in parts if part]


def _together(outcomes: Sequence[Outcome]) -> Outcome:
    failed = [outcome for outcome in outcomes if outcome.unsent]
    return Outcome(
        unsent=sorted(index for outcome in failed for index in outcome.unsent),
        reason="; ".join(dict.fromkeys(outcome.reason for outcome in failed)),
        is_permanent=any(outcome.is_permanent for outcome in failed),
    )
