"""The requests in what one client sends, read by httptools."""

from __future__ import annotations

from collections import deque
from typing import Final

import httptools

from clickstream.server.request import Request, Room

_MAX_HEAD_BYTES: Final = 64 * 1024
_MAX_HEADERS: Final = 200
_MAX_NAME_BYTES: Final = 200
_MAX_FRAMING: Final = 6  # bytes around each byte of a body: chunks of one byte take five
_VERSIONS: Final = ("1.0", "1.1")
_FRAMING_HEADERS: Final = (b"content-length", b"transfer-encoding")


class NotServed(Exception):
    """What was sent is no HTTP request that is served here; the text says why."""


class Incoming:
    """Requests, of which `complete` are those that have arrived and `arriving` the one that has begun.

    The size of heads is bounded. Trailers are dropped. An offer to change the protocol is ignored, as RFC 9110 allows.
    """

    def __init__(self, room: Room) -> None:
        self.complete: deque[Request] = deque()
        self.arriving: Request | None = None
        self.in_body = False  # of the one that arrives
        self.is_new = False  # it is in a part, head or body, that it was not in before; for the reader to reset
        self._room = room
        self._parser = httptools.HttpRequestParser(self)
        self._is_reread = False  # the parser reads a head for the second time, see _ignore_upgrade
        self._headers = 0
        self._body_bytes = 0
        self._beside_bodies = 0  # bytes of heads, chunk sizes and trailers since a head or a request began

    def feed(self, data: bytes) -> None:
        """Take in what was sent; raises NotServed, after which nothing more may be fed."""
        self._beside_bodies += len(data)
        try:
            self._parse(data)
        except httptools.HttpParserError as problem:
            why = f": {problem.__context__}" if isinstance(problem.__context__, ValueError) else ""
            raise NotServed(f"This is not an HTTP request that is served here{why}.") from None
        if self._beside_bodies > _MAX_HEAD_BYTES + _MAX_FRAMING * self._body_bytes:
            raise NotServed(f"The head of the request is larger than {_MAX_HEAD_BYTES:,} bytes.")

    def give_up_body(self) -> None:
        """Take what arrives for complete: its body has been refused, and the rest of it will not be read."""
        if self.arriving is not None:
            self.complete.append(self.arriving)
            self.arriving = None

    def drop_complete(self) -> None:
        """Let go of what is complete: nobody will answer it."""
        for request in self.complete:
            request.release()
        self.complete.clear()

    def close(self) -> None:
        """Let go of everything."""
        self.drop_complete()
        if self.arriving is not None:
            self.arriving.release()
        del self._parser  # which knows this object

    def _parse(self, data: bytes) -> None:
        while True:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                self._ignore_upgrade()
                data = data[upgrade.args[0] :]
            else:
                return

    def _ignore_upgrade(self) -> None:
        """Go on behind the head with a parser that has not seen the offer: the old one would read no body."""
        headers = [] if self.arriving is None else self.arriving.headers
        framing = [(name, value) for name, value in headers if name.lower() in _FRAMING_HEADERS]
        head = b"".join([b"POST / HTTP/1.1\r\n", *[b"%b: %b\r\n" % pair for pair in framing], b"\r\n"])
        self._parser = httptools.HttpRequestParser(self)
        self._is_reread = True
        self._parser.feed_data(head)
        self._is_reread = False

    # What the parser says.

    def on_message_begin(self) -> None:
        """A request begins."""
        if not self._is_reread:
            self.arriving = Request(self._room)
            self.in_body, self.is_new, self._headers = False, True, 0

    def on_url(self, url: bytes) -> None:
        """Part of its address."""
        if self.arriving is not None and not self._is_reread:
            self.arriving.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer behind the body: those change nothing any more."""
        if self.arriving is None or self.in_body or self._is_reread:
            return
        self._headers += 1
        if self._headers > _MAX_HEADERS or len(name) > _MAX_NAME_BYTES:
            raise ValueError(f"at most {_MAX_HEADERS} headers are read, with names of {_MAX_NAME_BYTES} bytes")
        self.arriving.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """The head is complete."""
        request = self.arriving
        if request is None or self._is_reread:
            return
        self.in_body = self.is_new = True
        self._beside_bodies = self._body_bytes = 0
        request.method = self._parser.get_method().decode("ascii")
        version = self._parser.get_http_version()
        if version not in _VERSIONS:
            raise ValueError(f"HTTP/{version} is not spoken here")
        request.is_http_1_1 = version == "1.1"
        request.keep_alive = request.is_http_1_1 and self._parser.should_keep_alive()
        request.check_head()

    def on_body(self, body: bytes) -> None:
        """Part of the body."""
        self._beside_bodies -= len(body)
        self._body_bytes += len(body)
        if self.arriving is not None:
            self.arriving.add(body)

    def on_message_complete(self) -> None:
        """The request is complete, unless its head has an offer that is yet to be ignored."""
        if self.arriving is not None and not self._parser.should_upgrade():
            self.complete.append(self.arriving)
            self.arriving, self.in_body = None, False
            self._beside_bodies = self._body_bytes = 0  # what follows in the same packet is too little to matter
