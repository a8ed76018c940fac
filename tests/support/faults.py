"""A small HTTP proxy on loopback that fails on purpose: it answers 503, or lets the answer get lost."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}


class FaultyProxy:
    """Stands in front of `upstream`; the next `refusals` sends get 503, the answers of the next `losses` get lost.

    Only requests that carry events are hurt: not preflights, not what an SDK fetches before it starts.
    """

    def __init__(self, upstream: str) -> None:
        self.upstream = urlsplit(upstream)
        self.refusals = 0
        self.losses = 0
        self.refused: list[str] = []
        self.lost: list[str] = []
        self.passed: list[tuple[str, str, int]] = []
        self.lock = threading.Lock()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.server.daemon_threads = True

    @property
    def url(self) -> str:
        """The address SDKs are pointed at."""
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def take(self, carries_events: bool) -> str:
        """Decide what happens to the next request: `refuse`, `lose` or `pass`."""
        with self.lock:
            if carries_events and self.refusals:
                self.refusals -= 1
                return "refuse"
            if carries_events and self.losses:
                self.losses -= 1
                return "lose"
            return "pass"


@contextmanager
def faulty_proxy(upstream: str) -> Iterator[FaultyProxy]:
    """Run a proxy in front of `upstream` until the block ends."""
    proxy = FaultyProxy(upstream)
    thread = threading.Thread(target=proxy.server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield proxy
    finally:
        proxy.server.shutdown()
        thread.join()
        proxy.server.server_close()


def _handler(proxy: FaultyProxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

        def do_GET(self) -> None:
            self._carry("/i?" in self.path or "/pixel/" in self.path)

        def do_POST(self) -> None:
            self._carry("/flags" not in self.path and "/decide" not in self.path)

        def do_OPTIONS(self) -> None:
            self._carry(False)

        def _carry(self, carries_events: bool) -> None:
            body = self._body()
            fate = proxy.take(carries_events)
            if fate == "refuse":
                proxy.refused.append(self.path)
                self._answer(503, {"Retry-After": "1", **self._cors()}, b"{}")
                return
            try:
                status, headers, answer = self._forward(body)
            except OSError:  # the API has been stopped: to the sender, the network is down
                self.close_connection = True
                return
            if fate == "lose":
                proxy.lost.append(self.path)
                self.close_connection = True
                return
            proxy.passed.append((self.command, self.path, status))
            self._answer(status, headers, answer)

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)

        def _cors(self) -> dict[str, str]:
            origin = self.headers.get("Origin")
            return {"Access-Control-Allow-Origin": origin, "Access-Control-Allow-Credentials": "true"} if origin else {}

        def _forward(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
            connection = http.client.HTTPConnection(proxy.upstream.hostname or "", proxy.upstream.port, timeout=10)
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP}
            connection.request(self.command, self.path, body, headers)
            response = connection.getresponse()
            answer = response.read()
            connection.close()
            return response.status, {n: v for n, v in response.getheaders() if n.lower() not in _HOP}, answer

        def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler
