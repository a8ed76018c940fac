"""uvicorn's server and connections, with limits and habits that it leaves to others."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from typing import Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_HEAD_TIMEOUT_S: Final = 10  # from the first byte of a request to the end of its headers
_MAX_HEAD_BYTES: Final = 64 * 1024


class Server(uvicorn.Server):
    """uvicorn's, stopped by signals without dying of them, and with a limit on the time that a request's head takes."""

    def __init__(self, config: uvicorn.Config, on_stopping: Callable[[], None] | None) -> None:
        super().__init__(config)
        self._on_stopping = on_stopping

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGINT and SIGTERM; uvicorn itself would raise them again once it has stopped."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.stop)
        yield

    def stop(self) -> None:
        """Answer what is under way, then return from `serve`."""
        self.should_exit = True
        if self._on_stopping is not None:
            self._on_stopping()

    async def watch_slow_heads(self) -> None:
        """Once a second, close connections that have been sending the head of a request for too long."""
        since: dict[Connection, float] = {}
        while True:
            await asyncio.sleep(1)
            now = time.monotonic()
            connections = [one for one in self.server_state.connections if isinstance(one, Connection)]
            since = {one: since.get(one, now) for one in connections if one.is_sending_head()}
            for connection, begun in since.items():
                if now - begun > _HEAD_TIMEOUT_S:
                    connection.transport.close()


class Connection(HttpToolsProtocol):
    """uvicorn's, with a limit on the size of a request's head, and answers that leave in one piece."""

    _head_bytes = 0
    transport: _OneWrite  # type: ignore[assignment]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to serve a client."""
        super().connection_made(transport)
        self.transport = _OneWrite(transport)

    def on_response_complete(self) -> None:
        """Send what is left, for instance the head of an answer without a body."""
        self.transport.flush()
        super().on_response_complete()

    def is_sending_head(self) -> bool:
        """True from a connection's start, or a request's first byte, until the request's headers are complete."""
        return self._awaits_head() and self.timeout_keep_alive_task is None

    def data_received(self, data: bytes) -> None:
        """Take in what the client sent."""
        super().data_received(data)
        if not self._awaits_head():
            self._head_bytes = 0
            return
        self._head_bytes += len(data)
        if self._head_bytes > _MAX_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response(f"The head of the request is larger than {_MAX_HEAD_BYTES:,} bytes.")

    def _awaits_head(self) -> bool:
        return self.cycle is None or self.cycle.response_complete


class _OneWrite:
    """A transport on which the head of an answer waits for the body's first piece: uvicorn writes one after the other.

    Each write is a system call and a packet; together they are a tenth of what a small request costs.
    """

    __slots__ = ("_head", "_transport", "is_closing", "pause_reading", "resume_reading")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head = b""
        self.is_closing = transport.is_closing
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading

    def write(self, data: bytes) -> None:
        """Send `data`, at once or with the next piece."""
        if self._head:
            self._transport.write(self._head + data)
            self._head = b""
        elif data.startswith(b"HTTP/1.1 ") and not data.startswith(b"HTTP/1.1 1"):  # an interim answer has no body
            self._head = data
        else:
            self._transport.write(data)

    def flush(self) -> None:
        """Send what waits."""
        if self._head:
            self._transport.write(self._head)
            self._head = b""

    def close(self) -> None:
        """Send what waits, then close."""
        self.flush()
        self._transport.close()
