"""One request as it arrives: its head, its body within limits of size and room, and both as WSGI has them."""

from __future__ import annotations

import io
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote_to_bytes

import httptools

from clickstream.errors import RequestRefused, Unavailable
from clickstream.packed import GZIP_OR_ZLIB
from clickstream.server.contract import BODY, BODY_REFUSED

_MOST_BODY_BYTES: Final = 64 * 1024 * 1024  # of all bodies that are being read; beyond, senders are asked to wait
_DISCARDED_BODIES: Final = 10  # times MAX_BODY_BYTES that are read and thrown away before the connection is cut
_SMALL_PART: Final = 4096  # bytes
_LARGE_BYTES: Final = 16 * 1024  # of a body, from which on a request waits for its turn
_LARGE_PACKED_BYTES: Final = 1024  # of a packed one: batches of events are packed to a tenth, and to less
_LONGEST_CACHED: Final = 200  # bytes of an address
_WITHOUT_BODY: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class Room:
    """What the bodies that are being read may hold: one of them, and all together."""

    def __init__(self, max_body_bytes: int) -> None:
        self.max_body_bytes = max_body_bytes
        self.held_bytes = 0

    def is_taken(self) -> bool:
        """Whether many large bodies arrive at once."""
        return self.held_bytes > _MOST_BODY_BYTES


class Request:
    """A method, an address, headers and a body; `refused` says why the body was thrown away."""

    __slots__ = (
        "_parts",
        "_room",
        "headers",
        "is_continue_due",
        "is_http_1_1",
        "keep_alive",
        "method",
        "refused",
        "size",
        "url",
    )

    def __init__(self, room: Room) -> None:
        self._room = room
        self._parts: list[bytes | bytearray] = []
        self.size = 0  # of the body, as far as it has come, with what was thrown away of it
        self.method = ""
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.is_http_1_1 = True
        self.keep_alive = True
        self.is_continue_due = False
        self.refused: RequestRefused | Unavailable | None = None

    def check_head(self) -> None:
        """Look at a complete head; raises HttpParserInvalidURLError or ValueError when it makes no sense."""
        _target(self.url)
        names = [name.lower() for name, _ in self.headers]
        hosts = names.count(b"host")
        if hosts > 1 or (hosts == 0 and self.is_http_1_1):  # RFC 9112, section 3.2
            raise ValueError("it must have exactly one Host")
        if self.is_http_1_1 and b"expect" in names:
            self.is_continue_due = self.headers[names.index(b"expect")][1].lower() == b"100-continue"

    def add(self, part: bytes) -> None:
        """Keep `part` of the body if there is room; if not, who were cut off would not see the answer that says why."""
        self.size += len(part)
        if self.refused is None and self.size > self._room.max_body_bytes:
            most = f"{self._room.max_body_bytes:,} bytes (MAX_BODY_BYTES)"
            self.refuse(RequestRefused("body_too_large", f"the body is larger than {most}; send smaller batches"))
        if self.refused is None and self.size > _LARGE_BYTES and self._room.is_taken():
            self.refuse(Unavailable("many large bodies are arriving at once; send this one again in a second"))
        if self.refused is None:
            if self._parts and len(part) < _SMALL_PART:
                self._append(part)
            else:
                self._parts.append(part)
            self._room.held_bytes += len(part)

    def _append(self, part: bytes) -> None:
        """Keep a small part in common with others: an object for each would take twenty times its bytes."""
        last = self._parts[-1]
        if not isinstance(last, bytearray):
            last = bytearray()
            self._parts.append(last)
        last += part

    def refuse(self, reason: RequestRefused | Unavailable) -> None:
        """Throw away what has come, and what is still to come."""
        self.release()
        self.refused = reason

    def is_endless(self) -> bool:
        """Whether so much has been thrown away that the rest is not worth reading."""
        return self.size > _DISCARDED_BODIES * self._room.max_body_bytes

    def is_large(self) -> bool:
        """Whether its body, unpacked, may be so large that others are let go first."""
        if self.size <= _LARGE_PACKED_BYTES:
            return False
        return self.size > _LARGE_BYTES or any(GZIP_OR_ZLIB.match(part) for part in self._parts[:1])

    def release(self) -> None:
        """Let go of the body."""
        self._room.held_bytes -= sum(map(len, self._parts))
        self._parts = []

    def environ(self, fixed: Mapping[str, Any], client: str) -> dict[str, Any]:
        """The request as WSGI has it, beside what is `fixed` for all; the body is let go of."""
        body = b"".join(self._parts) if self.method not in _WITHOUT_BODY else b""
        self.release()
        environ = dict(fixed)
        environ["REQUEST_METHOD"] = self.method
        environ["PATH_INFO"], environ["QUERY_STRING"] = _target(self.url)
        environ["SERVER_PROTOCOL"] = "HTTP/1.1" if self.is_http_1_1 else "HTTP/1.0"
        environ["REMOTE_ADDR"] = client
        environ["wsgi.input"] = io.BytesIO(body)
        environ[BODY] = body
        if self.refused is not None:
            environ[BODY_REFUSED] = self.refused
        for name, value in self.headers:
            key = _environ_key(name)
            text = value.decode("latin-1")
            environ[key] = f"{environ[key]},{text}" if key in environ else text
        environ["CONTENT_TYPE"] = environ.pop("HTTP_CONTENT_TYPE", "")
        environ.pop("HTTP_CONTENT_LENGTH", None)
        environ["CONTENT_LENGTH"] = str(len(body))
        return environ


def _target(url: bytes) -> tuple[str, str]:
    return _cached_target(url) if len(url) <= _LONGEST_CACHED else _cached_target.__wrapped__(url)


@lru_cache(maxsize=1024)
def _cached_target(url: bytes) -> tuple[str, str]:
    parsed = httptools.parse_url(url)
    path, query = parsed.path or b"", parsed.query or b""
    return unquote_to_bytes(path).decode("latin-1"), query.decode("latin-1")


@lru_cache(maxsize=1024)
def _environ_key(header: bytes) -> str:
    return "HTTP_" + header.decode("latin-1").upper().replace("-", "_")
