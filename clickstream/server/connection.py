"""One client: its requests are answered one after the other."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
import time
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from clickstream.errors import RequestRefused
from clickstream.server.answer import CHUNKED, CLOSE, CONTINUE, LAST_CHUNK, Answer, chunk, plain, stopping
from clickstream.server.contract import DEFERRED, Deferred, WsgiApp
from clickstream.server.incoming import Incoming, NotServed
from clickstream.server.request import Request
from clickstream.server.service import Service
from clickstream.server.streams import close_chunks

_log: Final = logging.getLogger(__name__)

_HEAD_TIMEOUT_S: Final = 10  # from the first byte of a request, or a connection's start, to the end of its headers
_IDLE_TIMEOUT_S: Final = 75  # of a kept connection between two requests
_MUCH_BYTES: Final = 64 * 1024  # at once: behind them it is the turn of others
_MOST_AT_ONCE: Final = 32  # answers: the same, they can be asked for in few bytes
_RESET_AT_CLOSE: Final = struct.pack("ii", 1, 0)  # SO_LINGER


class Connection(asyncio.Protocol):
    """One client, which can harm nobody but itself.

    A request is answered when the one before has been, and the client has taken that answer. What is no HTTP ends the
    connection, after the answers that are due.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._incoming = Incoming(service.room)
        self._transport: asyncio.Transport = None  # type: ignore[assignment]  # until connection_made
        self.client = ""
        self._answering: Request | None = None
        self._in_line: Request | None = None  # that one, until its turn has come
        self._deferred: Deferred | None = None  # that its answer waits for
        self._is_chunked = False  # the stream that is its answer
        self._ends_by_close = False  # that stream: only the close says where
        self._taken: asyncio.Future[None] | None = None  # a stream waits for the client
        self._deadline_s = 0.0  # for what arrives, or for a request to begin
        self._is_full = False  # the client has yet to take what was sent
        self._is_held_back = False  # nothing is read for now
        self._goes_on_soon = False  # with the answers, in the next turn of the loop
        self._is_deaf = False  # what is still read means nothing
        self._is_ending = False  # closed once all that is complete has been answered

    # What the event loop says.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to serve a client."""
        self._transport = transport
        peer = transport.get_extra_info("peername")
        self.client = peer[0] if isinstance(peer, tuple) else ""
        self._deadline_s = time.monotonic() + _HEAD_TIMEOUT_S
        self._service.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone, or has been left."""
        self._is_deaf = True
        self._incoming.close()
        self._wake_stream()
        self._service.left(self)

    def data_received(self, data: bytes) -> None:
        """Take in what the client sent, and answer what is complete."""
        if self._is_deaf:
            return
        incoming = self._incoming
        try:
            incoming.feed(data)
        except NotServed as problem:
            self._refuse(str(problem))
        else:
            if incoming.arriving is not None:
                self._watch_arriving(incoming.arriving)
        self._go_on()
        if len(data) > _MUCH_BYTES and not self._is_deaf and not self._is_held_back:
            self._let_others_go_first()

    def eof_received(self) -> bool:
        """Answer a client that has said all and only listens now; otherwise close."""
        self._is_deaf = True
        self._close_when_answered()
        return not self._transport.is_closing()

    def pause_writing(self) -> None:
        """Answer nothing more for now."""
        self._is_full = True

    def resume_writing(self) -> None:
        """The client has taken what was sent."""
        self._is_full = False
        self._wake_stream()
        self._go_on()

    # Limits of what arrives.

    def _watch_arriving(self, request: Request) -> None:
        in_body = self._incoming.in_body
        if self._incoming.is_new:
            self._incoming.is_new = False
            self._deadline_s = time.monotonic() + (self._service.body_timeout_s if in_body else _HEAD_TIMEOUT_S)
        if in_body and request.is_continue_due and self._answering is None and not self._incoming.complete:
            request.is_continue_due = False
            self._write(CONTINUE)
        if request.is_endless():
            self._give_up_body()

    def end_if_late(self, now_s: float) -> None:
        """Refuse a body, and close for a head or a next request, that does not come."""
        if self._answering is not None or now_s <= self._deadline_s:
            return
        arriving = self._incoming.arriving
        if arriving is not None and self._incoming.in_body:
            limit = f"{self._service.body_timeout_s:g} s (BODY_TIMEOUT_S)"
            arriving.refuse(RequestRefused("timeout", f"the request body did not arrive within {limit}"))
            self._give_up_body()
            self._go_on()
        else:
            self._transport.close()

    def _give_up_body(self) -> None:
        self._is_deaf = True
        self._incoming.give_up_body()

    def _refuse(self, why: str) -> None:
        self._is_deaf = True
        if self._answering is None and not self._incoming.complete:
            self._write(plain(HTTPStatus.BAD_REQUEST, why, self._service.date))
        self._close_when_answered()

    # Answers.

    def _go_on(self) -> None:
        """Answer what is complete, as fast as the client takes the answers."""
        complete = self._incoming.complete
        answers = 0
        while complete and self._answering is None and not self._is_full and not self._transport.is_closing():
            if answers == _MOST_AT_ONCE:
                self._go_on_soon()
                break
            answers += 1
            request = complete.popleft()
            if request.is_large():
                self._answering = self._in_line = request
                self._service.turns.call(partial(self._answer_in_turn, request), request.size)
            else:
                self._answer(request)
        if bool(complete) is not self._is_held_back:
            self._hold_back(bool(complete))

    def _go_on_soon(self) -> None:
        """Answer what is complete when others have had their turn."""
        if not self._goes_on_soon:
            self._goes_on_soon = True
            self._service.loop.call_soon(self._go_on_now)

    def _go_on_now(self) -> None:
        self._goes_on_soon = False
        self._go_on()

    def _hold_back(self, hold: bool) -> None:
        """Read nothing while requests wait."""
        if not self._transport.is_closing():
            self._is_held_back = hold
            if hold:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    def _let_others_go_first(self) -> None:
        """Read on in the next turn of the loop, which would read the same client 32 times in this one."""
        if not self._transport.is_closing():
            self._transport.pause_reading()
            self._service.loop.call_soon(self._read_on)

    def _read_on(self) -> None:
        if not self._is_held_back and not self._transport.is_closing():
            self._transport.resume_reading()

    def _answer_in_turn(self, request: Request) -> None:
        if self._in_line is request:  # else it has been told that the server stops
            self._in_line = None
            self._answer(request)
            self._go_on()

    def _answer(self, request: Request) -> None:
        self._answering = request
        answer = Answer()
        environ = request.environ(self._service.environ, self.client)
        try:
            answer.chunks = self._service.app(environ, answer.start)
            self._deferred = environ.get(DEFERRED)
            if self._deferred is None:
                self._send(request, answer)
            else:
                self._deferred.then(partial(self._resolved, request, answer, environ))
        except Exception:  # noqa: BLE001 - the outermost loop of the application
            self._fail()

    def _resolved(self, request: Request, answer: Answer, environ: dict[str, Any], instead: WsgiApp | None) -> None:
        self._deferred = None
        try:
            if instead is not None:
                answer = Answer(answer.began_s)
                answer.chunks = instead(environ, answer.start)
            self._send(request, answer)
        except Exception:  # noqa: BLE001 - the outermost loop of the application
            self._fail()
        if self._incoming.complete:
            self._go_on_soon()  # not here: whoever resolves has others to tell

    def _send(self, request: Request, answer: Answer) -> None:
        if self._service.on_answer is not None:
            self._service.on_answer(request.method, answer.status, time.perf_counter() - answer.began_s)
        has_body = answer.may_have_body(request.method)
        is_stream = has_body and not answer.has_length
        self._is_chunked = is_stream and request.is_http_1_1
        if not request.keep_alive or request.refused is not None:
            self._incoming.drop_complete()
            self._is_deaf = self._is_ending = True
        is_last = self._is_ending and not self._incoming.complete
        head = answer.head(self._service.date, CHUNKED if self._is_chunked else b"", CLOSE if is_last else b"")
        if is_stream:
            self._ends_by_close = not self._is_chunked
            self._write(head)
            self._service.streams.begin(answer.chunks, self)
        else:
            self._write(head + b"".join(answer.chunks) if has_body else head)
            close_chunks(answer.chunks)
            self._answered()

    def _answered(self) -> None:
        self._answering = None
        self._deadline_s = self._service.now_s + _IDLE_TIMEOUT_S
        arriving = self._incoming.arriving
        if arriving is not None:
            self._incoming.is_new = True  # its time begins now
            self._watch_arriving(arriving)
        if self._is_ending and not self._incoming.complete:
            self._transport.close()

    def _fail(self) -> None:
        _log.exception("an answer failed")
        self._incoming.drop_complete()
        self._is_deaf = self._is_ending = True
        self._write(plain(HTTPStatus.INTERNAL_SERVER_ERROR, "Internal Server Error", self._service.date))
        self._answered()

    def _write(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)

    # A stream is sent by streams.py.

    async def takes_more(self) -> bool:
        """Wait until the client has taken what was sent; False when it has gone."""
        if self._is_full and not self._transport.is_closing():  # who has gone wakes nobody any more
            self._taken = self._service.loop.create_future()
            await self._taken
        return not self._transport.is_closing()

    def send_piece(self, piece: bytes) -> None:
        """Send part of a stream."""
        self._write(chunk(piece) if self._is_chunked else piece)

    def end_stream(self, *, complete: bool) -> None:
        """A stream has ended."""
        if not complete:
            self._break_off()
        elif self._is_chunked:
            self._write(LAST_CHUNK)
        else:
            self._transport.close()
        self._ends_by_close = False
        self._answered()
        self._go_on()

    def _break_off(self) -> None:
        """Close; a body that would end where the connection does must not look whole."""
        if self._ends_by_close and not self._transport.is_closing():
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
            self._transport.abort()
        else:
            self._transport.close()

    def _wake_stream(self) -> None:
        if self._taken is not None and not self._taken.done():
            self._taken.set_result(None)

    # The end.

    def unsent_bytes(self) -> int:
        """How much the client has yet to take."""
        return self._transport.get_write_buffer_size()

    def abort(self) -> None:
        """Leave a client that takes nothing."""
        self._break_off()
        self._transport.abort()

    def finish(self) -> None:
        """Close now, or after the request whose body arrives or which is being answered."""
        self._is_ending = True
        if self._incoming.arriving is None or not self._incoming.in_body:
            self._close_when_answered()

    def _close_when_answered(self) -> None:
        self._is_ending = True
        if self._answering is None and not self._incoming.complete:
            self._transport.close()

    def leave(self) -> None:
        """Close now, and tell a client that waits that nothing comes any more."""
        self._is_ending = True
        self._incoming.drop_complete()
        if self._deferred is not None:
            self._deferred.resolve(stopping)
        elif self._in_line is not None:
            request, self._in_line = self._in_line, None
            request.release()
            answer = Answer()
            answer.chunks = stopping({}, answer.start)
            self._send(request, answer)
        else:
            self._break_off()
