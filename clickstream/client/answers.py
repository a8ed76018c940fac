"""Reads the body of an answer within a time and a size, however slowly and however much of it comes."""

from __future__ import annotations

import time
from typing import Final

import requests

MAX_ANSWER_BYTES: Final = 16 * 1024 * 1024  # 50 recent events of the largest allowed size fit

_PART_BYTES: Final = 64 * 1024


class AnswerTooLarge(requests.RequestException):
    """The answer has more bytes than are read."""


def body_within(reply: requests.Response, deadline: float, most_bytes: int = MAX_ANSWER_BYTES) -> bytes:
    """The decoded body of `reply`, which was asked for with stream=True.

    Raises requests.Timeout when it is not there at `deadline` (time.monotonic), AnswerTooLarge beyond `most_bytes`,
    and what urllib3 raises when the connection breaks.
    """
    parts: list[bytes] = []
    size = 0
    # read1 returns after each arrival, so that a trickling answer meets the deadline as well.
    while part := reply.raw.read1(_PART_BYTES, decode_content=True):
        size += len(part)
        if size > most_bytes:
            raise AnswerTooLarge(f"more than {most_bytes:,} bytes")
        if time.monotonic() > deadline:
            raise requests.Timeout
        parts.append(part)
    return b"".join(parts)
