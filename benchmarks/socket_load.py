"""The load generator for machines without wrk: `python -m benchmarks.socket_load PORT SECONDS BODIES FIRST_NUMBER`."""

from __future__ import annotations

import re
import selectors
import socket
import sys
import time
from pathlib import Path

from benchmarks.load import CONNECTIONS

_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


def main(port: int, seconds: float, bodies: Path, number: int) -> None:
    """Send until `seconds` have passed, then print the line that load.py reads."""
    templates = [body.split(b"@") for body in bodies.read_bytes().splitlines()]
    selector = selectors.DefaultSelector()
    latencies_us: list[int] = []
    refused = 0
    begun = time.perf_counter()

    def send(connection: socket.socket) -> None:
        nonlocal number
        body = (b"%08x" % (number % 2**32)).join(templates[number % len(templates)])
        number += 1
        head = (
            b"POST /events HTTP/1.1\r\nHost: benchmark\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        )
        sent_at[connection] = time.perf_counter()
        connection.sendall(head % len(body) + body)

    sent_at: dict[socket.socket, float] = {}
    for _ in range(CONNECTIONS):
        connection = socket.create_connection(("127.0.0.1", port))
        selector.register(connection, selectors.EVENT_READ)
        send(connection)
    while (now := time.perf_counter()) - begun < seconds:
        for key, _ in selector.select(timeout=1):
            connection = sockets(key)
            refused += not _read_answer(connection)
            latencies_us.append(round((now - sent_at[connection]) * 1e6))
            send(connection)
    latencies_us.sort()
    p99_us = latencies_us[len(latencies_us) * 99 // 100]
    print(f"RESULT {len(latencies_us)} {round((now - begun) * 1e6)} {p99_us} {refused} 0 0 0 0")


def sockets(key: selectors.SelectorKey) -> socket.socket:
    """The connection behind `key`."""
    assert isinstance(key.fileobj, socket.socket)
    return key.fileobj


def _read_answer(connection: socket.socket) -> bool:
    answer = connection.recv(65536)
    while b"\r\n\r\n" not in answer:
        answer += _more(connection)
    head, _, body = answer.partition(b"\r\n\r\n")
    length = _LENGTH.search(head)
    missing = (int(length[1]) if length else 0) - len(body)
    while missing > 0:
        missing -= len(_more(connection))
    return answer[9:10] == b"2"


def _more(connection: socket.socket) -> bytes:
    part = connection.recv(65536)
    if not part:
        raise SystemExit("the server closed a connection")
    return part


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
