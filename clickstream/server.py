"""Any WSGI application on granian: one process, one asyncio loop thread.

A view is called on the loop thread, so it owns all Python state without locks, and it must be quick. It can

- leave a `Deferred` in `environ[DEFERRED]`: the answer is sent when that resolves. Thousands of requests can so
  wait for one disk sync without a thread each.
- return its body as a generator: it is produced on a worker thread, and sent as fast as the client reads.

A body that is too large or too slow is not read; the view is called with an empty one and finds the RequestRefused in
`environ[BODY_REFUSED]`, because what stops a client from trying for ever differs from route to route.
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
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_to_bytes

from granian.constants import Interfaces, TaskImpl
from granian.http import HTTP1Settings
from granian.rsgi import ProtocolClosed, ProtocolError  # type: ignore[attr-defined]
from granian.server.embed import Server

from clickstream.errors import PortTaken, RequestRefused
from clickstream.unsent import Unsent

if TYPE_CHECKING:
    from granian.rsgi import HTTPProtocol, Scope  # type: ignore[attr-defined]

_log: Final = logging.getLogger(__name__)

DEFERRED: Final = "clickstream.deferred"
BODY_REFUSED: Final = "clickstream.body_refused"

_STREAM_THREADS: Final = 8
_HEADER_TIMEOUT_MS: Final = 10_000
_STOP_TIMEOUT_S: Final = 4
_PIECE_BYTES: Final = 256 * 1024
_MOST_UNSENT_BYTES: Final = 1024 * 1024  # of one streamed answer; then the reader is waited for
_READER_TIMEOUT_S: Final = 60  # a reader that takes nothing for so long is given up
_DISCARDED_BODIES: Final = 10  # times MAX_BODY_BYTES that are read and thrown away before the connection is cut
_EVERY_ANSWER: Final = (("x-content-type-options", "nosniff"),)

Headers = list[tuple[str, str]]
WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Deferred:
    """An answer that is not known yet; whoever makes it resolves it once, on the loop thread."""

    __slots__ = ("_future",)

    def __init__(self) -> None:
        self._future: asyncio.Future[WsgiApp | None] = asyncio.get_running_loop().create_future()

    def resolve(self, instead: WsgiApp | None = None) -> None:
        """Send the prepared answer, or `instead` of it another response; later calls change nothing."""
        if not self._future.done():
            self._future.set_result(instead)

    @classmethod
    def from_thread(cls, work: Callable[[], WsgiApp], failed: Callable[[BaseException], WsgiApp]) -> Deferred:
        """The answer that `work` makes on a worker thread, or what `failed` makes of its exception."""
        deferred = cls()

        def done(future: asyncio.Future[WsgiApp]) -> None:
            problem = future.exception()
            deferred.resolve(future.result() if problem is None else failed(problem))

        asyncio.get_running_loop().run_in_executor(None, work).add_done_callback(done)
        return deferred

    async def wait(self) -> WsgiApp | None:
        """What to send instead of the prepared answer, if anything."""
        return await self._future


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
    """
    _require_free(host, port, port_setting)
    adapter = _Adapter(app, host=host, port=port, max_body_bytes=max_body_bytes, body_timeout_s=body_timeout_s)
    asyncio.run(_serve(adapter, host, port, on_start, on_stop))


async def _serve(
    adapter: _Adapter,
    host: str,
    port: int,
    on_start: Callable[[asyncio.AbstractEventLoop], None] | None,
    on_stop: Callable[[], None] | None,
) -> None:
    loop = asyncio.get_running_loop()
    server = Server(
        adapter,
        address=host,
        port=port,
        interface=Interfaces.RSGI,
        task_impl=TaskImpl.asyncio,
        websockets=False,
        log_enabled=False,
        backlog=1024,
        http1_settings=HTTP1Settings(header_read_timeout=_HEADER_TIMEOUT_MS),
    )
    server.workers_kill_timeout = _STOP_TIMEOUT_S
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, server.stop)
    if on_start is not None:
        on_start(loop)
    watch = loop.create_task(adapter.watch_slow_clients())
    try:
        await server.serve()
    finally:
        watch.cancel()
        await loop.run_in_executor(None, adapter.close)
        if on_stop is not None:
            await loop.run_in_executor(None, on_stop)


def _require_free(host: str, port: int, setting: str) -> None:
    """Raise PortTaken now: granian would end the process with a stack trace instead."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as problem:
            reason = f'{setting}="{port}": {host}:{port} cannot be listened on: {problem.strerror}'
            raise PortTaken(f"{reason}; stop what listens there, or choose another {setting}") from None


class _Adapter:
    """RSGI on one side, WSGI on the other."""

    def __init__(self, app: WsgiApp, *, host: str, port: int, max_body_bytes: int, body_timeout_s: float) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes
        self._body_timeout_s = body_timeout_s
        self._threads = ThreadPoolExecutor(_STREAM_THREADS, thread_name_prefix="stream")
        self._stopping = threading.Event()
        self._reading: dict[asyncio.Task[None], float] = {}  # requests whose body is awaited, and until when
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
        """Once a second, give up on bodies that take too long; a timer for each request would cost more."""
        while True:
            await asyncio.sleep(1)
            now = time.monotonic()
            for task in [task for task, deadline in self._reading.items() if deadline < now]:
                task.cancel()

    def close(self) -> None:
        """End the streams under way; their clients see a broken transfer."""
        self._stopping.set()
        self._threads.shutdown(wait=True, cancel_futures=True)

    async def __rsgi__(self, scope: Scope, proto: HTTPProtocol) -> None:
        refused: RequestRefused | None = None
        try:
            body = await self._read_body(scope, proto)
        except RequestRefused as problem:
            body, refused = b"", problem
        environ = self._environ(scope, body)
        answer = _Answer()
        if refused is not None:
            environ[BODY_REFUSED] = refused
        chunks = self._app(environ, answer.start)
        deferred: Deferred | None = environ.get(DEFERRED)
        if deferred is not None and (instead := await deferred.wait()) is not None:
            answer = _Answer()
            chunks = instead(environ, answer.start)
        if refused is not None:
            answer.headers.append(("connection", "close"))  # the rest of the body is still on its way
        with contextlib.suppress(ProtocolClosed, ProtocolError):  # the client has gone: nobody to answer
            if isinstance(chunks, (list, tuple)) or answer.length() is not None or scope.method == "HEAD":
                proto.response_bytes(answer.status, answer.headers, b"".join(_closing(chunks)))
            else:
                await self._stream(proto, scope.client, answer, chunks)

    async def _read_body(self, scope: Scope, proto: HTTPProtocol) -> bytes:
        if scope.method in ("GET", "HEAD", "OPTIONS"):
            return b""
        declared = scope.headers.get("content-length")
        fits = declared is not None and declared.isdigit() and int(declared) <= self._max_body_bytes
        task = asyncio.current_task()
        assert task is not None
        self._reading[task] = time.monotonic() + self._body_timeout_s
        try:
            return await proto() if fits else await self._read_chunks(proto)
        except asyncio.CancelledError:
            message = f"the request body did not arrive within {self._body_timeout_s:g} s (BODY_TIMEOUT_S)"
            raise RequestRefused("timeout", message) from None
        except ProtocolError:
            raise RequestRefused("malformed_json", "the request body ended too early") from None
        finally:
            del self._reading[task]

    async def _read_chunks(self, proto: HTTPProtocol) -> bytes:
        parts: list[bytes] = []
        size = 0
        async for part in proto:
            size += len(part)
            if size <= self._max_body_bytes:
                parts.append(part)
            elif size > _DISCARDED_BODIES * self._max_body_bytes:
                break
            else:
                parts.clear()  # read on: who is cut off while sending never sees the answer that says why
        if size > self._max_body_bytes:
            raise RequestRefused("body_too_large", self._too_large())
        return b"".join(parts)

    def _too_large(self) -> str:
        return f"the body is larger than {self._max_body_bytes:,} bytes (MAX_BODY_BYTES); send smaller batches"

    def _environ(self, scope: Scope, body: bytes) -> dict[str, Any]:
        environ = self._fixed_environ.copy()
        environ["REQUEST_METHOD"] = scope.method
        environ["PATH_INFO"] = _path_info(scope.path)
        environ["QUERY_STRING"] = scope.query_string
        environ["SERVER_PROTOCOL"] = f"HTTP/{scope.http_version}"
        environ["REMOTE_ADDR"] = scope.client.rpartition(":")[0]
        environ["wsgi.url_scheme"] = scope.scheme
        environ["wsgi.input"] = io.BytesIO(body)
        for name, value in scope.headers.items():
            key = _environ_key(name)
            environ[key] = f"{environ[key]},{value}" if key in environ else value
        environ["CONTENT_TYPE"] = environ.pop("HTTP_CONTENT_TYPE", "")
        environ.pop("HTTP_CONTENT_LENGTH", None)
        environ["CONTENT_LENGTH"] = str(len(body))
        return environ

    async def _wait_for_reader(self, unsent: Unsent) -> None:
        least = unsent.bytes()
        deadline = time.monotonic() + _READER_TIMEOUT_S
        while (count := unsent.bytes()) > _MOST_UNSENT_BYTES and not self._stopping.is_set():
            if count < least:
                least, deadline = count, time.monotonic() + _READER_TIMEOUT_S
            elif time.monotonic() > deadline:
                raise TimeoutError
            await asyncio.sleep(0.005)

    async def _stream(self, proto: HTTPProtocol, client: str, answer: _Answer, chunks: Iterable[bytes]) -> None:
        loop = asyncio.get_running_loop()
        iterator = iter(chunks)
        unsent = await loop.run_in_executor(self._threads, Unsent, client)
        transport = proto.response_stream(answer.status, answer.headers)
        try:
            while not self._stopping.is_set():
                chunk = await loop.run_in_executor(self._threads, next, iterator, None)
                if chunk is None:
                    return
                for start in range(0, len(chunk), _PIECE_BYTES):
                    await self._wait_for_reader(unsent)
                    await transport.send_bytes(chunk[start : start + _PIECE_BYTES])
        except TimeoutError:
            _log.warning("gave up on a reader client=%s timeout_s=%d", client, _READER_TIMEOUT_S)
        finally:
            unsent.close()
            if hasattr(chunks, "close"):
                await loop.run_in_executor(self._threads, chunks.close)


class _Answer:
    """Status and headers as the application gives them."""

    def __init__(self) -> None:
        self.status = 500
        self.headers: Headers = []

    def start(self, status: str, headers: Headers, exc_info: object = None) -> Callable[[bytes], object]:
        self.status = int(status[:3])
        self.headers = [*_EVERY_ANSWER, *[(name.lower(), value) for name, value in headers]]
        return _no_write

    def length(self) -> str | None:
        return next((value for name, value in self.headers if name == "content-length"), None)


@lru_cache(maxsize=1024)
def _path_info(path: str) -> str:
    return unquote_to_bytes(path).decode("latin-1")


@lru_cache(maxsize=1024)
def _environ_key(header: str) -> str:
    return "HTTP_" + header.upper().replace("-", "_")


def _closing(chunks: Iterable[bytes]) -> Iterator[bytes]:
    try:
        yield from chunks
    finally:
        if hasattr(chunks, "close"):
            chunks.close()


def _no_write(_: bytes) -> None:
    raise NotImplementedError("this server takes the body as the returned iterable only")
