"""What can be told about many good records at once from their length and their digits, without a look at each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

_PER_EVENT: Final = len("{}") - len(",")  # a record has one comma less than fields
_PER_FIELD: Final = len('"":,')
_QUOTES: Final = 2
_LONGEST_DIGITS: Final = 300  # a float holds 308 digits before the point

_DIGITS: Final = bytes.maketrans(b"123456789E", b"000000000e")
_NOT_IN_EXPONENTS: Final = b"+-."


def is_compact(
    blob: bytes, count: int, texts: Mapping[str, Sequence[str]], values: Mapping[str, Sequence[msgspec.Raw]]
) -> bool:
    """True when `count` records, joined in `blob` by one byte, hold these fields once and no white space.

    Writing the fields takes at least the length that is summed up here; a key that stands twice, a blank or an
    escape makes a record longer, and nothing makes one shorter.
    """
    length = count * _PER_EVENT + count - 1
    for name, strings in texts.items():
        length += len(strings) * (len(name) + _PER_FIELD + _QUOTES) + len("".join(strings))
    for name, raws in values.items():
        length += len(raws) * (len(name) + _PER_FIELD) + _characters(b"".join(raws))
    return length == _characters(blob)


def may_hold_huge_number(blob: bytes) -> bool:
    """False when no number in `blob` can be beyond a 64-bit float: none has an exponent or hundreds of digits."""
    digits = blob.translate(_DIGITS, _NOT_IN_EXPONENTS)
    return b"0e0" in digits or b"0" * _LONGEST_DIGITS in digits


def _characters(text: bytes) -> int:
    return len(text) if text.isascii() else len(text.decode())
