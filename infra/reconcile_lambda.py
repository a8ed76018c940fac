"""The process of the scheduled check: Athena's count of the lake against the live counters, as a metric."""

from __future__ import annotations

import sys
import time

from clickstream.aws import reconciliation
from clickstream.aws.clients import client
from clickstream.aws.consumer.table import CounterTable
from config import from_environment


def handle(event: dict[str, str], context: object) -> dict[str, float]:
    """Emit the drift of the last settled day; `event` names the `database` and the `workgroup`."""
    settings = from_environment()
    now_ms = time.time_ns() // 1_000_000
    since_ms, until_ms = reconciliation.settled_span(now_ms)
    counters = CounterTable(client("dynamodb", settings.aws_region), settings.dynamodb_table_name)
    drift = reconciliation.Drift(
        since_ms,
        until_ms,
        reconciliation.in_counters(counters, since_ms, until_ms),
        reconciliation.in_athena(
            client("athena", settings.aws_region),
            database=event["database"],
            workgroup=event["workgroup"],
            since_ms=since_ms,
            until_ms=until_ms,
        ),
    )
    sys.stdout.write(reconciliation.metrics_line(drift, settings.kinesis_stream_name, now_ms) + "\n")
    return {"drift_percent": drift.percent}
