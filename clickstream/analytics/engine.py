"""Runs a question on a source of events in DuckDB, in this process, and gives its rows."""

from __future__ import annotations

import datetime as dt
import errno
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from clickstream.analytics.catalog import Question
from clickstream.analytics.local_time import in_zone
from clickstream.analytics.scope import EVERYTHING, Scope
from clickstream.analytics.views import Copied, over_copy, over_source
from clickstream.errors import ClickstreamError, RequestRefused
from clickstream.timestamps import text

if TYPE_CHECKING:
    import duckdb

_MEMORY_LIMIT: Final = "1GB"  # beyond it DuckDB goes on in files, where it is given a directory for them
_PRIVATE: Final = "clickstream-sql-"
_SETTLED_S: Final = 60.0  # a younger directory may be about to be held
_INTERRUPTED: Final = "Query interrupted"  # what Ctrl-C becomes while DuckDB works
_TOO_MUCH: Final = (
    "this needs more memory than the 1 GB that it may have: "
    "ask for a shorter time, with since and until closer together"
)


class SourceUnreadable(ClickstreamError):
    """The events cannot be read: the file is damaged or is not one of the formats."""


@dataclass(frozen=True, slots=True)
class Table:
    """An answer: column names and rows whose cells are JSON values."""

    name: str
    columns: list[str]
    rows: list[list[Any]]
    truncated: bool = False  # there were more rows than asked for

    def as_dict(self) -> dict[str, Any]:
        """The answer as JSON; `GET /analytics/<name>` adds how long it took."""
        rows = [dict(zip(self.columns, row, strict=True)) for row in self.rows]
        return {
            "name": self.name,
            "columns": self.columns,
            "rows": rows,
            "truncated": self.truncated,
        }


def answer(
    question: Question,
    source: str | Copied,
    scope: Scope = EVERYTHING,
    *,
    limit: int | None = None,
    threads: int = 2,
    spill: Path | None = None,
) -> Table:
    """The answer to `question` over those events of `source` that are in `scope`.

    `source` is SQL from sources.py, or the Parquet copy of a journal. At most `limit` rows. What does not fit into
    memory goes to `spill`, else to a directory of its own.
    """
    with private(spill) as directory, connect(threads, directory) as connection, readable():
        if isinstance(source, Copied):
            over_copy(connection, source, scope, question.sql)
        else:
            over_source(connection, source, scope)
        return asked(connection, question, scope, limit=limit)


def asked(
    connection: duckdb.DuckDBPyConnection, question: Question, scope: Scope, *, limit: int | None = None
) -> Table:
    """The answer to `question` over the views that stand in `connection` for `scope`; at most `limit` rows."""
    result = connection.execute(in_zone(question.sql, scope))
    columns = [column[0] for column in result.description or []]
    found = result.fetchall() if limit is None else result.fetchmany(limit + 1)
    rows = [[json_value(cell) for cell in row] for row in found[:limit]]
    return Table(question.name, columns, rows, truncated=len(rows) < len(found))


@contextmanager
def readable() -> Iterator[None]:
    """Raises SourceUnreadable for what DuckDB says about files and values that it cannot read.

    Raises RequestRefused when the work needs more memory than it may have: asked for again, it would be no less; and
    OSError when the disk is full.
    """
    import duckdb  # noqa: PLC0415 (as below)

    try:
        yield
    except duckdb.OutOfMemoryException as problem:
        raise RequestRefused("invalid_parameter", _TOO_MUCH, field="since") from problem
    except duckdb.IOException as problem:
        if os.strerror(errno.ENOSPC) in str(problem):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from problem
        raise SourceUnreadable(str(problem).splitlines()[0]) from problem
    except duckdb.Error as problem:  # any: what it says of a damaged file depends on which byte is wrong
        raise SourceUnreadable(str(problem).splitlines()[0]) from problem
    except RuntimeError as problem:
        if str(problem) == _INTERRUPTED:
            raise KeyboardInterrupt from problem
        raise


@contextmanager
def private(directory: Path | None) -> Iterator[Path]:
    """`directory`, else one of its own that is deleted at the end; after a kill, by the next one."""
    if directory is not None:
        yield directory
        return
    _sweep()
    with tempfile.TemporaryDirectory(prefix=_PRIVATE, ignore_cleanup_errors=True) as own:
        held = os.open(own, os.O_RDONLY)
        try:
            fcntl.flock(held, fcntl.LOCK_EX)
            yield Path(own)
        finally:
            os.close(held)


def _sweep() -> None:
    """Delete the private directories that nobody holds any more: events of people may be in them."""
    for left in Path(tempfile.gettempdir()).glob(f"{_PRIVATE}*"):
        with suppress(OSError):
            held = os.open(left, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                about = os.fstat(held)
                if about.st_uid == os.getuid() and time.time() - about.st_mtime > _SETTLED_S:
                    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(left, ignore_errors=True)
            finally:
                os.close(held)


def connect(threads: int = 2, spill: Path | None = None) -> duckdb.DuckDBPyConnection:
    """A DuckDB of its own in memory, in UTC, bounded in memory and threads, that loads nothing from the network.

    `spill` is a directory that only its owner can read, for what does not fit into memory: it holds events of people.
    """
    import duckdb  # noqa: PLC0415 (60 ms and 30 MB that only those pay who ask a question)

    return duckdb.connect(
        config={
            "threads": threads,
            "memory_limit": _MEMORY_LIMIT,
            "temp_directory": "" if spill is None else str(spill),
            "autoinstall_known_extensions": False,
            "TimeZone": "UTC",
            # Files of several hundred megabytes would otherwise be held in order while they are read.
            "preserve_insertion_order": False,
        }
    )


def json_value(cell: object) -> object:
    """A cell of DuckDB as JSON holds it: whole decimals as integers, times as RFC 3339."""
    if isinstance(cell, Decimal):
        return int(cell) if cell == cell.to_integral_value() and cell.as_tuple().exponent == 0 else float(cell)
    if isinstance(cell, dt.datetime):
        return text((cell.replace(tzinfo=dt.timezone.utc) - _EPOCH) // dt.timedelta(milliseconds=1))
    if isinstance(cell, dt.date):
        return cell.isoformat()
    return cell


_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
