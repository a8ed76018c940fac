"""A WSGI application that does whatever a test asks of the server: `python -m tests.support.small_app PORT`."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import parse_qs

from clickstream.server import BODY, BODY_REFUSED, DEFERRED, Deferred, serve

MAX_BODY_BYTES = 100_000

closed: list[str] = []  # streams that were let go of
busy: list[str] = []  # what has been worked for
made = 0  # pieces of streams


def app(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    """Answer as the path says."""
    path = environ["PATH_INFO"]
    asked = {name: values[0] for name, values in parse_qs(environ["QUERY_STRING"]).items()}
    if path == "/later":
        deferred = environ[DEFERRED] = Deferred()
        asyncio.get_running_loop().call_later(
            float(asked["s"]), deferred.resolve, _broken if "broken" in asked else None
        )
    if path == "/at-once":
        environ[DEFERRED] = Deferred()
        environ[DEFERRED].resolve()
    if path == "/breaks":
        raise RuntimeError("as asked")
    if path == "/stream":
        start("200 OK", [("Content-Type", "text/plain")])
        return Stream(asked["name"], int(asked["pieces"]), breaks="breaks" in asked)
    if path == "/bytes":
        return _whole(start, b"x" * int(asked["n"]))
    if path == "/busy":
        time.sleep(float(asked["s"]))  # and nothing else happens meanwhile
        busy.append(asked["name"])
    if path == "/header":
        return _whole(start, b"", ("X-Asked", asked["value"]))
    if path == "/streams":
        return _whole(start, json.dumps({"closed": closed, "made": made}).encode())
    if path == "/was-busy":
        return _whole(start, json.dumps(busy).encode())
    refused = environ.get(BODY_REFUSED)
    seen = {
        "method": environ["REQUEST_METHOD"],
        "path": path,
        "query": environ["QUERY_STRING"],
        "protocol": environ["SERVER_PROTOCOL"],
        "body": environ[BODY].decode("latin-1"),
        "refused": None if refused is None else getattr(refused, "code", "unavailable"),
        "headers": {name: value for name, value in environ.items() if name.startswith("HTTP_")},
    }
    return _whole(start, json.dumps(seen).encode())


class Stream:
    """Pieces of 64 KiB, of which it is known when they are let go of."""

    def __init__(self, name: str, pieces: int, *, breaks: bool) -> None:
        self._name = name
        self._pieces = self._make(pieces, breaks=breaks)

    def _make(self, pieces: int, *, breaks: bool) -> Iterator[bytes]:
        global made  # noqa: PLW0603 - what the process has done
        for _ in range(pieces):
            made += 1
            yield b"y" * 65536
            time.sleep(0.001)
        if breaks:
            raise RuntimeError("as asked")

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def close(self) -> None:
        """Note that nobody wants the rest."""
        closed.append(self._name)


def _whole(start: Callable[..., Any], body: bytes, *headers: tuple[str, str]) -> Iterable[bytes]:
    start("200 OK", [("Content-Length", str(len(body))), *headers])
    return [body]


def _broken(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    raise RuntimeError("as asked")


if __name__ == "__main__":
    serve(
        app,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        port_setting="PORT",
        max_body_bytes=MAX_BODY_BYTES,
        body_timeout_s=1,
        reader_timeout_s=2,
    )
