"""What moto does wrong or slowly, mended in the process that calls `install`; docs/decisions/0034.

Wrong: moto takes a record's sequence number from the number of the last one without a lock: of two calls at the same
time for one shard one record can replace another, although both were confirmed. Here one call goes after the other.

Slow in ways that grow with what it holds, so that a demo stops after a minute:

- A transaction is guarded by a deep copy of the whole table, made anew for each of its items. A copy of the table's
  outer dictionary and of the inner ones that the transaction writes to, made once, guards it as well: writing
  replaces an item and never changes one in place.
- A query sorts the whole table. It names its partition, and only that one is looked at here.
- A read of the stream goes through every record of the shard, and a write lists all their numbers.

Slow for each call, each of which is answered the same as before: see moto_shortcuts.py.
"""

from __future__ import annotations

import copy
import threading
from collections import defaultdict
from types import SimpleNamespace
from typing import Any, Final

from moto.dynamodb import models
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table
from moto.kinesis.models import KinesisBackend, Record, Shard

from clickstream.aws.local import moto_shortcuts

_transaction: Final = threading.local()


def install() -> None:
    """Mend everything in this process."""
    _serialize_puts()
    _narrow_reads()
    _narrow_queries()
    _narrow_transactions()
    moto_shortcuts.install()


def _serialize_puts() -> None:
    original, lock = KinesisBackend.put_records, threading.Lock()

    def put_records(self: KinesisBackend, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 (as the original)
        with lock:
            return original(self, *args, **kwargs)

    KinesisBackend.put_records = put_records  # type: ignore[method-assign]


def _narrow_reads() -> None:
    def newest(self: Shard) -> int:
        return next(reversed(self.records), 0)

    def get_records(self: Shard, last_sequence_id: str, limit: int | None) -> tuple[list[Record], int, int]:
        # Numbers of one shard follow each other without a gap, from 1 on.
        begin, end = int(last_sequence_id), newest(self)
        found = [self.records[number] for number in range(begin + 1, min(end, begin + (limit or end)) + 1)]
        if not found:
            return found, begin, 0
        behind_s = self.records[end].created_at - found[-1].created_at
        return found, found[-1].sequence_number, int(behind_s * 1000)

    Shard.get_max_sequence_number = newest  # type: ignore[method-assign]
    Shard.get_records = get_records  # type: ignore[method-assign]


def _narrow_queries() -> None:
    original = Table.query

    def query(self: Table, hash_key: DynamoType, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 (as the original)
        if self.all_indexes() or not self.range_key_attr:
            return original(self, hash_key, *args, **kwargs)
        narrow = copy.copy(self)
        narrow.items = defaultdict(dict, {hash_key: self.items[hash_key]} if hash_key in self.items else {})
        return original(narrow, hash_key, *args, **kwargs)

    Table.query = query  # type: ignore[method-assign,assignment]


def _narrow_transactions() -> None:
    original = models.DynamoDBBackend.transact_write_items

    def transact(self: models.DynamoDBBackend, transact_items: list[dict[str, Any]]) -> None:
        _transaction.copies = {}
        _transaction.writes = [operation for item in transact_items for operation in item.values()]
        try:
            original(self, transact_items)
        finally:
            _transaction.copies = None

    models.DynamoDBBackend.transact_write_items = transact  # type: ignore[method-assign]
    models.copy = SimpleNamespace(deepcopy=_deepcopy, copy=copy.copy)  # type: ignore[attr-defined,assignment]


def _deepcopy(value: Any, memo: dict[int, Any] | None = None) -> Any:  # noqa: ANN401 (as copy.deepcopy)
    copies = getattr(_transaction, "copies", None)
    if copies is None or not isinstance(value, Table):
        return copy.deepcopy(value, memo)
    if id(value) not in copies:
        copies[id(value)] = _snapshot(value)
    return copies[id(value)]


def _snapshot(table: Table) -> Table:
    twin = copy.copy(table)
    twin.items = copy.copy(table.items)
    for operation in _transaction.writes:
        if operation["TableName"] == table.name:
            key = DynamoType((operation.get("Item") or operation["Key"])[table.hash_key_attr])
            if key in twin.items:
                twin.items[key] = copy.copy(twin.items[key])
    return twin
