"""Events as one Parquet file with the columns of the lake: what Firehose writes on AWS, made on this machine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from clickstream.analytics.engine import connect, readable
from clickstream.analytics.sources import LONGEST_EVENT, literal, only
from clickstream.aws.packing import COLUMNS

MEDIA_TYPE: Final = "application/vnd.apache.parquet"

_TYPES: Final = ", ".join(f"'{name}': '{'INTEGER' if name == 'v' else 'VARCHAR'}'" for name in COLUMNS)
_SELECTED: Final = ", ".join(f'"{name}"' for name in COLUMNS)
_ROWS_AT_ONCE: Final = 20_480  # of about a kilobyte; DuckDB holds one such group in memory
_BLOCK: Final = 256 * 1024


def write(lines: Iterable[bytes], directory: Path) -> Path:
    """A file in `directory` with `lines` of wire form 1 in their order; needs room for them as text as well."""
    text, target = directory / "lines.ndjson", directory / "events.parquet"
    with text.open("wb") as file:
        file.writelines(line + b"\n" for line in lines)
    rows = (
        f"read_json({only(text)}, format = 'newline_delimited', columns = {{{_TYPES}}}, "
        f"maximum_object_size = {LONGEST_EVENT})"
    )
    with connect(threads=1, spill=directory) as connection, readable():
        connection.execute("SET preserve_insertion_order = true")
        copy = f"COPY (SELECT {_SELECTED} FROM {rows}) TO {literal(str(target))}"  # noqa: S608 (paths are quoted)
        connection.execute(f"{copy} (FORMAT parquet, COMPRESSION snappy, ROW_GROUP_SIZE {_ROWS_AT_ONCE})")
    text.unlink()
    return target


def blocks(path: Path) -> Iterator[bytes]:
    """The content of a file, which may be deleted as soon as the first block is there."""
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            yield block
