"""Answers that are too large to be held: made on worker threads, sent as fast as their reader takes them."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from clickstream.server.asgi import Message, Receive, Send
from clickstream.server.patience import Patience

_log: Final = logging.getLogger(__name__)

_THREADS: Final = 2  # Python runs one at a time anyway, and each leaves some megabytes of freed memory behind
_PIECE_BYTES: Final = 256 * 1024
_READER_TIMEOUT_S: Final = 60  # a reader that takes nothing for so long is given up


class Streams:
    """Sends bodies that are given as generators."""

    def __init__(self, loop: asyncio.AbstractEventLoop, patience: Patience) -> None:
        self._loop = loop
        self._patience = patience
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="stream")
        self._stopping = threading.Event()

    async def send(self, chunks: Iterable[bytes], scope: Message, receive: Receive, send: Send) -> None:
        """All of `chunks`, or those until the client goes, stops reading, or the server stops."""
        iterator = iter(chunks)
        gone = self._loop.create_task(_disconnected(receive))
        try:
            while not (self._stopping.is_set() or gone.done()):
                chunk = await self._loop.run_in_executor(self._threads, next, iterator, None)
                if chunk is None:
                    await self._send_in_time({"type": "http.response.body"}, send)
                    return
                for start in range(0, len(chunk), _PIECE_BYTES):
                    piece = chunk[start : start + _PIECE_BYTES]
                    await self._send_in_time({"type": "http.response.body", "body": piece, "more_body": True}, send)
        except _ReaderGivenUp:
            _log.warning("gave up on a reader client=%s timeout_s=%d", scope["client"], _READER_TIMEOUT_S)
        finally:
            gone.cancel()
            if not self._stopping.is_set():
                await self._loop.run_in_executor(self._threads, close_chunks, chunks)

    def close(self) -> None:
        """End the streams under way; their clients see a broken transfer."""
        self._stopping.set()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _send_in_time(self, message: Message, send: Send) -> None:
        """Send `message`, once the reader has taken what is on its way; raises _ReaderGivenUp."""
        waiting = self._patience.begin(_READER_TIMEOUT_S)
        try:
            await send(message)
        except asyncio.CancelledError:
            raise _ReaderGivenUp from None
        finally:
            self._patience.end(waiting)


class _ReaderGivenUp(Exception):
    """The client takes nothing any more."""


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def close_chunks(chunks: Iterable[bytes]) -> None:
    """Let what makes `chunks` clean up."""
    if hasattr(chunks, "close"):
        chunks.close()
