"""moto server with three faults mended that would spoil every count and every demo; `python -m` runs it.

moto takes a record's sequence number from the number of the last one without a lock: of two calls at the same
time for one shard one record can replace another, although both were confirmed. Here one call goes after the other.

moto guards a transaction by a deep copy of the whole table, made anew for each of its items: with 1,000 items
in the table a transaction of 80 takes a second and a half, and a demo stops after a minute. A copy of the
table's outer dictionary and of the inner ones that the transaction writes to, made once, guards it as well:
writing replaces an item and never changes one in place.

moto sorts the whole table for each query. A query names its partition, and only that one is looked at here.
"""

from __future__ import annotations

import copy
import os
import sys
import threading
import time
from collections import defaultdict
from types import SimpleNamespace
from typing import Any, Final

from moto import server
from moto.dynamodb import models
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table
from moto.kinesis.models import KinesisBackend

_POLL_S: Final = 0.5
_transaction: Final = threading.local()


def install() -> None:
    """Mend all three in this process."""
    _serialize_puts()
    _narrow_queries()
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


def _serialize_puts() -> None:
    original, lock = KinesisBackend.put_records, threading.Lock()

    def put_records(self: KinesisBackend, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 (as the original)
        with lock:
            return original(self, *args, **kwargs)

    KinesisBackend.put_records = put_records  # type: ignore[method-assign]


def _narrow_queries() -> None:
    original = Table.query

    def query(self: Table, hash_key: DynamoType, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 (as the original)
        if self.all_indexes() or not self.range_key_attr:
            return original(self, hash_key, *args, **kwargs)
        narrow = copy.copy(self)
        narrow.items = defaultdict(dict, {hash_key: self.items[hash_key]} if hash_key in self.items else {})
        return original(narrow, hash_key, *args, **kwargs)

    Table.query = query  # type: ignore[method-assign,assignment]


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


def end_with_parent(parent: int) -> None:
    """Exit when the process that started this one is gone, so that a killed demo leaves no server behind."""
    while os.getppid() == parent:
        time.sleep(_POLL_S)
    os._exit(0)


if __name__ == "__main__":
    threading.Thread(target=end_with_parent, args=(os.getppid(),), daemon=True).start()
    install()
    server.main(sys.argv[1:])
