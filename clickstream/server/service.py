"""What all connections share: the application, its limits, the clock, and who is connected."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from typing import TYPE_CHECKING, Any, Final

from clickstream.server.answer import date_line
from clickstream.server.contract import OnAnswer, WsgiApp
from clickstream.server.request import Room
from clickstream.server.streams import Streams
from clickstream.server.turns import Turns

if TYPE_CHECKING:
    from clickstream.server.connection import Connection

_log: Final = logging.getLogger(__name__)

_FLUSH_TIMEOUT_S: Final = 0.2  # for the last answers of a stop


class Service:
    """One application on one loop."""

    def __init__(
        self,
        app: WsgiApp,
        loop: asyncio.AbstractEventLoop,
        *,
        host: str,
        port: int,
        max_body_bytes: int,
        body_timeout_s: float,
        reader_timeout_s: float,
        on_answer: OnAnswer | None,
    ) -> None:
        self.app = app
        self.loop = loop
        self.room = Room(max_body_bytes)
        self.body_timeout_s = body_timeout_s
        self._reader_timeout_s = reader_timeout_s
        self.on_answer = on_answer
        self.streams = Streams(loop)
        self.turns = Turns(loop)
        self.connections: set[Connection] = set()
        self.now_s = time.monotonic()  # at most a second ago
        self.date = date_line(time.time())
        self.environ: dict[str, Any] = {
            "SCRIPT_NAME": "",
            "SERVER_NAME": host,
            "SERVER_PORT": str(port),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": False,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            "wsgi.input_terminated": True,
        }
        self._all_gone = asyncio.Event()

    def left(self, connection: Connection) -> None:
        """A client has gone."""
        self.connections.discard(connection)
        if not self.connections:
            self._all_gone.set()

    async def watch(self) -> None:
        """Once a second: set the clock, and end connections whose client is too slow."""
        unsent: dict[Connection, tuple[int, float]] = {}
        while True:
            await asyncio.sleep(1)
            self.now_s = now_s = time.monotonic()
            self.date = date_line(time.time())
            waiting = {one: size for one in self.connections if (size := one.unsent_bytes()) > 0}
            unsent = {
                one: known if (known := unsent.get(one, (size, now_s)))[0] == size else (size, now_s)
                for one, size in waiting.items()
            }
            for connection, (_, since_s) in unsent.items():
                if now_s - since_s > self._reader_timeout_s:
                    _log.warning("gave up on a reader client=%s", connection.client)
                    connection.abort()
            for connection in list(self.connections):
                connection.end_if_late(now_s)

    async def stop(self, timeout_s: float) -> None:
        """Let what is under way be answered, for at most `timeout_s`."""
        self._all_gone.clear()
        for connection in list(self.connections):
            connection.finish()
        await self._wait_until_all_have_gone(timeout_s)
        self.streams.close()
        for connection in list(self.connections):
            connection.leave()
        await self._wait_until_all_have_gone(_FLUSH_TIMEOUT_S)

    async def _wait_until_all_have_gone(self, timeout_s: float) -> None:
        if self.connections:
            await asyncio.wait([asyncio.ensure_future(self._all_gone.wait())], timeout=timeout_s)
