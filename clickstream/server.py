"""Any WSGI application on uvicorn: one process, one asyncio loop thread.

A view is called on the loop thread, so it owns all Python state without locks, and it must be quick. It can

- leave a `Deferred` in `environ[DEFERRED]`: the answer is sent when that resolves. Thousands of requests can so
  wait for one disk sync without a thread each.
- return its body as a generator: it is produced on a worker thread, and sent as fast as the client reads.

The body is there before the view is called, in `environ[BODY]` besides WSGI's stream. One that is too large, too slow
or for which there is no room at the moment is thrown away; the view is called all the same and finds the RequestRefused
or Unavailable in `environ[BODY_REFUSED]`, because what stops a client from trying for ever differs from route to route.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import signal
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote_to_bytes

import uvicorn
import uvloop
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from clickstream.errors import PortTaken, RequestRefused, Unavailable

_log: Final = logging.getLogger(__name__)

DEFERRED: Final = "clickstream.deferred"
BODY: Final = "clickstream.body"
BODY_REFUSED: Final = "clickstream.body_refused"

_STREAM_THREADS: Final = 8
_HEAD_TIMEOUT_S: Final = 10  # from the first byte of a request to the end of its headers
_MAX_HEAD_BYTES: Final = 64 * 1024
_IDLE_TIMEOUT_S: Final = 75  # of a kept connection between two requests
_STOP_TIMEOUT_S: Final = 4
_PIECE_BYTES: Final = 256 * 1024
_READER_TIMEOUT_S: Final = 60  # a reader that takes nothing for so long is given up
_MOST_BODY_BYTES: Final = 64 * 1024 * 1024  # of all bodies that are being read; beyond, senders are asked to wait
_DISCARDED_BODIES: Final = 10  # times MAX_BODY_BYTES that are read and thrown away before the connection is cut
_EVERY_ANSWER: Final = (b"x-content-type-options", b"nosniff")

Headers = list[tuple[str, str]]
WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
Message = dict[str, Any]  # of ASGI
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Deferred:
    """An answer that is not known yet; whoever makes it resolves it once, on the loop thread."""

    __slots__ = ("_future", "_instead", "_resolved")

    def __init__(self) -> None:
        self._resolved = False
        self._instead: WsgiApp | None = None
        self._future: asyncio.Future[None] | None = None

    def resolve(self, instead: WsgiApp | None = None) -> None:
        """Send the prepared answer, or `instead` of it another response; later calls change nothing."""
        if not self._resolved:
            self._resolved, self._instead = True, instead
            if self._future is not None and not self._future.done():
                self._future.set_result(None)

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

    async def wait(self, loop: asyncio.AbstractEventLoop) -> WsgiApp | None:
        """What to send instead of the prepared answer, if anything."""
        if not self._resolved:
            self._future = loop.create_future()
            await self._future
        return self._instead


def serve(
    app: WsgiApp,
    *,
    host: str,
    port: int,
    port_setting: str,
    max_body_bytes: int,
    body_timeout_s: float = 10,
    on_start: Callable[[asyncio.AbstractEventLoop], None] | None = None,
    on_stop: Callable[[], None] | None = None,
) -> None:
    """Serve `app` until SIGINT or SIGTERM; requests under way are answered first.

    `on_start` runs on the loop before the first request; `on_stop` runs on a thread after the last one, while
    the loop still turns. Bodies larger than `max_body_bytes`, or slower than `body_timeout_s`, are BODY_REFUSED.
    Raises PortTaken when `host`:`port` cannot be listened on.
    """
    listener = _listen(host, port, port_setting)

    def adapter(loop: asyncio.AbstractEventLoop) -> _Adapter:
        return _Adapter(app, loop, host=host, port=port, max_body_bytes=max_body_bytes, body_timeout_s=body_timeout_s)

    uvloop.run(_serve(adapter, listener, on_start, on_stop))


async def _serve(
    make_adapter: Callable[[asyncio.AbstractEventLoop], _Adapter],
    listener: socket.socket,
    on_start: Callable[[asyncio.AbstractEventLoop], None] | None,
    on_stop: Callable[[], None] | None,
) -> None:
    loop = asyncio.get_running_loop()
    adapter = make_adapter(loop)
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # below that are greetings and what strangers do wrong
    config = uvicorn.Config(
        adapter,
        http=_Connection,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=1024,
        timeout_keep_alive=_IDLE_TIMEOUT_S,
        timeout_graceful_shutdown=_STOP_TIMEOUT_S,
    )
    server = _Server(config)
    if on_start is not None:
        on_start(loop)
    watches = [loop.create_task(adapter.watch_slow_clients()), loop.create_task(server.watch_slow_heads())]
    try:
        await server.serve(sockets=[listener])
    finally:
        for watch in watches:
            watch.cancel()
        await loop.run_in_executor(None, adapter.close)
        if on_stop is not None:
            await loop.run_in_executor(None, on_stop)


def _listen(host: str, port: int, setting: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as problem:
        listener.close()
        reason = f'{setting}="{port}": {host}:{port} cannot be listened on: {problem.strerror}'
        raise PortTaken(f"{reason}; stop what listens there, or choose another {setting}") from None
    return listener


class _Server(uvicorn.Server):
    """uvicorn's, stopped by signals without dying of them, and with a limit on the time that a request's head takes."""

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

    async def watch_slow_heads(self) -> None:
        """Once a second, close connections that have been sending the head of a request for too long."""
        since: dict[_Connection, float] = {}
        while True:
            await asyncio.sleep(1)
            now = time.monotonic()
            connections = [one for one in self.server_state.connections if isinstance(one, _Connection)]
            since = {one: since.get(one, now) for one in connections if one.is_sending_head()}
            for connection, begun in since.items():
                if now - begun > _HEAD_TIMEOUT_S:
                    connection.transport.close()


class _Connection(HttpToolsProtocol):
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


class _Adapter:
    """ASGI on one side, WSGI on the other."""

    def __init__(
        self,
        app: WsgiApp,
        loop: asyncio.AbstractEventLoop,
        *,
        host: str,
        port: int,
        max_body_bytes: int,
        body_timeout_s: float,
    ) -> None:
        self._app = app
        self._loop = loop  # asking for the running one is a system call each time before Python 3.12
        self._max_body_bytes = max_body_bytes
        self._body_timeout_s = body_timeout_s
        self._threads = ThreadPoolExecutor(_STREAM_THREADS, thread_name_prefix="stream")
        self._stopping = threading.Event()
        self._body_bytes = 0  # of bodies that are being read
        self._awaited: dict[asyncio.Task[None], float] = {}  # requests that wait for their client, and until when
        self._fixed_environ: dict[str, Any] = {
            "SCRIPT_NAME": "",
            "SERVER_NAME": host,
            "SERVER_PORT": str(port),
            "wsgi.version": (1, 0),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": False,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            "wsgi.input_terminated": True,
        }

    async def watch_slow_clients(self) -> None:
        """Once a second, give up on bodies and readers that take too long; a timer for each would cost more."""
        while True:
            await asyncio.sleep(1)
            now = time.monotonic()
            for task in [task for task, deadline in self._awaited.items() if deadline < now]:
                task.cancel()

    def close(self) -> None:
        """End the streams under way; their clients see a broken transfer."""
        self._stopping.set()
        self._threads.shutdown(wait=True, cancel_futures=True)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        refused: RequestRefused | Unavailable | None = None
        try:
            body = b"" if scope["method"] in _WITHOUT_BODY else await self._read_body(receive)
        except (RequestRefused, Unavailable) as problem:
            body, refused = b"", problem
        environ = self._environ(scope, body)
        answer = _Answer()
        if refused is not None:
            environ[BODY_REFUSED] = refused
        chunks = self._app(environ, answer.start)
        deferred: Deferred | None = environ.get(DEFERRED)
        if deferred is not None and (instead := await deferred.wait(self._loop)) is not None:
            answer = _Answer()
            chunks = instead(environ, answer.start)
        if refused is not None:
            answer.headers.append((b"connection", b"close"))  # the rest of the body is still on its way
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        if isinstance(chunks, (list, tuple)) or answer.has_length():
            await send({"type": "http.response.body", "body": b"".join(_closing(chunks))})
        elif scope["method"] == "HEAD":
            _close(chunks)
            await send({"type": "http.response.body"})
        else:
            await self._stream(scope, receive, send, chunks)

    async def _read_body(self, receive: Receive) -> bytes:
        task = asyncio.current_task(self._loop)
        assert task is not None
        self._awaited[task] = time.monotonic() + self._body_timeout_s
        try:
            message = await receive()
            body: bytes = message.get("body", b"")
            if message.get("more_body"):
                return await self._read_further(body, receive)
        except asyncio.CancelledError:
            late = f"the request body did not arrive within {self._body_timeout_s:g} s (BODY_TIMEOUT_S)"
            raise RequestRefused("timeout", late) from None
        finally:
            del self._awaited[task]
        if message["type"] == "http.disconnect":
            raise RequestRefused("malformed_json", "the request body ended too early")
        if len(body) > self._max_body_bytes:
            raise self._too_large()
        return body

    async def _read_further(self, first: bytes, receive: Receive) -> bytes:
        body = bytearray(first)
        size = len(first)
        counted = 0  # of this body in the sum of all
        crowded = False
        more = True
        try:
            while more and size <= _DISCARDED_BODIES * self._max_body_bytes:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise RequestRefused("malformed_json", "the request body ended too early")
                part: bytes = message.get("body", b"")
                more = message.get("more_body", False)
                size += len(part)
                crowded = crowded or self._body_bytes > _MOST_BODY_BYTES
                if crowded or size > self._max_body_bytes:
                    body.clear()  # read on: who is cut off while sending never sees the answer that says why
                else:
                    body += part
                self._body_bytes += len(body) - counted
                counted = len(body)
        finally:
            self._body_bytes -= counted
        if size > self._max_body_bytes:
            raise self._too_large()
        if crowded:
            raise Unavailable("many large bodies are arriving at once; send this one again in a second")
        return bytes(body)

    def _too_large(self) -> RequestRefused:
        message = f"the body is larger than {self._max_body_bytes:,} bytes (MAX_BODY_BYTES); send smaller batches"
        return RequestRefused("body_too_large", message)

    def _environ(self, scope: Message, body: bytes) -> dict[str, Any]:
        environ = self._fixed_environ.copy()
        environ["REQUEST_METHOD"] = scope["method"]
        environ["PATH_INFO"] = _path_info(scope["raw_path"])
        environ["QUERY_STRING"] = scope["query_string"].decode("latin-1")
        environ["SERVER_PROTOCOL"] = "HTTP/" + scope["http_version"]
        environ["REMOTE_ADDR"] = scope["client"][0] if scope["client"] else ""
        environ["wsgi.url_scheme"] = scope["scheme"]
        environ["wsgi.input"] = io.BytesIO(body)
        environ[BODY] = body
        for name, value in scope["headers"]:
            key = _environ_key(name)
            text = value.decode("latin-1")
            environ[key] = f"{environ[key]},{text}" if key in environ else text
        environ["CONTENT_TYPE"] = environ.pop("HTTP_CONTENT_TYPE", "")
        environ.pop("HTTP_CONTENT_LENGTH", None)
        environ["CONTENT_LENGTH"] = str(len(body))
        return environ

    async def _stream(self, scope: Message, receive: Receive, send: Send, chunks: Iterable[bytes]) -> None:
        loop = self._loop
        iterator = iter(chunks)
        gone = loop.create_task(_disconnected(receive))
        try:
            while not (self._stopping.is_set() or gone.done()):
                chunk = await loop.run_in_executor(self._threads, next, iterator, None)
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
            await loop.run_in_executor(self._threads, _close, chunks)

    async def _send_in_time(self, message: Message, send: Send) -> None:
        """Send `message`, once the reader has taken what is on its way; raises _ReaderGivenUp."""
        task = asyncio.current_task(self._loop)
        assert task is not None
        self._awaited[task] = time.monotonic() + _READER_TIMEOUT_S
        try:
            await send(message)
        except asyncio.CancelledError:
            raise _ReaderGivenUp from None
        finally:
            del self._awaited[task]


class _ReaderGivenUp(Exception):
    """The client takes nothing any more."""


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class _Answer:
    """Status and headers as the application gives them, in ASGI's form."""

    __slots__ = ("headers", "status")

    def __init__(self) -> None:
        self.status = 500
        self.headers: list[tuple[bytes, bytes]] = []

    def start(self, status: str, headers: Headers, exc_info: object = None) -> Callable[[bytes], object]:
        self.status = int(status[:3])
        self.headers = [_EVERY_ANSWER, *[(_header_name(name), value.encode("latin-1")) for name, value in headers]]
        return _no_write

    def has_length(self) -> bool:
        return any(name == b"content-length" for name, _ in self.headers)


_WITHOUT_BODY: Final = frozenset({"GET", "HEAD", "OPTIONS"})


@lru_cache(maxsize=1024)
def _path_info(raw_path: bytes) -> str:
    return unquote_to_bytes(raw_path).decode("latin-1")


@lru_cache(maxsize=1024)
def _environ_key(header: bytes) -> str:
    return "HTTP_" + header.decode("latin-1").upper().replace("-", "_")


@lru_cache(maxsize=1024)
def _header_name(name: str) -> bytes:
    return name.lower().encode("latin-1")


def _closing(chunks: Iterable[bytes]) -> Iterator[bytes]:
    try:
        yield from chunks
    finally:
        _close(chunks)


def _close(chunks: Iterable[bytes]) -> None:
    if hasattr(chunks, "close"):
        chunks.close()


def _no_write(_: bytes) -> None:
    raise NotImplementedError("this server takes the body as the returned iterable only")
