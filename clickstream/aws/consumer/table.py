"""The live counters in DynamoDB: which items there are, and writes of many of them that happen all or not at all."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from clickstream.aws.consumer.heaviest import Heaviest
from clickstream.errors import ClickstreamError
from clickstream.stats.minutes import Minute
from clickstream.stats.money import storable
from clickstream.stats.top import TopCounts

MAX_ITEMS: Final = 100  # of one transaction, and of one read
NO_POSITION: Final = ""  # sorts before every position

_READ_ATTEMPTS: Final = 8
_RETRIED_READ: Final = 0.05

Key = tuple[str, str]


class ShardState(msgspec.Struct, array_like=True):
    """Totals over all events of one shard; `snapshot` adds the shards up."""

    types: dict[str, int] = {}
    revenue: dict[str, int] = {}
    depths: list[int] = msgspec.field(default_factory=lambda: [0] * 5)
    users: int = 0
    first_ms: int | None = None
    top: Heaviest | None = None
    # How often this shard has written into each hour: a reader reads again only the hours that changed.
    hours: dict[int, int] = {}
    # Digests of the newest records, to know a copy that a producer sent because an answer was lost.
    digests: list[bytes] = []

    def storable(self) -> ShardState:
        """The same for an encoder, whatever the revenue has come to."""
        return msgspec.structs.replace(self, revenue=storable(self.revenue))


class CountedMinute(Minute, array_like=True):
    """Counts of one minute as one shard, or all of them, saw it."""

    top: TopCounts | None = None
    # Events by second, 0 to 59; only of those that came within a minute.
    seconds: dict[int, int] = msgspec.field(default_factory=dict)


# Not strict: sums of money beyond 64 bits are written as text.
decode_state: Final = msgspec.msgpack.Decoder(ShardState, strict=False).decode
decode_minute: Final = msgspec.msgpack.Decoder(CountedMinute, strict=False).decode


@dataclass(frozen=True, slots=True)
class Stored:
    """One item as it was read."""

    body: bytes
    version: int = 0
    position: str = NO_POSITION


@dataclass(frozen=True, slots=True)
class Put:
    """One item to write, and what must still be true of it: the version, or the position, that was read."""

    key: Key
    body: bytes
    expires_s: int | None = None
    version_read: int | None = None
    position: str | None = None
    position_read: str = NO_POSITION


class NotRead(ClickstreamError):
    """DynamoDB has not given all items that it was asked for."""


class Conflict(ClickstreamError):
    """Somebody else has changed one of the items since they were read; nothing was written."""


class CounterTable:
    """The items of the table `name`."""

    def __init__(
        self,
        dynamodb: Any,  # noqa: ANN401 (boto3 makes its classes at run time)
        name: str,
        *,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._wait = wait
        self._dynamodb = dynamodb
        self._name = name

    def load(self, keys: Iterable[Key]) -> dict[Key, Stored]:
        """The items there are among `keys`, as they are now."""
        waiting = list(dict.fromkeys(keys))
        found: dict[Key, Stored] = {}
        for begin in range(0, len(waiting), MAX_ITEMS):
            found.update(self._load(waiting[begin : begin + MAX_ITEMS]))
        return found

    def query(self, pk: str) -> dict[str, Stored]:
        """All items with the partition key `pk` by their sort key."""
        found: dict[str, Stored] = {}
        more: dict[str, Any] = {}
        while True:
            answer = self._dynamodb.query(
                TableName=self._name,
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues={":pk": {"S": pk}},
                ConsistentRead=True,
                **more,
            )
            found.update((item["sk"]["S"], _stored(item)) for item in answer["Items"])
            if "LastEvaluatedKey" not in answer:
                return found
            more = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def last_up_to(self, pk: str, sk: str) -> str | None:
        """The greatest sort key under `pk` that is not beyond `sk`."""
        answer = self._dynamodb.query(
            TableName=self._name,
            KeyConditionExpression="pk = :pk AND sk <= :sk",
            ExpressionAttributeValues={":pk": {"S": pk}, ":sk": {"S": sk}},
            ConsistentRead=True,
            ScanIndexForward=False,
            Limit=1,
        )
        return next((item["sk"]["S"] for item in answer["Items"]), None)

    def commit(self, puts: Sequence[Put]) -> None:
        """Write all of `puts` if none of their items has changed since it was read, else raise Conflict."""
        from botocore.exceptions import ClientError  # noqa: PLC0415 (only with ENV=aws)

        try:
            self._dynamodb.transact_write_items(TransactItems=[{"Put": self._put(one)} for one in puts])
        except ClientError as problem:
            code = problem.response.get("Error", {}).get("Code", "")
            reasons = [reason.get("Code") for reason in problem.response.get("CancellationReasons", [])]
            if code == "TransactionCanceledException" and {"ConditionalCheckFailed", "TransactionConflict"} & set(
                reasons
            ):
                raise Conflict(str(problem)) from problem
            raise

    def register(self, shard: str) -> None:
        """Make `shard` known to readers."""
        self._dynamodb.put_item(TableName=self._name, Item={"pk": {"S": "shards"}, "sk": {"S": shard}})

    def _load(self, keys: Sequence[Key]) -> dict[Key, Stored]:
        wanted = [{"pk": {"S": pk}, "sk": {"S": sk}} for pk, sk in keys]
        found: dict[Key, Stored] = {}
        for attempt in range(_READ_ATTEMPTS):
            answer = self._dynamodb.batch_get_item(RequestItems={self._name: {"Keys": wanted, "ConsistentRead": True}})
            for item in answer["Responses"].get(self._name, []):
                found[item["pk"]["S"], item["sk"]["S"]] = _stored(item)
            wanted = answer.get("UnprocessedKeys", {}).get(self._name, {}).get("Keys", [])
            if not wanted:
                return found
            self._wait(random.uniform(0, _RETRIED_READ * 2**attempt))  # noqa: S311 (spreads retries)
        raise NotRead(f"DynamoDB gave {len(found)} items and kept {len(wanted)} back, {_READ_ATTEMPTS} times asked")

    def _put(self, one: Put) -> dict[str, Any]:
        item: dict[str, Any] = {"pk": {"S": one.key[0]}, "sk": {"S": one.key[1]}, "body": {"B": one.body}}
        values: dict[str, Any] = {}
        condition = None
        if one.expires_s is not None:
            item["expires_at"] = {"N": str(one.expires_s)}
        if one.version_read is not None:
            item["version"] = {"N": str(one.version_read + 1)}
            condition, values = "version = :read", {":read": {"N": str(one.version_read)}}
        if one.position is not None:
            # Text of fixed length: sequence numbers have 56 digits, DynamoDB's numbers 38.
            item["position"] = {"S": one.position}
            condition, values = "#position = :read", {":read": {"S": one.position_read}}
        is_new = one.position_read == NO_POSITION if one.position is not None else one.version_read == 0
        if is_new:
            condition, values = "attribute_not_exists(pk)", {}
        put: dict[str, Any] = {"TableName": self._name, "Item": item}
        if condition is not None and (one.version_read is not None or one.position is not None):
            put["ConditionExpression"] = condition
            if values:
                put["ExpressionAttributeValues"] = values
            if "#position" in condition:
                put["ExpressionAttributeNames"] = {"#position": "position"}
        return put


def shard_key(shard: str) -> Key:
    """Watermark and totals of one shard."""
    return f"shard#{shard}", "state"


def minute_key(minute: int, shard: str) -> Key:
    """Counts of one minute of event time, as one shard saw it; minutes of an hour are read together."""
    return hour_pk(minute // 60), f"{minute % 60:02d}#{shard}"


def hour_pk(hour: int) -> str:
    """Partition key of the minutes of one hour since 1970."""
    return f"hour#{hour}"


def session_key(session_id: str) -> Key:
    """State of one session that has an id."""
    return f"session#{session_id}", "state"


def replayed_key(event_id: str) -> Key:
    """One event that was counted out of a replay."""
    return f"replayed#{event_id}", "state"


def visits_key(person: str) -> Key:
    """Sessions of one person whose events carry no session id."""
    return f"visits#{person}", "state"


def person_key(person: str) -> Key:
    """Minute of the last event of one person."""
    return f"person#{person}", "state"


def _stored(item: Mapping[str, Any]) -> Stored:
    body = item.get("body", {}).get("B", b"")
    return Stored(
        bytes(body), int(item.get("version", {}).get("N", "0")), item.get("position", {}).get("S", NO_POSITION)
    )
