"""Text that is packed in other text: base64 of either alphabet, gzip and zlib."""

from __future__ import annotations

import base64
import binascii
import contextlib
import re
import zlib
from typing import Final

# base64 of a text that begins with { or [ or of a gzip file: a random word hardly ever is one.
BASE64: Final = re.compile(r"(?<![A-Za-z0-9+/_-])(?:[eW][w-z0-9+/_-]|H4sI)[A-Za-z0-9+/_-]{6,}")
GZIP_OR_ZLIB: Final = re.compile(rb"\x1f\x8b|x[\x01\x5e\x9c\xda]")
_MOST_INFLATED_BYTES: Final = 8 * 1024 * 1024
_STEP_BYTES: Final = 1024
_TO_STANDARD: Final = str.maketrans("-_", "+/")


def unpacked(text: str) -> bytes:
    """The bytes in base64 of either alphabet, also where its end is missing; nothing when it is none."""
    text = text.translate(_TO_STANDARD).rstrip("=")
    try:
        return base64.b64decode(text[: len(text) - (len(text) % 4 == 1)] + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return b""


def inflated(content: bytes) -> bytes:
    """What is compressed in `content`, all members of it, up to where it is damaged or too long."""
    found = bytearray()
    with contextlib.suppress(zlib.error):
        while content and len(found) < _MOST_INFLATED_BYTES:
            stream = zlib.decompressobj(zlib.MAX_WBITS | 32)  # gzip or zlib
            for start in range(0, len(content), _STEP_BYTES):
                # In steps, because an error takes away what the same call has read before it.
                found += stream.decompress(content[start : start + _STEP_BYTES], _MOST_INFLATED_BYTES)
                if stream.eof or len(found) >= _MOST_INFLATED_BYTES:
                    break
            content = stream.unused_data + content[start + _STEP_BYTES :] if stream.eof else b""
    return bytes(found)
