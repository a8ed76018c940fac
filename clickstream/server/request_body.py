"""The body of a request: all of it, within its limits of size, time and room."""

from __future__ import annotations

import asyncio
from typing import Final

from clickstream.errors import RequestRefused, Unavailable
from clickstream.server.asgi import Receive
from clickstream.server.patience import Patience

_MOST_BODY_BYTES: Final = 64 * 1024 * 1024  # of all bodies that are being read; beyond, senders are asked to wait
_DISCARDED_BODIES: Final = 10  # times MAX_BODY_BYTES that are read and thrown away before the connection is cut


class RequestBodies:
    """Reads bodies of at most `max_bytes` that arrive within `timeout_s`."""

    def __init__(self, patience: Patience, *, max_bytes: int, timeout_s: float) -> None:
        self._patience = patience
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s
        self._held_bytes = 0  # of bodies that are being read

    async def read(self, receive: Receive) -> bytes:
        """One body; raises RequestRefused, or Unavailable while many large ones arrive at once."""
        waiting = self._patience.begin(self._timeout_s)
        try:
            message = await receive()
            body: bytes = message.get("body", b"")
            if message.get("more_body"):
                return await self._read_on(body, receive)
        except asyncio.CancelledError:
            late = f"the request body did not arrive within {self._timeout_s:g} s (BODY_TIMEOUT_S)"
            raise RequestRefused("timeout", late) from None
        finally:
            self._patience.end(waiting)
        if message["type"] == "http.disconnect":
            raise _ended_early()
        if len(body) > self._max_bytes:
            raise self._too_large()
        return body

    async def _read_on(self, first: bytes, receive: Receive) -> bytes:
        body = bytearray(first)
        size = len(first)
        counted = 0  # of this body in what all hold
        crowded = False
        more = True
        try:
            while more and size <= _DISCARDED_BODIES * self._max_bytes:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise _ended_early()
                part: bytes = message.get("body", b"")
                more = message.get("more_body", False)
                size += len(part)
                crowded = crowded or self._held_bytes > _MOST_BODY_BYTES
                if crowded or size > self._max_bytes:
                    body.clear()  # read on: who is cut off while sending never sees the answer that says why
                else:
                    body += part
                self._held_bytes += len(body) - counted
                counted = len(body)
        finally:
            self._held_bytes -= counted
        if size > self._max_bytes:
            raise self._too_large()
        if crowded:
            raise Unavailable("many large bodies are arriving at once; send this one again in a second")
        return bytes(body)

    def _too_large(self) -> RequestRefused:
        message = f"the body is larger than {self._max_bytes:,} bytes (MAX_BODY_BYTES); send smaller batches"
        return RequestRefused("body_too_large", message)


def _ended_early() -> RequestRefused:
    return RequestRefused("malformed_json", "the request body ended too early")
