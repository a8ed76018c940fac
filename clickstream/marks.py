"""Fields that the server adds to records before they are validated: test_id, is_bot, client_ip."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


def marked(records: Sequence[bytes], name: str, value: object) -> list[bytes]:
    """`records` with the field in each object that does not mention it; anything else is left to validation."""
    key = f'"{name}"'.encode()
    addition = b"," + key + b":" + msgspec.json.encode(value) + b"}"
    return [
        record[:-1] + addition
        if record.endswith(b"}") and record.startswith(b"{") and len(record) > 2 and key not in record
        else record
        for record in records
    ]
