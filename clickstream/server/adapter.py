"""ASGI on one side, WSGI on the other."""

from __future__ import annotations

import asyncio
import io
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from clickstream.errors import RequestRefused, Unavailable
from clickstream.server.asgi import Message, Receive, Send
from clickstream.server.contract import BODY, BODY_REFUSED, DEFERRED, Deferred, OnAnswer, WsgiApp
from clickstream.server.patience import Patience
from clickstream.server.request_body import RequestBodies
from clickstream.server.streams import Streams, close_chunks

_WITHOUT_BODY: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_LONGEST_CACHED: Final = 200  # bytes of a path
_EVERY_ANSWER: Final = (b"x-content-type-options", b"nosniff")

Headers = list[tuple[str, str]]


class Adapter:
    """The ASGI application that calls `app`."""

    def __init__(
        self,
        app: WsgiApp,
        loop: asyncio.AbstractEventLoop,
        *,
        host: str,
        port: int,
        max_body_bytes: int,
        body_timeout_s: float,
        on_answer: OnAnswer | None,
    ) -> None:
        self._app = app
        self._on_answer = on_answer
        self._loop = loop
        self.patience = Patience(loop)
        self._bodies = RequestBodies(self.patience, max_bytes=max_body_bytes, timeout_s=body_timeout_s)
        self._streams = Streams(loop, self.patience)
        self.close = self._streams.close
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

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        refused: RequestRefused | Unavailable | None = None
        try:
            body = b"" if scope["method"] in _WITHOUT_BODY else await self._bodies.read(receive)
        except (RequestRefused, Unavailable) as problem:
            body, refused = b"", problem
        began_s = time.perf_counter()
        environ = self._environ(scope, body)
        answer = _Answer()
        if refused is not None:
            environ[BODY_REFUSED] = refused
        chunks = self._app(environ, answer.start)
        deferred: Deferred | None = environ.get(DEFERRED)
        if deferred is not None and (instead := await self._awaited(deferred)) is not None:
            answer = _Answer()
            chunks = instead(environ, answer.start)
        if refused is not None:
            answer.headers.append((b"connection", b"close"))  # the rest of the body is still on its way
        if self._on_answer is not None:
            self._on_answer(scope["method"], answer.status, time.perf_counter() - began_s)
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        if isinstance(chunks, (list, tuple)) or answer.has_length():
            await send({"type": "http.response.body", "body": b"".join(_closing(chunks))})
        elif scope["method"] == "HEAD":
            close_chunks(chunks)
            await send({"type": "http.response.body"})
        else:
            await self._streams.send(chunks, scope, receive, send)

    async def _awaited(self, deferred: Deferred) -> WsgiApp | None:
        try:
            return await deferred.wait(self._loop)
        except asyncio.CancelledError:  # only the end of the server ends this wait
            return _stopping

    def _environ(self, scope: Message, body: bytes) -> dict[str, Any]:
        environ = self._fixed_environ.copy()
        environ["REQUEST_METHOD"] = scope["method"]
        path = scope["raw_path"]
        environ["PATH_INFO"] = _path_info(path) if len(path) <= _LONGEST_CACHED else _path_info.__wrapped__(path)
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


@lru_cache(maxsize=1024)
def _path_info(raw_path: bytes) -> str:
    return unquote_to_bytes(raw_path).decode("latin-1")


@lru_cache(maxsize=1024)
def _environ_key(header: bytes) -> str:
    return "HTTP_" + header.decode("latin-1").upper().replace("-", "_")


@lru_cache(maxsize=1024)
def _header_name(name: str) -> bytes:
    return name.lower().encode("latin-1")


def _stopping(_: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    body = b'{"error":{"code":"unavailable","message":"the server is stopping; try again in a moment"}}\n'
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body))), ("Retry-After", "1")]
    start_response("503 Service Unavailable", headers)
    return [body]


def _closing(chunks: Iterable[bytes]) -> Iterator[bytes]:
    try:
        yield from chunks
    finally:
        close_chunks(chunks)


def _no_write(_: bytes) -> None:
    raise NotImplementedError("this server takes the body as the returned iterable only")
