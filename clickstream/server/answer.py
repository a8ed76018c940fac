"""One answer as the application gives it, and the bytes of its head."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from http.client import responses
from typing import Any, Final

_NO_BODY: Final = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)
CHUNKED: Final = b"transfer-encoding: chunked\r\n"
CLOSE: Final = b"connection: close\r\n"
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CHUNK: Final = b"0\r\n\r\n"

Headers = list[tuple[str, str]]


class Answer:
    """Status, headers and the `chunks` of the body; `start` is WSGI's start_response."""

    __slots__ = ("began_s", "chunks", "has_length", "lines", "status")

    def __init__(self, began_s: float | None = None) -> None:
        self.began_s = time.perf_counter() if began_s is None else began_s
        self.chunks: Iterable[bytes] = ()
        self.status = 500
        self.lines: list[bytes] = []
        self.has_length = False

    def start(self, status: str, headers: Headers, exc_info: object = None) -> Callable[[bytes], object]:
        """Take in what the application says before its body."""
        self.status = int(status[:3])
        self.lines = [_line(name, value) for name, value in headers]
        self.has_length = any(name.lower() == "content-length" for name, _ in headers)
        return _no_write

    def may_have_body(self, method: str) -> bool:
        """Whether anything follows the head."""
        return method != "HEAD" and self.status not in _NO_BODY

    def head(self, date: bytes, *more: bytes) -> bytes:
        """Status line and headers, with the line of the `date` and `more` lines."""
        return b"".join((_status_line(self.status), date, *self.lines, *more, b"\r\n"))


def date_line(now_s: float) -> bytes:
    """The header of every answer that says when it was made."""
    return b"date: %b\r\nx-content-type-options: nosniff\r\n" % formatdate(now_s, usegmt=True).encode()


def chunk(body: bytes) -> bytes:
    """`body`, which is not empty, as a chunk of a body whose length nobody knows yet."""
    return b"%x\r\n%b\r\n" % (len(body), body)


def plain(status: HTTPStatus, text: str, date: bytes) -> bytes:
    """A whole answer that the application has no part in; the connection is closed behind it."""
    answer = Answer()
    body = text.encode()
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
    answer.start(f"{status.value} {status.phrase}", headers)
    return answer.head(date, CLOSE) + body


def stopping(_: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """The answer to whoever still waits when the server ends."""
    body = b'{"error":{"code":"unavailable","message":"the server is stopping; try again in a moment"}}\n'
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body))), ("Retry-After", "1")]
    start_response("503 Service Unavailable", headers)
    return [body]


@lru_cache(maxsize=128)
def _status_line(status: int) -> bytes:
    return b"HTTP/1.1 %d %b\r\n" % (status, responses.get(status, "").encode())


@lru_cache(maxsize=1024)
def _line(name: str, value: str) -> bytes:
    line = f"{name.lower()}: {value}".encode("latin-1")
    if any(byte in line for byte in b"\r\n\0"):
        raise ValueError(f"a header may not contain a line break: {line!r}")
    return line + b"\r\n"


def _no_write(_: bytes) -> None:
    raise NotImplementedError("this server takes the body as the returned iterable only")
