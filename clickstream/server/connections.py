"""uvicorn's server and connections, with limits and habits that it leaves to others."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Callable, Iterator
from typing import Final, cast

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_HEAD_TIMEOUT_S: Final = 10  # from the first byte of a request to the end of its headers
_READER_TIMEOUT_S: Final = 60  # a client that takes nothing of its answer for so long
_MAX_HEAD_BYTES: Final = 64 * 1024
_MAX_HEADERS: Final = 200
_MAX_NAME_BYTES: Final = 200
_MAX_FRAMING: Final = 6  # bytes around each byte of a body: chunks of one byte take five
_FRAMING_HEADERS: Final = (b"content-length", b"transfer-encoding")


class Server(uvicorn.Server):
    """uvicorn's, stopped by signals without dying of them, and with a limit on the time that a request's head takes."""

    def __init__(self, config: uvicorn.Config, on_stopping: Callable[[], None] | None) -> None:
        super().__init__(config)
        self._on_stopping = on_stopping
        self._is_stopped = asyncio.Event()

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
        self._is_stopped.set()
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # what is cut off now is no fault
        if self._on_stopping is not None:
            self._on_stopping()

    async def main_loop(self) -> None:
        """Return once stopped; uvicorn's own looks ten times a second, half of what an idle process costs."""
        stopped = asyncio.ensure_future(self._is_stopped.wait())
        while not await self.on_tick(0):  # each second: the Date of answers
            await asyncio.wait({stopped}, timeout=1)

    async def watch_clients(self) -> None:
        """Once a second, close connections whose client sends a head, or takes an answer, too slowly."""
        heads: dict[Connection, float] = {}
        readers: dict[Connection, tuple[int, float]] = {}
        while True:
            await asyncio.sleep(1)
            now = time.monotonic()
            connections = cast("set[Connection]", self.server_state.connections)
            heads = {one: heads.get(one, now) for one in connections if one.is_sending_head()}
            waiting = {one: size for one in connections if (size := one.transport.unsent_bytes()) > 0}
            readers = {
                one: known if (known := readers.get(one, (size, now)))[0] == size else (size, now)
                for one, size in waiting.items()
            }
            for connection, begun in heads.items():
                if now - begun > _HEAD_TIMEOUT_S:
                    connection.transport.close()
            for connection, (_, since) in readers.items():
                if now - since > _READER_TIMEOUT_S:
                    connection.transport.abort()


class Connection(HttpToolsProtocol):
    """uvicorn's, where a request can harm nobody but its sender, and answers leave in one piece.

    The size of heads is bounded, also behind a request that is still being answered. Trailers are dropped. An offer
    to change the protocol is ignored, as RFC 9110 allows. What is no HTTP ends the connection, after the answers
    that are due.
    """

    transport: _OneWrite  # type: ignore[assignment]
    _in_head = True
    _fed = 0  # bytes that the parser has been given last
    _head_bytes = 0
    _headers = 0
    _beside_bodies = 0  # bytes of chunk sizes and trailers in the request so far
    _body_bytes = 0
    _is_reread = False  # the parser reads a head for the second time, see _ignore_upgrade
    _broken = False  # nothing more is read

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to serve a client."""
        super().connection_made(transport)
        self.transport = _OneWrite(transport)

    def is_sending_head(self) -> bool:
        """True from a connection's start, or a request's first byte, until the request's headers are complete."""
        answers_all = self.cycle is None or self.cycle.response_complete
        return self._in_head and answers_all and self.timeout_keep_alive_task is None

    def data_received(self, data: bytes) -> None:
        """Take in what the client sent."""
        if self._broken:
            return
        self._unset_keepalive_if_required()
        self._fed = len(data)
        self._beside_bodies += self._fed
        try:
            self._feed(data)
        except httptools.HttpParserError:
            self.send_400_response("This is not an HTTP request that is served here.")
            return
        if self._in_head:
            self._head_bytes += self._fed
        if (
            self._head_bytes > _MAX_HEAD_BYTES
            or self._beside_bodies > _MAX_HEAD_BYTES + _MAX_FRAMING * self._body_bytes
        ):
            self.send_400_response(f"The head of the request is larger than {_MAX_HEAD_BYTES:,} bytes.")

    def _feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._ignore_upgrade()
            self._feed(data[upgrade.args[0] :])

    def _ignore_upgrade(self) -> None:
        """Go on behind the head with a parser that has not seen the offer: the old one would read no body."""
        framing = [(name, value) for name, value in self.headers if name in _FRAMING_HEADERS]
        head = b"".join([b"POST / HTTP/1.1\r\n", *[b"%b: %b\r\n" % pair for pair in framing], b"\r\n"])
        self.parser = httptools.HttpRequestParser(self)
        self._is_reread = True
        self.parser.feed_data(head)
        self._is_reread = False

    def eof_received(self) -> bool:  # type: ignore[override]
        """Answer a client that has said all and only listens now; otherwise close."""
        is_due = self.cycle is not None and not (self.cycle.response_complete or self.cycle.more_body)
        if is_due:
            self.cycle.keep_alive = False
        return is_due

    def send_400_response(self, msg: str) -> None:
        """Refuse what was sent and close, but only after the answer to a request that came before it."""
        if self._broken or self.transport.is_closing():
            return
        self._broken = True
        if self.cycle is None or self.cycle.response_complete:
            super().send_400_response(msg)
        elif self._in_head:
            self.cycle.keep_alive = False
        else:
            self.cycle.disconnected = True  # the request itself is broken
            self.cycle.message_event.set()
            super().send_400_response(msg)

    def on_message_begin(self) -> None:
        """A request begins."""
        if self._is_reread:
            return
        self._in_head, self._headers = True, 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Part of its address."""
        if not self._is_reread:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer behind the body: those change nothing any more."""
        if not self._in_head or self._is_reread:
            return
        self._headers += 1
        if self._headers > _MAX_HEADERS or len(name) > _MAX_NAME_BYTES:
            raise ValueError("headers that nobody sends")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is complete: its answer can be begun."""
        if self._is_reread:
            return
        self._in_head, self._head_bytes = False, 0
        self._beside_bodies = self._body_bytes = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Part of the body."""
        self._beside_bodies -= len(body)
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is complete, unless its head has an offer that is yet to be ignored."""
        if self.parser.should_upgrade():
            return
        self._in_head, self._head_bytes = True, -self._fed  # of the next request; these bytes are not its head
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Send what is left, for instance the head of an answer without a body."""
        self.transport.flush()
        super().on_response_complete()


class _OneWrite:
    """A transport on which the head of an answer waits for the body's first piece: uvicorn writes one after the other.

    Each write is a system call and a packet; together they are a tenth of what a small request costs.
    """

    __slots__ = ("_head", "_transport", "abort", "is_closing", "pause_reading", "resume_reading", "unsent_bytes")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head = b""
        self.abort = transport.abort
        self.unsent_bytes = transport.get_write_buffer_size
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
