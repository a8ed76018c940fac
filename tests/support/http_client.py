"""Requests to a running API: whole ones with a kept connection, and halves of them on a bare socket."""

from __future__ import annotations

import http.client
import json
import socket
import time
from dataclasses import dataclass
from itertools import count
from typing import Any
from urllib.parse import urlsplit

from clickstream.errors import REQUEST_CODES
from tests.support.native import native_event


@dataclass
class Answer:
    """Status, headers (lower case) and body of one answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401 - any JSON
        return json.loads(self.body)


class Client:
    """One kept connection; opens a new one when the server has closed it."""

    def __init__(self, url: str, timeout_s: float = 20) -> None:
        parts = urlsplit(url)
        assert parts.hostname
        self._used_s = time.monotonic()
        self._connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout_s)

    def request(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        """The answer; header names are given with _ for -."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if time.monotonic() - self._used_s > 5:
            self._connection.close()  # the server closes idle connections after ten seconds
        self._used_s = time.monotonic()
        try:
            self._connection.request(method, path, body, named)
            reply = self._connection.getresponse()
            content = reply.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            raise
        return Answer(reply.status, {name.lower(): value for name, value in reply.getheaders()}, content)

    def post(self, body: bytes, *, content_type: str = "application/json", **headers: str) -> Answer:
        """POST /events."""
        return self.request("POST", "/events", body, Content_Type=content_type, **headers)

    def get(self, path: str) -> Any:  # noqa: ANN401 - any JSON
        """The JSON answer to a read that must succeed."""
        answer = self.request("GET", path)
        assert answer.status == 200, answer.body[:500]
        return answer.json

    def close(self) -> None:
        self._connection.close()


def open_socket(url: str, timeout_s: float = 20) -> socket.socket:
    """A connection to the server of `url` on which nothing has been said yet."""
    parts = urlsplit(url)
    assert parts.port
    return socket.create_connection((parts.hostname, parts.port), timeout=timeout_s)


def said(connection: socket.socket) -> bytes:
    """Everything the server says until it closes the connection."""
    parts = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


_ids = count()


def fresh(**fields: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    """A complete good event with an id that no other test uses."""
    return native_event(new_id(), **fields)


def new_id() -> str:
    """An id that no other test uses."""
    return f"id-{next(_ids)}"


def error_code(answer: Answer) -> str:
    """The code of an error answer, which must be JSON, from the closed list, with its status and a sentence."""
    assert answer.headers["content-type"] == "application/json"
    error = answer.json["error"]
    assert error["message"]
    assert REQUEST_CODES[error["code"]] == answer.status
    code: str = error["code"]
    return code
