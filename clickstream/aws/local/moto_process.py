"""moto server with transactions whose price does not grow with the table; `python -m` runs it.

moto guards a transaction by a deep copy of the whole table, made anew for each of its items: with 1,000 items
in the table a transaction of 80 takes a second and a half, and a demo stops after a minute. A copy of the
table's two levels of dictionaries, once for each transaction, guards it as well: writing replaces an item
and never changes one in place.
"""

from __future__ import annotations

import copy
import os
import sys
import threading
import time
from types import SimpleNamespace
from typing import Any, Final

from moto import server
from moto.dynamodb import models
from moto.dynamodb.models.table import Table

_POLL_S: Final = 0.5
_transaction: Final = threading.local()


def install() -> None:
    """Replace the copying of tables inside transactions, in this process."""
    original = models.DynamoDBBackend.transact_write_items

    def transact(self: models.DynamoDBBackend, transact_items: list[dict[str, Any]]) -> None:
        _transaction.copies = {}
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
    for key, item in twin.items.items():
        twin.items[key] = copy.copy(item)
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
