"""Whether lake, live counters and stream agree on a span of event time: each counted from its own content.

Lake and counters share nothing behind the stream: a fault of Firehose, of the consumer or of a resend shows as drift.
"""

from __future__ import annotations

import datetime as dt
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from clickstream.aws.consumer.consumer import NAMESPACE
from clickstream.aws.consumer.table import CounterTable
from clickstream.aws.lake import Lake
from clickstream.aws.live import LiveCounters
from clickstream.aws.packing import Line, unpack
from clickstream.errors import ClickstreamError
from clickstream.timestamps import DAY_MS, MINUTE_MS, text

MOST_DRIFT_PERCENT: Final = 0.1
METRICS: Final = {"DriftPercent": "Percent", "EventsInLake": "Count", "EventsInCounters": "Count"}

_HOUR_MS: Final = 60 * MINUTE_MS
_SETTLED_MS: Final = _HOUR_MS  # Firehose delivers within minutes; what comes later than this shows as drift
_POLL_S: Final = 1.0


class NotCounted(ClickstreamError):
    """One of the places did not answer, so nothing can be said about drift."""


@contextmanager
def answered() -> Iterator[None]:
    """Raises NotCounted with what AWS, or boto3 by itself, says instead of an answer."""
    from boto3.exceptions import Boto3Error  # noqa: PLC0415 (only with ENV=aws)
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 (as above)

    try:
        yield
    except (Boto3Error, BotoCoreError, ClientError) as problem:
        raise NotCounted(f"AWS does not give the counts: {problem}") from problem


@dataclass(frozen=True, slots=True)
class Drift:
    """How many events of a span each place holds; of the stream only when it was read."""

    since_ms: int
    until_ms: int
    counters: int
    lake: int
    stream: int | None = None

    @property
    def percent(self) -> float:
        """The largest difference, in percent of the largest count."""
        found = [self.counters, self.lake] + ([] if self.stream is None else [self.stream])
        return 100 * (max(found) - min(found)) / max(1, *found)

    def lines(self) -> list[str]:
        """What to show a person."""
        shown = [
            f"events that happened from {text(self.since_ms)} to {text(self.until_ms)}",
            f"in the live counters {self.counters:>12,}",
            f"in the lake          {self.lake:>12,}  distinct ids",
        ]
        if self.stream is not None:
            shown.append(f"in the stream        {self.stream:>12,}  distinct ids")
        return [*shown, f"drift {self.percent:.3f} %"]


def settled_span(now_ms: int, hours: int = 24) -> tuple[int, int]:
    """The last `hours` whole hours of which everything has had time to arrive everywhere."""
    until_ms = (now_ms - _SETTLED_MS) // _HOUR_MS * _HOUR_MS
    return until_ms - hours * _HOUR_MS, until_ms


def in_counters(table: CounterTable, since_ms: int, until_ms: int) -> int:
    """Events that the consumer has counted by minute of event time, within two days after it; kept for eight days."""
    return LiveCounters(table).events_between(since_ms // MINUTE_MS, until_ms // MINUTE_MS)


def lake_statement(since_ms: int, until_ms: int, table: str = "events") -> str:
    """Distinct events of the lake in a span of whole minutes, in SQL that Athena and DuckDB read alike."""
    # A producer's clock may be a day ahead, so an event may have arrived a day before its own time.
    return (
        f"SELECT count(DISTINCT event_id) AS events FROM {table} "  # noqa: S608 (texts of our own clock)
        f"WHERE dt >= '{text(since_ms - DAY_MS)[:10]}' "
        f"AND substr(\"timestamp\", 1, 16) >= '{text(since_ms)[:16]}' "
        f"AND substr(\"timestamp\", 1, 16) < '{text(until_ms)[:16]}'"
    )


def in_lake(lake: Lake, since_ms: int, until_ms: int) -> int:
    """Distinct events in the lake, counted by DuckDB on a copy of its objects."""
    from clickstream.analytics.engine import connect  # noqa: PLC0415 (Lambda asks Athena and has no DuckDB)

    if not lake.keys():
        return 0
    with (
        tempfile.TemporaryDirectory(prefix="clickstream-lake-") as directory,
        connect(spill=Path(directory)) as connection,
    ):
        pattern = lake.download(Path(directory)).replace("'", "''")
        objects = f"read_parquet('{pattern}', hive_partitioning = true, hive_types = {{'dt': VARCHAR}})"
        row = connection.execute(lake_statement(since_ms, until_ms, objects)).fetchone()
    return int(row[0]) if row else 0


def in_athena(
    athena: Any,  # noqa: ANN401 (boto3 makes its classes at run time)
    *,
    database: str,
    workgroup: str,
    since_ms: int,
    until_ms: int,
    wait: Callable[[float], None] = time.sleep,
) -> int:
    """Distinct events in the lake, counted by Athena; raises NotCounted when the query fails."""
    context = {"Database": database}
    statement = lake_statement(since_ms, until_ms)
    started = athena.start_query_execution(QueryString=statement, QueryExecutionContext=context, WorkGroup=workgroup)
    query_id = started["QueryExecutionId"]
    while True:
        status = athena.get_query_execution(QueryExecutionId=query_id)["QueryExecution"]["Status"]
        if status["State"] == "SUCCEEDED":
            break
        if status["State"] in ("FAILED", "CANCELLED"):
            raise NotCounted(f"Athena: {status.get('StateChangeReason', status['State'])}")
        wait(_POLL_S)
    rows = athena.get_query_results(QueryExecutionId=query_id)["ResultSet"]["Rows"]
    return int(rows[1]["Data"][0]["VarCharValue"])  # the first row holds the names


def in_stream(kinesis: Any, stream: str, since_ms: int, until_ms: int) -> int:  # noqa: ANN401 (boto3)
    """Distinct events in the stream; it forgets what is older than its retention."""
    bounds = text(since_ms)[:16], text(until_ms)[:16]
    ids = {
        line.event_id
        for record in _records(kinesis, stream, since_ms - DAY_MS)
        for _, line, _ in unpack(record["Data"])
        if isinstance(line, Line) and bounds[0] <= line.timestamp[:16] < bounds[1]
    }
    return len(ids)


def _records(kinesis: Any, stream: str, since_ms: int) -> Iterator[dict[str, Any]]:  # noqa: ANN401 (boto3)
    since = dt.datetime.fromtimestamp(since_ms / 1000, dt.timezone.utc)
    for page in kinesis.get_paginator("list_shards").paginate(StreamName=stream):
        for shard in page["Shards"]:
            place = {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": since}
            answer = kinesis.get_shard_iterator(StreamName=stream, ShardId=shard["ShardId"], **place)
            iterator = answer["ShardIterator"]
            while iterator:
                answer = kinesis.get_records(ShardIterator=iterator, Limit=10_000)
                yield from answer["Records"]
                # An empty answer is not the end: only being not behind is.
                iterator = answer.get("NextShardIterator") if answer["MillisBehindLatest"] else None


def metrics_line(drift: Drift, stream: str, now_ms: int) -> str:
    """`drift` in CloudWatch's embedded metric format: a line of log that becomes numbers without a call."""
    declared = {
        "Namespace": NAMESPACE,
        "Dimensions": [["StreamName"]],
        "Metrics": [{"Name": name, "Unit": unit} for name, unit in METRICS.items()],
    }
    values = {"DriftPercent": drift.percent, "EventsInLake": drift.lake, "EventsInCounters": drift.counters}
    return json.dumps({"_aws": {"Timestamp": now_ms, "CloudWatchMetrics": [declared]}, "StreamName": stream, **values})
