"""The server alone, before an application that does whatever a test asks of it."""

from __future__ import annotations

import contextlib
import gzip
import json
import random
import re
import signal
import socket
import threading
import time
import tracemalloc
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from clickstream.ports import free_port
from clickstream.server.contract import BODY
from clickstream.server.request import Request, Room
from tests.support.http_client import open_socket, said
from tests.support.processes import ROOT, RunningProcess, environment, memory_mb, python, wait_until
from tests.support.small_app import MAX_BODY_BYTES


class Running:
    """The application behind the server, in a process of its own."""

    def __init__(self, directory: Path) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        command = python("-m", "tests.support.small_app", str(port))
        self.process = RunningProcess(command, directory / "log", env=environment(), cwd=ROOT)
        self.process.wait_for_http(self.url)

    def streams(self) -> dict[str, Any]:
        """Which streams were `closed`, and how many pieces of all were `made`."""
        found: dict[str, Any] = requests.get(f"{self.url}/streams", timeout=20).json()
        return found

    def answers(self, sent: bytes) -> list[tuple[int, bytes]]:
        """Status and body of every answer to `sent`, until the server closes."""
        with open_socket(self.url) as connection:
            connection.sendall(sent)
            return parsed(said(connection))


def parsed(text: bytes) -> list[tuple[int, bytes]]:
    """Answers with a Content-Length, one behind the other."""
    found = []
    while text:
        head, _, rest = text.partition(b"\r\n\r\n")
        length = int(dict(re.findall(rb"\r\n([a-z-]+): ([^\r]*)", head))[b"content-length"])
        found.append((int(head[9:12]), rest[:length]))
        text = rest[length:]
    return found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One for all tests that leave it running."""
    running = Running(tmp_path_factory.mktemp("server"))
    yield running
    running.process.stop()


def ask(path: str, *headers: str, method: str = "GET", body: bytes = b"") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: x", *headers, *([f"Content-Length: {len(body)}"] if body else [])]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


LAST = ask("/last", "Connection: close")


def test_requests_sent_at_once_are_answered_in_their_order(server: Running) -> None:
    paths = ["/a", "/later?s=0.2", "/b", "/at-once", "/later?s=0.01", "/c"] * 3

    found = server.answers(b"".join(map(ask, paths)) + LAST)

    assert [status for status, _ in found] == [200] * 19
    assert [json.loads(body)["path"] for _, body in found] == [*(path.partition("?")[0] for path in paths), "/last"]


def test_wherever_the_network_cuts_a_request_it_is_the_same(server: Running) -> None:
    sent = ask("/a%20b?c=%41", "X-One: 1", "X-One: 2", method="POST", body=b"0123456789") + LAST
    whole = server.answers(sent)

    for cut in range(1, len(sent)):
        with open_socket(server.url) as connection:
            connection.sendall(sent[:cut])
            connection.sendall(sent[cut:])
            assert parsed(said(connection)) == whole
    seen = json.loads(whole[0][1])
    assert (seen["path"], seen["query"], seen["body"]) == ("/a b", "c=%41", "0123456789")
    assert seen["headers"] == {"HTTP_HOST": "x", "HTTP_X_ONE": "1,2"}


def test_an_old_client_gets_no_chunks_and_its_connection_ends(server: Running) -> None:
    old = b"GET /stream?name=old&pieces=3 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
    with open_socket(server.url) as connection:
        connection.sendall(old)
        head, _, body = said(connection).partition(b"\r\n\r\n")

    assert b"transfer-encoding" not in head
    assert b"connection: close" in head
    assert body == b"y" * 3 * 65536


def test_a_stream_has_as_many_bytes_as_were_made_and_the_connection_goes_on(server: Running) -> None:
    with requests.Session() as session:
        for pieces in (0, 1, 40):
            body = session.get(f"{server.url}/stream?name=whole&pieces={pieces}", timeout=20).content
            assert body == b"y" * pieces * 65536
        head = session.head(f"{server.url}/stream?name=head&pieces=5", timeout=20)
        assert (head.status_code, head.content) == (200, b"")
        assert session.get(f"{server.url}/next", timeout=20).json()["path"] == "/next"
        assert "head" in server.streams()["closed"]


def test_a_stream_that_breaks_looks_broken(server: Running) -> None:
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        requests.get(f"{server.url}/stream?name=breaks&pieces=3&breaks=1", timeout=20)

    assert requests.get(f"{server.url}/next", timeout=20).ok


def test_a_stream_that_breaks_looks_broken_to_an_old_client_too(server: Running) -> None:
    """It knows the end of the body by the end of the connection: only a reset tells it that this was not the end."""
    with open_socket(server.url) as connection, pytest.raises(ConnectionResetError):
        connection.sendall(b"GET /stream?name=breaks&pieces=3&breaks=1 HTTP/1.0\r\n\r\n")
        while connection.recv(65536):
            pass


def test_what_stands_behind_a_stream_that_breaks_is_not_worked_for(server: Running) -> None:
    with open_socket(server.url) as connection:
        behind = ask("/stream?name=behind&pieces=1")
        connection.sendall(ask("/stream?name=breaks&pieces=3&breaks=1") + behind)
        assert said(connection).endswith(b"y\r\n")

    assert requests.get(f"{server.url}/next", timeout=20).ok
    assert "behind" not in server.streams()["closed"]


def stalled(server: Running) -> bool:
    """Whether no stream goes on."""
    before = server.streams()["made"]
    time.sleep(0.1)
    return bool(server.streams()["made"] == before)


def test_a_stream_whose_reader_takes_nothing_waits_and_is_let_go_of_when_the_reader_goes(server: Running) -> None:
    with open_socket(server.url) as connection:
        connection.sendall(ask("/stream?name=gone&pieces=100000"))
        connection.recv(1)
        wait_until(lambda: stalled(server), "a stream that waits")
        assert "gone" not in server.streams()["closed"]

    wait_until(lambda: "gone" in server.streams()["closed"], "the end of the stream")


def test_a_reader_that_takes_nothing_for_too_long_is_left(server: Running) -> None:
    with open_socket(server.url) as connection:
        connection.sendall(ask("/stream?name=left&pieces=100000"))
        connection.recv(1)

        wait_until(lambda: "left" in server.streams()["closed"], "the end of the stream")


def test_no_more_is_read_than_can_be_answered(server: Running) -> None:
    with open_socket(server.url) as connection:
        connection.sendall(ask("/later?s=3"))
        connection.setblocking(False)
        sent, behind, end = 0, ask("/behind") * 1000, time.monotonic() + 2
        while time.monotonic() < end:
            with contextlib.suppress(BlockingIOError):
                sent += connection.send(behind)

    assert sent < 20_000_000  # what the two sockets hold


def test_who_asks_much_and_takes_nothing_is_not_worked_for(server: Running) -> None:
    before = memory_mb(server.process.pid, "VmRSS")
    with open_socket(server.url) as connection:
        connection.sendall(ask("/bytes?n=1000000") * 500)
        assert requests.get(f"{server.url}/next", timeout=20).ok
        assert memory_mb(server.process.pid, "VmRSS") - before < 50
        taken = 0
        while taken < 500_000_000:
            taken += len(connection.recv(1 << 20))


@pytest.mark.parametrize("path", ["/breaks", "/later?s=0.01&broken=1", "/header?value=a%0D%0AX-Injected:1"])
def test_an_application_that_breaks_is_a_500_and_the_next_client_is_served(server: Running, path: str) -> None:
    found = server.answers(ask("/first") + ask(path) + ask("/never"))

    assert [status for status, _ in found] == [200, 500]
    assert found[1][1] == b"Internal Server Error"
    assert requests.get(f"{server.url}/next", timeout=20).ok


def test_a_body_that_does_not_come_is_refused_also_behind_another_request(server: Running) -> None:
    begun = ask("/slow", "Content-Length: 5", method="POST") + b"abc"

    found = server.answers(ask("/later?s=0.1") + begun)

    assert [status for status, _ in found] == [200, 200]
    seen = json.loads(found[1][1])
    assert (seen["path"], seen["refused"], seen["body"]) == ("/slow", "timeout", "")


def test_what_stands_behind_a_refused_body_is_not_served(server: Running) -> None:
    found = server.answers(ask("/large", method="POST", body=b"x" * (MAX_BODY_BYTES + 1)) + LAST)

    assert len(found) == 1
    assert json.loads(found[0][1])["refused"] == "body_too_large"


def test_what_stands_behind_the_last_request_is_not_served(server: Running) -> None:
    assert [json.loads(body)["path"] for _, body in server.answers(LAST + ask("/never"))] == ["/last"]


@pytest.mark.parametrize("packets", [1, 2])
def test_who_may_go_on_is_told_when_it_is_its_turn(server: Running, packets: int) -> None:
    sent = [ask("/later?s=0.2"), ask("/body", "Expect: 100-continue", "Content-Length: 2", method="PUT")]
    with open_socket(server.url) as connection:
        for packet in sent if packets == 2 else [b"".join(sent)]:
            connection.sendall(packet)
            requests.get(server.url, timeout=20)  # asked last: what came before has been read by now
        text = b""
        while not text.endswith(b"100 Continue\r\n\r\n"):
            text += connection.recv(65536)
        assert text.startswith(b"HTTP/1.1 200 OK")
        connection.sendall(b"ok" + LAST)
        found = parsed(said(connection))

    assert [json.loads(body)["body"] for _, body in found] == ["ok", ""]


def test_a_body_in_the_smallest_chunks_takes_the_memory_of_its_bytes() -> None:
    request = Request(Room(10**6))
    request.url, request.method = b"/", "POST"
    tracemalloc.start()
    try:
        for number in range(100_000):
            request.add(b"%d" % (10 + number % 90))
        held_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert held_bytes < 500_000
    assert request.environ({}, "")[BODY] == b"".join(b"%d" % (10 + number % 90) for number in range(100_000))


def test_however_many_offers_come_in_one_packet_all_are_answered(server: Running) -> None:
    found = server.answers(ask("/", "Connection: Upgrade", "Upgrade: h2c") * 2000 + LAST)

    assert [status for status, _ in found] == [200] * 2001


@pytest.mark.measures
def test_who_sends_bodies_in_the_smallest_chunks_does_not_hold_up_the_others(server: Running) -> None:
    body = b"2\r\nab\r\n" * (MAX_BODY_BYTES // 2) + b"0\r\n\r\n"
    requested = ask("/bytes?n=0", "Transfer-Encoding: chunked", method="POST") + body
    stop = threading.Event()

    def feed() -> None:
        with open_socket(server.url) as connection:
            while not stop.is_set():
                connection.sendall(requested * 20)
                answers = b""
                while answers.count(b"\r\n\r\n") < 20:
                    answers += connection.recv(1 << 20)

    feeder = threading.Thread(target=feed)
    feeder.start()
    try:
        waits = []
        end = time.monotonic() + 3
        while time.monotonic() < end:
            begin = time.monotonic()
            assert requests.get(server.url, timeout=20).ok
            waits.append(time.monotonic() - begin)
    finally:
        stop.set()
        feeder.join()

    print(f"\n{len(waits)} others, at most {max(waits):.2f} s")  # noqa: T201
    assert max(waits) < 0.5


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("large", b"x" * 20_000),
        ("gzip", gzip.compress(random.Random(1).randbytes(2_000))),
        ("deflate", zlib.compress(random.Random(1).randbytes(2_000))),
    ],
)
def test_a_small_request_waits_for_one_large_one_and_not_for_all(server: Running, kind: str, body: bytes) -> None:
    with contextlib.ExitStack() as opened:
        small = opened.enter_context(open_socket(server.url))
        small.sendall(ask("/warm"))
        assert small.recv(65536)  # connected, not only on its way
        large = [opened.enter_context(open_socket(server.url)) for _ in range(10)]
        for number, connection in enumerate(large):
            busy = ask(f"/busy?s=0.2&name={kind}-{number}", method="POST", body=body)
            connection.sendall(busy + ask(f"/{number}") + LAST)
        small.sendall(ask("/was-busy", "Connection: close"))
        large.pop().close()  # what it sent is worked for nevertheless
        [(_, done)] = parsed(said(small))

        assert len([one for one in json.loads(done) if one.startswith(kind)]) < 6
        for number, connection in enumerate(large):
            found = [json.loads(answer)["path"] for _, answer in parsed(said(connection))]
            assert found == ["/busy", f"/{number}", "/last"]
    [(_, done), _] = server.answers(ask("/was-busy") + LAST)
    assert sorted(one for one in json.loads(done) if one.startswith(kind)) == [
        f"{kind}-{number}" for number in range(10)
    ]


def test_who_connects_together_waits_for_some_large_requests_and_not_for_one_each(server: Running) -> None:
    with contextlib.ExitStack() as opened:
        large = [opened.enter_context(open_socket(server.url)) for _ in range(30)]
        for connection in large:
            connection.sendall(ask("/warm"))
            assert connection.recv(65536)  # connected, not only on its way
        for connection in large:
            connection.sendall(ask("/busy?s=0.1&name=beside", "Connection: close", method="POST", body=b"x" * 20_000))
        together = [opened.enter_context(open_socket(server.url)) for _ in range(24)]
        for connection in together:
            connection.sendall(ask("/was-busy", "Connection: close"))

        done = [json.loads(parsed(said(connection))[0][1]).count("beside") for connection in together]

        assert max(done) < 15
        assert all(said(connection) for connection in large)


def test_a_request_waits_for_some_of_those_that_another_client_sent_at_once_and_not_for_all(server: Running) -> None:
    with open_socket(server.url) as many, open_socket(server.url) as small:
        small.sendall(ask("/warm"))
        assert small.recv(65536)
        many.sendall(ask("/busy?s=0.002&name=many") * 499 + ask("/busy?s=0.002&name=many", "Connection: close"))
        small.sendall(ask("/was-busy", "Connection: close"))

        [(_, done)] = parsed(said(small))

        assert json.loads(done).count("many") < 250
        assert [json.loads(body)["path"] for _, body in parsed(said(many))] == ["/busy"] * 500


SMUGGLED = [
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n01234",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\n01234",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5, 5\r\n\r\n01234",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length : 5\r\n\r\n01234",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nX-Folded: a\r\n b\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nX-Null: \0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nX-Return: a\rb\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nNo Colon\r\n\r\n",
    b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    b"GET / HTTP/1.0\r\nHost: x\r\nhost: x\r\n\r\n",
    b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
    b"GET / HTTP/0.9\r\nHost: x\r\n\r\n",
    b"GET / HTTP/2.0\r\nHost: x\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
]


@pytest.mark.parametrize("sent", SMUGGLED)
def test_what_two_readers_could_read_differently_is_refused(server: Running, sent: bytes) -> None:
    found = server.answers(sent + ask("/smuggled"))

    assert [status for status, _ in found] == [400]


def test_a_stop_answers_what_is_under_way_and_nothing_else(tmp_path: Path) -> None:
    running = Running(tmp_path)
    idle, busy, half = (open_socket(running.url) for _ in range(3))
    busy.sendall(ask("/later?s=0.5") + ask("/second"))
    half.sendall(ask("/half", "Content-Length: 4", method="POST") + b"ab")
    idle.sendall(ask("/first"))
    assert idle.recv(65536).startswith(b"HTTP/1.1 200 ")  # asked last: what came before has been read by now

    running.process.send(signal.SIGTERM)

    assert said(idle) == b""
    with pytest.raises(OSError):
        open_socket(running.url).close()
    half.sendall(b"cd")
    assert [json.loads(body)["body"] for _, body in parsed(said(half))] == ["abcd"]
    assert [json.loads(body)["path"] for _, body in parsed(said(busy))] == ["/later", "/second"]
    assert running.process.wait() == 0
    for connection in (idle, busy, half):
        connection.close()


def test_a_stop_tells_whoever_waits_for_a_turn_that_it_does_not_come(tmp_path: Path) -> None:
    running = Running(tmp_path)
    with contextlib.ExitStack() as opened:
        large = [opened.enter_context(open_socket(running.url)) for _ in range(30)]
        for number, connection in enumerate(large):
            connection.sendall(ask("/warm"))
            assert connection.recv(65536)  # connected, not only on its way
            connection.sendall(ask(f"/busy?s=0.2&name={number}", method="POST", body=b"x" * 20_000)[:-1])
        for connection in large:
            connection.sendall(b"x")
        time.sleep(0.2)  # the first is worked for, and the others have come in behind it

        running.process.send(signal.SIGTERM)

        statuses = [parsed(said(connection))[0][0] for connection in large]
    assert running.process.wait() == 0
    assert set(statuses) == {200, 503}
    assert 0 < statuses.count(200) < 25


def test_a_stop_waits_for_no_endless_stream_and_no_answer_that_does_not_come(tmp_path: Path) -> None:
    running = Running(tmp_path)
    endless, old, waiting = (open_socket(running.url) for _ in range(3))
    endless.sendall(ask("/stream?name=endless&pieces=1000000"))
    old.sendall(b"GET /stream?name=old&pieces=1000000 HTTP/1.0\r\n\r\n")
    waiting.sendall(ask("/later?s=60"))
    endless.recv(65536)
    old.recv(65536)
    began = time.monotonic()

    running.process.send(signal.SIGTERM)

    assert running.process.wait() == 0
    assert time.monotonic() - began < 5
    [(status, body)] = parsed(said(waiting))
    assert (status, json.loads(body)["error"]["code"]) == (503, "unavailable")
    with pytest.raises(ConnectionResetError):  # the end of the connection would look like the end of the body
        while old.recv(1 << 20):
            pass
    for connection in (endless, old, waiting):
        connection.close()


def test_a_client_of_every_habit_at_once_is_served(server: Running) -> None:
    """Two hundred connections: some leave, some say half, some ask much; everybody else gets what is theirs."""
    connections: list[tuple[int, socket.socket]] = []
    for number in range(200):
        connection = open_socket(server.url)
        habit = number % 4
        connection.sendall(ask(f"/{number}") * 3 + (LAST if habit == 0 else b"GET /half HTTP/1.1\r\nHo"))
        if habit == 1:
            connection.close()
        connections.append((number, connection))

    for number, connection in connections:
        if number % 4 == 0:
            found: list[Any] = [json.loads(body)["path"] for _, body in parsed(said(connection))]
            assert found == [f"/{number}"] * 3 + ["/last"]
        connection.close()
