"""Answers that are too large to be held: made on worker threads, sent as fast as their reader takes them."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol

_log: Final = logging.getLogger(__name__)

_THREADS: Final = 2  # Python runs one at a time anyway, and each leaves some megabytes of freed memory behind
_PIECE_BYTES: Final = 256 * 1024


class Reader(Protocol):
    """Whoever a stream is sent to."""

    async def takes_more(self) -> bool:
        """Wait until what was sent has been taken; False when the reader has gone."""
        ...

    def send_piece(self, piece: bytes) -> None:
        """Send part of the body."""
        ...

    def end_stream(self, *, complete: bool) -> None:
        """The body has ended; one that is not complete must look broken."""
        ...


class Streams:
    """Sends bodies that are given as generators."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="stream")
        self._stopping = threading.Event()
        self._tasks: set[asyncio.Task[None]] = set()  # the loop itself keeps weak references only

    def begin(self, chunks: Iterable[bytes], reader: Reader) -> None:
        """Send all of `chunks`, or those until the reader goes or the server stops."""
        task = self._loop.create_task(self._send(chunks, reader))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(self, chunks: Iterable[bytes], reader: Reader) -> None:
        complete = False
        try:
            complete = await self._send_all(chunks, reader)
        except Exception:  # noqa: BLE001 - the outermost loop of what makes a body; its head has been sent
            _log.exception("a body broke off")
        finally:
            reader.end_stream(complete=complete)
            if not self._stopping.is_set():
                await self._loop.run_in_executor(self._threads, close_chunks, chunks)

    async def _send_all(self, chunks: Iterable[bytes], reader: Reader) -> bool:
        iterator = iter(chunks)
        while not self._stopping.is_set():
            chunk = await self._loop.run_in_executor(self._threads, next, iterator, None)
            if chunk is None:
                return True
            for start in range(0, len(chunk), _PIECE_BYTES):
                if not await reader.takes_more():
                    return False
                reader.send_piece(chunk[start : start + _PIECE_BYTES])
        return False

    def close(self) -> None:
        """End the streams under way; their clients see a broken transfer."""
        self._stopping.set()
        self._threads.shutdown(wait=False, cancel_futures=True)


def close_chunks(chunks: Iterable[bytes]) -> None:
    """Let what makes `chunks` clean up."""
    if hasattr(chunks, "close"):
        chunks.close()
