"""Reads the API over HTTP: bounded in time and size, redirects refused, every failure named."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import msgspec
import requests
import urllib3

from clickstream.client.answers import MAX_ANSWER_BYTES, AnswerTooLarge, body_within
from clickstream.errors import ClickstreamError

Params = Sequence[tuple[str, str]]

CONNECT_TIMEOUT_S: Final = 1.0
READ_TIMEOUT_S: Final = 3.0


class ApiProblem(ClickstreamError):
    """The API gave no usable answer.

    `kind` says why: unreachable, timeout, too_large, garbage, redirect, replaying or http (then `status` and,
    if the API sent one, its error `code`).
    """

    def __init__(
        self,
        kind: str,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        progress: float | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.status = status
        self.code = code
        self.progress = progress


class ApiReader:
    """GET requests to one API; may be used from several threads."""

    def __init__(
        self,
        api_url: str,
        *,
        read_token: str = "",
        read_timeout_s: float = READ_TIMEOUT_S,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
    ) -> None:
        self.api_url = api_url
        self._read_token = read_token
        self._read_timeout_s = read_timeout_s
        self._max_answer_bytes = max_answer_bytes
        self._threads = threading.local()
        # Whoever polls asks the same again and again; making a request is a third of what sending it costs.
        self._request = lru_cache(maxsize=64)(self._new_request)

    def stats(self, window: str = "all") -> dict[str, Any]:
        """What `/stats` says about `window`; raises ApiProblem."""
        stats = self.get("/stats", [] if window == "all" else [("window", window)])
        if type(stats.get("total_events")) is not int or not isinstance(stats.get("events_by_type"), dict):
            raise ApiProblem(
                "garbage", f"{self.api_url}/stats answered JSON that is not statistics: is it this platform?"
            )
        return stats

    def get(self, path: str, params: Params = ()) -> dict[str, Any]:
        """The JSON object at `path`; raises ApiProblem."""
        return self._read(path, params)[0]

    def body(self, path: str, params: Params = ()) -> bytes:
        """The same as it was sent."""
        return self._read(path, params)[1]

    def stored_event(self, params: Params) -> bytes | None:
        """The newest event that `/events` finds, byte for byte as it is stored; raises ApiProblem."""
        _, body = self._read("/events", [*params, ("limit", "1")])
        try:
            return next(map(bytes, _pages.decode(body).events), None)
        except msgspec.ValidationError:
            raise ApiProblem("garbage", f"{self.api_url}/events answered JSON without events") from None

    def _read(self, path: str, params: Params) -> tuple[dict[str, Any], bytes]:
        url = self.api_url + path
        try:
            status, body = self._exchange(url, params)
        except (requests.Timeout, urllib3.exceptions.TimeoutError):
            raise ApiProblem("timeout", f"{url} did not answer within {self._read_timeout_s:g} s") from None
        except requests.ConnectionError as problem:
            raise ApiProblem("unreachable", f"nothing answers at {self.api_url}: {reason(problem)}") from None
        except (requests.RequestException, urllib3.exceptions.HTTPError) as problem:
            raise ApiProblem("garbage", f"{url} gave a broken answer: {problem}") from None
        answer = _json_object(body)
        if status != 200:
            raise self._refusal(url, status, answer)
        if answer is None:
            raise ApiProblem("garbage", f"{url} answered something that is not a JSON object: is it this platform?")
        return answer, body

    def _exchange(self, url: str, params: Params) -> tuple[int, bytes]:
        deadline = time.monotonic() + self._read_timeout_s
        timeout = (CONNECT_TIMEOUT_S, self._read_timeout_s)
        session = self._session()
        asked = self._request(url, tuple(params))
        with session.send(asked, timeout=timeout, allow_redirects=False, stream=True) as reply:
            try:
                return reply.status_code, body_within(reply, deadline, self._max_answer_bytes)
            except AnswerTooLarge as problem:
                raise ApiProblem("too_large", f"{url} answered {problem}") from None

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._threads, "session", None)
        if session is None:
            session = self._threads.session = requests.Session()
            session.trust_env = False  # a proxy or .netrc of the user's shell is not meant for this machine's API
        return session

    def _new_request(self, url: str, params: tuple[tuple[str, str], ...]) -> requests.PreparedRequest:
        session = self._session()
        headers = {"Accept": "application/json"}
        if self._read_token:
            headers["Authorization"] = f"Bearer {self._read_token}"
        return session.prepare_request(requests.Request("GET", url, headers=headers, params=list(params)))

    def _refusal(self, url: str, status: int, answer: Mapping[str, Any] | None) -> ApiProblem:
        if 300 <= status < 400:
            return ApiProblem("redirect", f"{url} redirects elsewhere ({status}); set API_URL to the API itself")
        error = (answer or {}).get("error")
        code = error.get("code") if isinstance(error, dict) else None
        if code == "replaying":
            return ApiProblem("replaying", "the API is reading its journal", status=status, progress=self._progress())
        said = error.get("message") if isinstance(error, dict) else None
        message = f"{url} answered {status}" + (f": {said}" if isinstance(said, str) else "")
        return ApiProblem("http", message, status=status, code=code if isinstance(code, str) else None)

    def _progress(self) -> float | None:
        try:
            status, body = self._exchange(f"{self.api_url}/ready", ())
        except (requests.RequestException, urllib3.exceptions.HTTPError, ApiProblem):
            return None  # progress is a courtesy; the caller is told "replaying" either way
        progress = (_json_object(body) or {}).get("progress")
        return float(progress) if status == 503 and isinstance(progress, (int, float)) else None


class _Page(msgspec.Struct):
    events: list[msgspec.Raw]


_pages: Final = msgspec.json.Decoder(_Page)


def _json_object(body: bytes) -> dict[str, Any] | None:
    try:
        value = msgspec.json.decode(body)  # strictly: browsers would refuse the whole answer later
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def reason(problem: requests.RequestException | urllib3.exceptions.HTTPError) -> str:
    """Why there is no connection, in words."""
    text = str(problem)
    if "refused" in text:
        return "connection refused"
    if "resolve" in text or "getaddrinfo" in text:
        return "its name is not known"
    return "the connection broke"
