"""Where a question reads its events from, as SQL for DuckDB.

A source gives the stored fields as text. What is derived from them is written once, in sql/events.sql.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from clickstream.event_files import is_parquet
from clickstream.timestamps import text

FIELDS: Final = (
    "event_id",
    "event_type",
    "user_id",
    "anonymous_id",
    "session_id",
    "timestamp",
    "received_at",
    "properties",
)

_IS_BOT: Final = "is_bot"  # a field that the server adds; in the lake it stands in `extra`
# A stored event may be 256 KiB as sent. DuckDB sets aside several buffers of twice this size for each thread.
LONGEST_EVENT: Final = 8 * 1024 * 1024
_READ: Final = (*FIELDS, _IS_BOT)
_COLUMNS: Final = ", ".join(f"'{name}': '{'JSON' if name == 'properties' else 'VARCHAR'}'" for name in _READ)
_SELECTED: Final = ", ".join(f'"{name}"' for name in FIELDS)
IS_BOT_OF_EXTRA: Final = f"json_extract_string(extra, '$.{_IS_BOT}') AS {_IS_BOT}"
_PATTERN: Final = re.compile(r"[*?[]")
_NOTHING: Final = ", ".join(f'CAST(NULL AS VARCHAR) AS "{name}"' for name in _READ)


def journal(path: Path) -> str:
    """Events of a journal file: a JSON array, one event a line."""
    return _json([path], "array")


def ndjson(*paths: Path) -> str:
    """Events of files with one JSON object a line."""
    return _json(paths, "newline_delimited")


def lake(files: str | list[str]) -> str:
    """Events of the lake's Parquet objects (a pattern, or their paths), each event once.

    Delivery into the lake is at least once; of the copies of an event the earliest received one counts.
    A row without an event_id, which old journals hold and their exports too, is an event of its own. Files that others
    have made may lack `extra`.
    """
    names = literal(files) if isinstance(files, str) else f"[{', '.join(map(only, files))}]"
    return (
        f"SELECT {_SELECTED}, {IS_BOT_OF_EXTRA} FROM ("  # noqa: S608 (the only foreign text is a quoted literal)
        f"SELECT {_SELECTED}, extra, row_number() OVER (PARTITION BY event_id ORDER BY received_at) AS copy_number "
        f"FROM (SELECT * FROM read_parquet({names}, hive_partitioning = true, union_by_name = true) "
        "UNION ALL BY NAME SELECT CAST(NULL AS VARCHAR) AS extra WHERE false)) AS copies "
        "WHERE copy_number = 1 OR event_id IS NULL"
    )


def nothing() -> str:
    """No events, for a lake into which none has been delivered yet."""
    return f"SELECT {_NOTHING} WHERE false"


def of_file(path: Path) -> str:
    """Events of `path`, by its first byte: Parquet, a JSON array, or NDJSON."""
    if is_parquet(path):
        return lake([str(path)])
    with path.open("rb") as file:
        start = file.read(4)
    return journal(path) if start.lstrip()[:1] == b"[" else ndjson(path)


def literal(value: str) -> str:
    """`value` as an SQL string."""
    return "'" + value.replace("'", "''") + "'"


def timestamp(ms: int) -> str:
    """A time in milliseconds since 1970 as SQL."""
    return f"CAST({literal(text(ms)[:23].replace('T', ' '))} AS TIMESTAMP)"


def only(path: str | Path) -> str:
    """`path` as an SQL string for what reads files: DuckDB takes a name with `*`, `?` or `[` for a pattern."""
    return literal(_PATTERN.sub(r"[\g<0>]", str(path)))


def _json(paths: Sequence[Path], shape: str) -> str:
    names = ", ".join(map(only, paths))
    return (
        f"SELECT {_SELECTED}, {_IS_BOT} FROM read_json([{names}], format = '{shape}', "  # noqa: S608 (as above)
        f"columns = {{{_COLUMNS}}}, maximum_object_size = {LONGEST_EVENT})"
    )
