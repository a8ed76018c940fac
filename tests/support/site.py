"""A web site of its own origin on loopback."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# path -> (content type, body)
Pages = Callable[[str], tuple[str, bytes] | None]


@contextmanager
def site(pages: Pages, *, policy: str | None = None) -> Iterator[str]:
    """Serve `pages`, each with the Content-Security-Policy `policy`, until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Stay quiet."""

        def do_GET(self) -> None:
            found = pages(self.path.partition("?")[0])
            self.send_response(200 if found else 404)
            if policy:
                self.send_header("Content-Security-Policy", policy)
            if found:
                self.send_header("Content-Type", found[0])
            self.end_headers()
            self.wfile.write(found[1] if found else b"")

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
