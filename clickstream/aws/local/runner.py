"""What Lambda's event source mapping does: batches of a shard to the function, retries, bisect, failure destination."""

from __future__ import annotations

import datetime as dt
import json
import logging
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from clickstream.aws.consumer.consumer import delivered
from clickstream.aws.local.shards import ShardReader

_log: Final = logging.getLogger(__name__)
_LONGEST_PAUSE_S: Final = 1.0

Function = Callable[[Sequence[dict[str, Any]]], dict[str, Any]]


class EventSource:
    """Delivers a stream to `function` as `trigger`, the properties of the template's mapping, says."""

    def __init__(
        self,
        reader: ShardReader,
        function: Function,
        trigger: dict[str, Any],
        *,
        put_object: Callable[..., object],
        bucket: str,
        wait: Callable[[float], None] = time.sleep,
        at_once: int = 1,
    ) -> None:
        self._reader = reader
        self._at_once = at_once  # shards, each of them on a thread; Lambda has a container for each
        self._put_object = put_object
        self._bucket = bucket
        self._function = function
        self._trigger = trigger
        self._wait = wait
        self._id = str(uuid.uuid4())
        self.failed: list[str] = []  # keys of objects in the failure destination

    def deliver(self) -> int:
        """Deliver everything that is in the stream now; returns how many records that were."""
        if self._at_once == 1:
            return sum(map(self._deliver_shard, self._reader.shards()))
        records = 0
        with ThreadPoolExecutor(self._at_once, thread_name_prefix="shard") as threads:
            for generation in self._reader.generations():
                records += sum(threads.map(self._deliver_shard, generation))
        return records

    def _deliver_shard(self, shard: str) -> int:
        records = 0
        while batch := self._reader.read(shard, self._trigger["BatchSize"]):
            self._deliver(shard, batch)
            self._reader.commit(shard)
            records += len(batch)
        return records

    def _deliver(self, shard: str, records: Sequence[dict[str, Any]]) -> None:
        """Until each record was taken or given up; halving does not count as a retry, as with Lambda."""
        left = self._invoke(shard, records)
        if len(left) > 1 and self._trigger["BisectBatchOnFunctionError"]:
            middle = len(left) // 2
            self._deliver(shard, left[:middle])
            self._deliver(shard, left[middle:])
            return
        for attempt in range(self._trigger["MaximumRetryAttempts"]):
            if not left or self._is_too_old(left[0]):
                break
            self._wait(min(0.05 * 2**attempt, _LONGEST_PAUSE_S))
            left = self._invoke(shard, left)
        if left:
            self._give_up(shard, left)

    def _invoke(self, shard: str, records: Sequence[dict[str, Any]]) -> Sequence[dict[str, Any]]:
        """The records that must be delivered again."""
        try:
            answer = self._function(delivered(shard, records))
        except Exception:  # noqa: BLE001 (the function is somebody else's program: whatever it raises is a failure)
            _log.exception("function failed shard=%s records=%d", shard, len(records))
            return records
        failed = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
        first = next((index for index, one in enumerate(records) if one["SequenceNumber"] in failed), len(records))
        return records[first:]

    def _is_too_old(self, record: dict[str, Any]) -> bool:
        arrived: dt.datetime = record["ApproximateArrivalTimestamp"]
        oldest_s: int = self._trigger["MaximumRecordAgeInSeconds"]
        return time.time() - arrived.timestamp() > oldest_s

    def _give_up(self, shard: str, records: Sequence[dict[str, Any]]) -> None:
        """The object that Lambda writes: where the records were, and in `payload` the records themselves."""
        now = dt.datetime.now(dt.timezone.utc)
        body = {
            "version": "1.0",
            "timestamp": now.isoformat(),
            "requestContext": {"condition": "RetryAttemptsExhausted"},
            "KinesisBatchInfo": {
                "shardId": shard,
                "startSequenceNumber": records[0]["SequenceNumber"],
                "endSequenceNumber": records[-1]["SequenceNumber"],
                "batchSize": len(records),
            },
            "payload": json.dumps({"Records": delivered(shard, records)}),
        }
        key = f"aws/lambda/{self._id}/{shard}/{now:%Y/%m/%d}/{now:%Y-%m-%dT%H.%M.%S}-{uuid.uuid4()}"
        self._put_object(Bucket=self._bucket, Key=key, Body=json.dumps(body).encode())
        self.failed.append(key)
