"""Reads a stream shard by shard and remembers how far; parents of a split before their children."""

from __future__ import annotations

from operator import itemgetter
from typing import Any


class ShardReader:
    """One reader's position in every shard of a stream; a batch is read again until it is committed."""

    def __init__(self, kinesis: Any, stream: str) -> None:  # noqa: ANN401 (boto3 makes its classes at run time)
        self._kinesis = kinesis
        self._stream = stream
        self._done: dict[str, str] = {}  # last committed sequence number by shard
        self._iterators: dict[str, str | None] = {}
        self._read: dict[str, str] = {}

    def shards(self) -> list[str]:
        """Ids of all shards, parents first, which is the order they were made in."""
        return [shard for generation in self.generations() for shard in generation]

    def generations(self) -> list[list[str]]:
        """Ids of all shards: those without a parent, then their children, and so on."""
        answer = self._kinesis.list_shards(StreamName=self._stream)
        generation: dict[str, int] = {}
        for shard in sorted(answer["Shards"], key=itemgetter("ShardId")):
            parents = (shard.get("ParentShardId", ""), shard.get("AdjacentParentShardId", ""))
            generation[shard["ShardId"]] = 1 + max(generation.get(parent, -1) for parent in parents)
        found: list[list[str]] = [[] for _ in range(max(generation.values(), default=-1) + 1)]
        for shard_id, number in generation.items():
            found[number].append(shard_id)
        return found

    def read(self, shard: str, limit: int = 10_000) -> list[dict[str, Any]]:
        """At most `limit` records behind those of the last read; empty when there are none now."""
        iterator = self._iterators.get(shard) or self._iterator(shard)
        answer = self._kinesis.get_records(ShardIterator=iterator, Limit=limit)
        self._iterators[shard] = answer.get("NextShardIterator")
        records: list[dict[str, Any]] = answer["Records"]
        if records:
            self._read[shard] = records[-1]["SequenceNumber"]
        return records

    def commit(self, shard: str) -> None:
        """What was read of `shard` need not be read again."""
        if shard in self._read:
            self._done[shard] = self._read[shard]

    def rewind(self, shard: str) -> None:
        """Read again from the last commit on, as after a restart of the reader."""
        self._iterators.pop(shard, None)

    def _iterator(self, shard: str) -> str:
        if shard in self._done:
            place = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": self._done[shard]}
        else:
            place = {"ShardIteratorType": "TRIM_HORIZON"}
        answer = self._kinesis.get_shard_iterator(StreamName=self._stream, ShardId=shard, **place)
        return str(answer["ShardIterator"])
