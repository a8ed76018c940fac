"""Everything that is in a stream, read the plain way."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from clickstream.aws.packing import Line, record_of, unpack

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient


def shard_records(kinesis: KinesisClient, stream: str) -> dict[str, list[dict[str, Any]]]:
    """Records by shard, oldest first."""
    found: dict[str, list[dict[str, Any]]] = {}
    for shard in kinesis.list_shards(StreamName=stream)["Shards"]:
        iterator = kinesis.get_shard_iterator(
            StreamName=stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        records: list[dict[str, Any]] = []
        while iterator:
            answer = kinesis.get_records(ShardIterator=iterator, Limit=10_000)
            records += answer["Records"]
            if not answer["Records"]:
                break
            iterator = answer.get("NextShardIterator")
        found[shard["ShardId"]] = records
    return found


def events_in(kinesis: KinesisClient, stream: str) -> list[dict[str, Any]]:
    """Stored events of the whole stream, in order within each shard."""
    events = []
    for records in shard_records(kinesis, stream).values():
        for record in records:
            for _, line, _ in unpack(record["Data"]):
                assert isinstance(line, Line)
                events.append(json.loads(record_of(line)))
    return events
