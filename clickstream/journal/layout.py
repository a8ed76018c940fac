r"""How records stand in the file: a JSON array at every commit, one event a line.

    [\n
    {"event_id": ...},\n
    {"event_id": ...}\n
    ]\n

A newline never stands inside a record, so lines can be split without parsing. The durable offset is the
end of the last record; `CLOSING` always follows it. A commit overwrites that closing with a separator,
the new records and a new closing in one positioned write.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Final

OPENING: Final = b"["
CLOSING: Final = b"\n]\n"
SEPARATOR: Final = b",\n"
EMPTY: Final = OPENING + CLOSING
START: Final = len(OPENING)  # where the records of a journal begin
START_CRC: Final = zlib.crc32(OPENING)


def addition(records: Sequence[bytes], offset: int) -> bytes:
    """The bytes that stand at `offset`, the end of the last record, once `records` follow it; without the closing."""
    return (b"\n" if offset == START else SEPARATOR) + SEPARATOR.join(records)
