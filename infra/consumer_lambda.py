"""The Lambda function's process: settings from the environment, objects once for each container."""

from __future__ import annotations

import sys
import time
from functools import lru_cache
from typing import Any

from clickstream.aws.clients import client
from clickstream.aws.consumer.consumer import Consumer, metrics_line
from clickstream.aws.consumer.table import CounterTable
from config import Settings, from_environment


def handle(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Count the records of `event`; answers which of them to deliver again."""
    settings, consumer = _built()
    answer = consumer.consume(event["Records"])
    sys.stdout.write(metrics_line(consumer.metrics, settings.kinesis_stream_name, _now_ms()) + "\n")
    return answer


@lru_cache(maxsize=1)
def _built() -> tuple[Settings, Consumer]:
    settings = from_environment()
    table = CounterTable(client("dynamodb", settings.aws_region), settings.dynamodb_table_name)
    put_object = client("s3", settings.aws_region).put_object
    return settings, Consumer(table, put_object, settings.s3_bucket_name, clock_ms=_now_ms)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
