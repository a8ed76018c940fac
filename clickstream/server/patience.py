"""How long clients are waited for."""

from __future__ import annotations

import asyncio
import time
from typing import Any


class Patience:
    """Cancels tasks that wait for their client for too long, looking once a second: a timer each would cost more."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop  # asking for the running one is a system call each time before Python 3.12
        self._deadlines: dict[asyncio.Task[Any], float] = {}

    def begin(self, seconds: float) -> asyncio.Task[Any]:
        """The current task, which waits from now on for at most `seconds`; give it back to `end`."""
        task = asyncio.current_task(self._loop)
        assert task is not None
        self._deadlines[task] = time.monotonic() + seconds
        return task

    def end(self, task: asyncio.Task[Any]) -> None:
        """The client did what was waited for."""
        del self._deadlines[task]

    async def watch(self) -> None:
        """Run until cancelled."""
        while True:
            await asyncio.sleep(1)
            now = time.monotonic()
            for task in [task for task, deadline in self._deadlines.items() if deadline < now]:
                task.cancel()
