"""A real HTTP proxy on loopback that refuses some posts, loses the answers to others, and may forget events."""

from __future__ import annotations

import http.client
import json
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class LossyProxy:
    """`refusing` of the posts get 503 and reach nobody; `losing` of them are served, and the client never hears of it.

    The first `forgets` posts are acknowledged and thrown away: what a server does that answers before it has kept.
    """

    def __init__(self, upstream: str, *, refusing: float, losing: float, forgets: int, seed: int = 1) -> None:
        self.upstream = urlsplit(upstream).netloc
        self.refused = 0
        self.lost = 0
        self.forgets = forgets
        self.url = ""
        self._shares = (refusing, refusing + losing)
        self._rng = random.Random(seed)
        self._lock = threading.Lock()

    def draw(self) -> str:
        """What happens to the next post: forget, refuse, lose or pass."""
        with self._lock:
            if self.forgets:
                self.forgets -= 1
                return "forget"
            fraction = self._rng.random()
            if fraction < self._shares[0]:
                self.refused += 1
                return "refuse"
            if fraction < self._shares[1]:
                self.lost += 1
                return "lose"
            return "pass"


@contextmanager
def lossy_proxy(upstream: str, *, refusing: float = 0.0, losing: float = 0.0, forgets: int = 0) -> Iterator[LossyProxy]:
    """A running LossyProxy in front of `upstream`."""
    proxy = LossyProxy(upstream, refusing=refusing, losing=losing, forgets=forgets)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(proxy))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    proxy.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield proxy
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(proxy: LossyProxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            fate = proxy.draw()
            if fate == "forget":
                count = len(json.loads(body)["records"])
                self._answer(202, json.dumps({"status": "accepted", "processed": count}).encode())
                return
            if fate == "refuse":
                self._answer(503, b'{"error":{"code":"unavailable","message":"the proxy refuses"}}')
                return
            status, answer = self._forward("POST", body)
            if fate == "lose":
                self.close_connection = True
            else:
                self._answer(status, answer)

        def do_GET(self) -> None:
            status, answer = self._forward("GET", None)
            self._answer(status, answer)

        def _forward(self, method: str, body: bytes | None) -> tuple[int, bytes]:
            connection = http.client.HTTPConnection(proxy.upstream, timeout=30)
            try:
                connection.request(method, self.path, body, {"Content-Type": "application/json"})
                response = connection.getresponse()
                return response.status, response.read()
            except OSError:
                return 502, b"{}"
            finally:
                connection.close()

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            return

    return Handler
