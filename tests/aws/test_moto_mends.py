"""The emulator with its shortcuts against the emulator as it comes: every answer is the same."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from clickstream.aws.clients import Emulated, client
from clickstream.aws.local.emulator import REGION, Emulator
from clickstream.aws.local.resources import Names, create
from clickstream.ports import free_port
from tests.support.processes import http_status
from tests.support.waiting import until

pytestmark = pytest.mark.aws

# Opaque, or the clock's.
_HIDDEN = ("ResponseMetadata", "NextShardIterator", "ApproximateArrivalTimestamp", "MillisBehindLatest")

Connect = Callable[[str], Any]


@pytest.fixture
def plain() -> Iterator[Connect]:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: http_status(f"http://127.0.0.1:{port}/moto-api/"), timeout_s=30)
        yield lambda service: client(service, REGION, emulated=Emulated(f"http://127.0.0.1:{port}"))
    finally:
        process.terminate()
        process.wait(10)


def test_every_answer_is_the_same_as_without_the_mends(plain: Connect, emulator: Emulator, names: Names) -> None:
    for connect in (plain, emulator.connect):
        create(names, connect, shards=2)

    for conversation in (_about_records, _about_items, _about_objects):
        expected, found = conversation(plain, names), conversation(emulator.connect, names)
        assert found == expected
        assert len(expected) > 5


def _about_records(connect: Connect, names: Names) -> list[object]:
    kinesis = connect("kinesis")

    def put(count: int, size: int = 10, **more: str) -> object:
        entries = [{"Data": b"x" * size, "PartitionKey": f"k{index}", **more} for index in range(count)]
        return _answer(kinesis.put_records, StreamName=names.stream, Records=entries)

    def read(kind: str, limit: int, **more: str) -> Iterator[object]:
        place = {"StreamName": names.stream, "ShardId": "shardId-000000000001", "ShardIteratorType": kind, **more}
        iterator = kinesis.get_shard_iterator(**place)["ShardIterator"]
        for _ in range(3):
            yield _answer(kinesis.get_records, ShardIterator=iterator, Limit=limit)
            iterator = kinesis.get_records(ShardIterator=iterator, Limit=limit)["NextShardIterator"]

    return [
        *read("TRIM_HORIZON", 10),
        put(20),
        put(5, ExplicitHashKey=str(2**128 - 2)),
        put(501),
        put(6, 1024 * 1024),
        _answer(kinesis.put_records, StreamName="nowhere", Records=[{"Data": b"x", "PartitionKey": "k"}]),
        *read("TRIM_HORIZON", 4),
        *read("TRIM_HORIZON", 10_000),
        *read("AFTER_SEQUENCE_NUMBER", 2, StartingSequenceNumber="3"),
        *read("LATEST", 5),
        _answer(kinesis.list_shards, StreamName=names.stream),
    ]


def _about_items(connect: Connect, names: Names) -> list[object]:
    dynamodb = connect("dynamodb")

    def item(name: str, **more: object) -> dict[str, Any]:
        return {"pk": {"S": name}, "sk": {"S": "state"}, "body": {"B": b"\x00\xff"}, "version": {"N": "1"}, **more}

    def transact(*puts: dict[str, Any]) -> object:
        items = [{"Put": {"TableName": names.table, **put}} for put in puts]
        return _answer(dynamodb.transact_write_items, TransactItems=items)

    def load(*keys: str) -> object:
        wanted = [{"pk": {"S": key}, "sk": {"S": "state"}} for key in keys]
        return _answer(dynamodb.batch_get_item, RequestItems={names.table: {"Keys": wanted, "ConsistentRead": True}})

    def query(name: str) -> object:
        values = {":pk": {"S": name}}
        return _answer(
            dynamodb.query,
            TableName=names.table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues=values,
        )

    new = {"ConditionExpression": "attribute_not_exists(pk)"}
    first = {"ConditionExpression": "version = :read", "ExpressionAttributeValues": {":read": {"N": "1"}}}
    second = {"ConditionExpression": "version = :read", "ExpressionAttributeValues": {":read": {"N": "2"}}}
    position = {"ConditionExpression": "#p = :read", "ExpressionAttributeValues": {":read": {"S": "00"}}}
    named = {**position, "ExpressionAttributeNames": {"#p": "position"}}
    rich = item("rich", list={"L": [{"S": "a"}, {"M": {"b": {"BOOL": True}}}]}, none={"NULL": True}, set={"SS": ["x"]})
    return [
        load("a", "b"),
        transact({"Item": item("a"), **new}, {"Item": item("b"), **new}),
        transact({"Item": item("a"), **new}, {"Item": item("c"), **new}),  # refused whole
        load("a", "b", "c"),
        transact({"Item": item("a", version={"N": "2"}), **first}, {"Item": item("d", position={"S": "00"}), **new}),
        transact({"Item": item("a"), **first}),
        transact({"Item": item("a", version={"N": "3"}), **second}, {"Item": item("d", position={"S": "01"}), **named}),
        transact({"Item": item("d"), **named}),
        transact({"Item": item("a"), **position}),  # a name that is used and not given
        transact({"Item": item("a"), **new, "ExpressionAttributeNames": {"#unused": "x"}}),
        transact({"Item": item("a")}, {"Item": item("a")}),  # one item twice
        transact({"Item": rich}, {"Item": item("large", body={"B": b"x" * 150_000}, more={"S": "y" * 150_000})}),
        transact({"Item": item("too large", body={"B": b"x" * 350_000}, more={"S": "y" * 350_000})}),
        transact({"Item": item("")}),
        load("a", "a"),
        load("a", "b", "c", "d", "rich", "large", "too large"),
        _answer(dynamodb.put_item, TableName=names.table, Item={"pk": {"S": "shards"}, "sk": {"S": "one"}}),
        _answer(dynamodb.put_item, TableName=names.table, Item={"pk": {"S": "shards"}, "sk": {"S": "two"}}),
        query("shards"),
        query("nothing"),
        _answer(dynamodb.get_item, TableName="nowhere", Key={"pk": {"S": "a"}, "sk": {"S": "state"}}),
    ]


def _about_objects(connect: Connect, names: Names) -> list[object]:
    s3 = connect("s3")
    return [
        s3.put_object(Bucket=names.bucket, Key="a/1", Body=b"one")["ETag"],
        s3.put_object(Bucket=names.bucket, Key="a/2 ü", Body=b"")["ETag"],
        s3.get_object(Bucket=names.bucket, Key="a/1")["Body"].read(),
        [found["Key"] for found in s3.list_objects_v2(Bucket=names.bucket, Prefix="a/")["Contents"]],
        _answer(s3.head_object, Bucket=names.bucket, Key="missing"),
        _answer(s3.get_object, Bucket=names.bucket, Key="missing"),
    ]


def _answer(call: Callable[..., dict[str, Any]], **arguments: object) -> object:
    try:
        return _shown(call(**arguments))
    except ClientError as problem:
        return problem.response["Error"], problem.response.get("CancellationReasons")


def _shown(value: object) -> object:
    if isinstance(value, dict):
        return {name: _shown(one) for name, one in value.items() if name not in _HIDDEN}
    return [_shown(one) for one in value] if isinstance(value, list) else value
