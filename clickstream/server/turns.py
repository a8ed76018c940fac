"""Costly work of many clients: one piece of it in each turn of the event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

_MOST_WAITING_BYTES: Final = 16 * 1024 * 1024  # a quarter of what the bodies that arrive may hold, see request.py


class Turns:
    """Calls what waits in its order, and lets the loop see to everybody else in between.

    Without this, the large batches of many senders that arrive together would all be worked off before the next small
    request is as much as read.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[tuple[Callable[[], None], int]] = deque()
        self._waiting_bytes = 0

    def call(self, work: Callable[[], None], size: int) -> None:
        """Call `work`, which holds `size` bytes, when it is its turn; at once where too much waits already."""
        if self._waiting_bytes + size > _MOST_WAITING_BYTES:
            work()
            return
        self._waiting.append((work, size))
        self._waiting_bytes += size
        if len(self._waiting) == 1:
            self._loop.call_soon(self._take_turn)

    def _take_turn(self) -> None:
        work, size = self._waiting[0]
        try:
            work()
        finally:
            self._waiting.popleft()
            self._waiting_bytes -= size
            if self._waiting:
                self._loop.call_soon(self._take_turn)
