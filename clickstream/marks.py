"""Fields that the server adds to records before they are validated: test_id, is_bot, client_ip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def marked(records: Sequence[bytes], name: str, value: object) -> list[bytes]:
    """`records` with the field in each object that does not have it itself; anything else is left to validation."""
    key = f'"{name}"'.encode()
    addition = b"," + key + b":" + msgspec.json.encode(value) + b"}"
    return [
        record[:-1] + addition
        if record.endswith(b"}")
        and record.startswith(b"{")
        and len(record) > 2
        # Few records mention the name at all, and only those are decoded: it may stand deeper, or in a text.
        and (key not in record or not _has_or_is_broken(record, name))
        else record
        for record in records
    ]


def _has_or_is_broken(record: bytes, name: str) -> bool:
    try:
        return name in _fields(record)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return True
