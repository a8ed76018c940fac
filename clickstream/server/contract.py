"""What a view and the server say to each other: keys of the environ, and answers that come later."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from typing import Any, Final

DEFERRED: Final = "clickstream.deferred"
BODY: Final = "clickstream.body"
BODY_REFUSED: Final = "clickstream.body_refused"

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
OnAnswer = Callable[[str, int, float], None]  # method, status, seconds from the end of the request to the answer


class Deferred:
    """An answer that is not known yet; whoever makes it resolves it once, on the loop thread."""

    __slots__ = ("_instead", "_is_resolved", "_send")

    def __init__(self) -> None:
        self._is_resolved = False
        self._instead: WsgiApp | None = None
        self._send: Callable[[WsgiApp | None], None] | None = None

    def resolve(self, instead: WsgiApp | None = None) -> None:
        """Send the prepared answer, or `instead` of it another response; later calls change nothing."""
        if not self._is_resolved:
            self._is_resolved, self._instead = True, instead
            send, self._send = self._send, None  # it knows the environ, which knows this object
            if send is not None:
                send(instead)

    def then(self, send: Callable[[WsgiApp | None], None]) -> None:
        """Call `send` with what is to be sent instead of the prepared answer, if anything: now, or once it is known."""
        if self._is_resolved:
            send(self._instead)
        else:
            self._send = send

    @classmethod
    def from_thread(
        cls, work: Callable[[], WsgiApp], failed: Callable[[BaseException], WsgiApp], threads: Executor | None = None
    ) -> Deferred:
        """The answer that `work` makes on a thread of `threads`, else on a worker; `failed` answers its exception."""
        deferred = cls()

        def done(future: asyncio.Future[WsgiApp]) -> None:
            problem = future.exception()
            deferred.resolve(future.result() if problem is None else failed(problem))

        asyncio.get_running_loop().run_in_executor(threads, work).add_done_callback(done)
        return deferred
