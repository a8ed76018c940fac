"""Stream, bucket and table on the emulator, with the keys and layout that infra/template.yaml gives them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from clickstream.aws.local.template import load_template, resources

_ACTIVE_TIMEOUT_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Names:
    """What the API finds in KINESIS_STREAM_NAME, S3_BUCKET_NAME and DYNAMODB_TABLE_NAME."""

    stream: str = "clickstream-local"
    bucket: str = "clickstream-local-lake"
    table: str = "clickstream-local-counters"

    def environment(self) -> dict[str, str]:
        """The settings of an API with ENV=aws."""
        return {
            "ENV": "aws",
            "KINESIS_STREAM_NAME": self.stream,
            "S3_BUCKET_NAME": self.bucket,
            "DYNAMODB_TABLE_NAME": self.table,
        }


def create(names: Names, connect: Callable[[str], Any], *, shards: int) -> None:
    """Create all three with the clients that `connect` makes, and return once they are in service.

    The template's stream is on demand; the emulator has no such mode, so it gets `shards` shards.
    """
    kinesis = connect("kinesis")
    kinesis.create_stream(StreamName=names.stream, ShardCount=shards)
    connect("s3").create_bucket(Bucket=names.bucket)
    connect("dynamodb").create_table(TableName=names.table, **table_schema())
    end_s = time.monotonic() + _ACTIVE_TIMEOUT_S
    while (
        kinesis.describe_stream_summary(StreamName=names.stream)["StreamDescriptionSummary"]["StreamStatus"] != "ACTIVE"
    ):
        if time.monotonic() > end_s:
            raise RuntimeError("the emulator's stream does not become active")
        time.sleep(0.05)


@cache
def table_schema() -> dict[str, Any]:
    """Keys and billing of the counters' table in the template."""
    (table,) = resources(load_template(), "AWS::DynamoDB::Table").values()
    return {name: table[name] for name in ("AttributeDefinitions", "KeySchema", "BillingMode")}


def trigger_settings() -> dict[str, Any]:
    """Batch size, retries and the rest of the consumer's event source mapping in the template."""
    (trigger,) = resources(load_template(), "AWS::Lambda::EventSourceMapping").values()
    return trigger
