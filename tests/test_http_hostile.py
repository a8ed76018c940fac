"""Broken, hostile and slow clients: no crash, no hang, nothing kept that was not acknowledged."""

from __future__ import annotations

import contextlib
import gzip
import random
import socket
import time
from collections.abc import Iterator

import pytest

from clickstream.errors import RECORD_CODES
from tests.support.http_client import Client, error_code, fresh, open_socket, said
from tests.support.native import encoded
from tests.support.platform import Platform, platform

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with platform(tmp_path_factory.mktemp("http")) as running:
        yield running


@pytest.fixture(scope="module")
def client(api: Platform) -> Iterator[Client]:
    client = Client(api.url)
    yield client
    client.close()


def test_a_chunked_body_beyond_the_limit_is_refused_and_an_endless_one_cut_off(api: Platform) -> None:
    head = b"POST /events HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    part = b"%x\r\n%b\r\n" % (1 << 20, b" " * (1 << 20))
    with open_socket(api.url) as connection:
        connection.sendall(head + part * 7 + b"0\r\n\r\n")
        assert said(connection).startswith(b"HTTP/1.1 413 ")
    with open_socket(api.url) as connection, pytest.raises((BrokenPipeError, ConnectionResetError)):
        connection.sendall(head)
        for _ in range(120):
            connection.sendall(part)
    client = Client(api.url)
    assert client.get("/health")["status"] == "ok"
    client.close()


def test_an_endless_head_is_cut_off_and_one_that_nobody_sends_is_refused(api: Platform) -> None:
    begun = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    sent = 0
    with open_socket(api.url) as connection, pytest.raises((BrokenPipeError, ConnectionResetError)):
        connection.sendall(begun + b"X-Endless: ")
        while True:
            sent += connection.send(b"x" * (1 << 20))
    assert sent < 20_000_000  # what the two sockets hold
    for headers in (b"".join(b"X-%d: y\r\n" % n for n in range(250)), b"X-" + b"y" * 300 + b": z\r\n"):
        assert answered(api, begun + headers + b"\r\n").startswith(b"HTTP/1.1 400 ")
    with open_socket(api.url) as connection:
        connection.sendall(
            b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Long: " + b"x" * 30_000 + b"\r\n\r\n"
        )
        assert said(connection).startswith(b"HTTP/1.1 200 ")


def test_who_asks_before_sending_a_body_is_told_to_go_on_and_one_connection_serves_many(api: Platform) -> None:
    body = encoded(fresh())
    asks = b"POST /events HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body)
    health = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
    with open_socket(api.url) as connection:
        connection.sendall(asks)
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert connection.recv(65536).startswith(b"HTTP/1.1 202 ")
        connection.sendall(b"HEAD /docs HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = connection.recv(65536)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert answer.endswith(b"\r\n\r\n")
        connection.sendall(health + health.replace(b"Host", b"Connection: close\r\nHost"))  # both before any answer
        both = said(connection)
        assert both.count(b"HTTP/1.1 200 OK\r\n") == both.count(b'"status":"ok"') == 2


HAND_MADE = [
    b"", b" ", b"\0", b"\n\n\n", b"null", b"true", b"0", b"-", b'""', b'"', b"{", b"}", b"[", b"]", b"[[]]", b"[{}]",
    b"{}", b'{"records":', b'{"records":[{}', b'{"records":{}}', b'{"records":[[[[]]]]}',
    b'{"records":[null,true,1,"x",[],{}]}',
    b'{"records":[],"records":[1]}', b'{"event_type":{}}',
    b'{"event_type":"click"}{"event_type":"click"}', b"\xef\xbb\xbf",
    b"\xff\xfe[\x00]\x00", b"[" * 100_000, b'{"a":' * 100_000, b"[" * 50_000 + b"]" * 50_000,
    b'{"event_type":"\\ud800","user_id":"u"}',
    b'{"event_type":"click","user_id":"u","n":1e400}', b'{"event_type":"click","user_id":"u","n":NaN}',
    b'{"event_type":"click","user_id":"u\x00"}', b'{"event_type":"click","user_id":"' + b"x" * 300_000 + b'"}',
    b"\x1f\x8b", b"\x1f\x8b\x08\x00" + b"\0" * 20, gzip.compress(b""), gzip.compress(b"{")[:-3], b"PK\x03\x04" * 50,
    b"event_type=click&user_id=u", b'{"event_type":"click","user_id":"u","timestamp":"9999-12-31T23:59:59-23:59"}',
    b'{"event_type":"click","user_id":"u","timestamp":"0001-01-01T00:00:00+23:59"}',
    b'{"event_type":"click","user_id":"u","properties":{"total":' + b"9" * 4000 + b"}}",
]  # fmt: skip


def mutated(chance: random.Random, body: bytes) -> bytes:
    """`body` after one to four edits such as broken senders, proxies and attackers make."""
    content = bytearray(body)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(content) + 1)
        kind = chance.randrange(6)
        if kind == 0:
            del content[at:]
        elif kind == 1:
            del content[at : at + chance.randint(1, 20)]
        elif kind == 2:
            content[at:at] = chance.choice(
                [
                    b"{",
                    b"}",
                    b"[",
                    b"]",
                    b'"',
                    b"\\",
                    b",",
                    b":",
                    b"\n",
                    b"\0",
                    b"\xff",
                    b"1e999",
                    b"NaN",
                    b"\\ud800",
                    b"null",
                ]
            )
        elif kind == 3:
            content[at : at + 1] = bytes([chance.randrange(256)])
        elif kind == 4:
            content[at:at] = content[: chance.randint(0, 80)]
        else:
            content = content[::-1] if chance.random() < 0.05 else content * 2
    return bytes(content)


def test_ten_thousand_mutated_bodies_and_forty_made_by_hand_find_no_crack(api: Platform, client: Client) -> None:
    chance = random.Random(20260115)
    seeds = [
        encoded(fresh()),
        encoded([fresh(), fresh(event_type="purchase", properties={"total": 19.99, "items": [{"product_id": "p"}]})]),
        encoded({"records": [fresh(), fresh(country="DE", tags=["a"])]}),
        encoded(fresh()) + b"\n" + encoded(fresh()),
        gzip.compress(encoded(fresh()), mtime=0),
    ]
    bodies = HAND_MADE + [mutated(chance, chance.choice(seeds)) for _ in range(10_000)]
    types = ["application/json"] * 6 + ["application/x-ndjson", "text/plain", "", "application/xml"]
    before = client.get("/stats")
    expected = before["accounting"]["accepted"]
    seen: set[str] = set()

    for body in bodies:
        answer = client.post(body, content_type=chance.choice(types))
        assert answer.status < 500, body[:200]
        if answer.status == 202:
            expected += answer.json["processed"]
            codes = {one["code"] for one in answer.json.get("rejected", [])}
        else:
            seen.add(error_code(answer))
            codes = {one["code"] for one in answer.json.get("rejected", [])}
        assert codes <= RECORD_CODES
        seen |= codes

    time.sleep(0.12)  # /stats may be a tenth of a second old
    after = client.get("/stats")
    accounting = after["accounting"]
    assert accounting["accepted"] == expected
    assert accounting["received"] == accounting["accepted"] + accounting["duplicates"] + accounting["rejected"]
    assert (
        after["total_events"]
        == len(api.events())
        == expected - before["accounting"]["accepted"] + before["total_events"]
    )
    assert len(seen) >= 12, seen
    assert api.process.poll() is None


@pytest.mark.measures
def test_two_hundred_slow_clients_stop_nobody_and_are_closed(api: Platform) -> None:
    slow: list[socket.socket] = []
    begin = time.monotonic()
    for n in range(200):
        connection = open_socket(api.url)
        head = b"POST /events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5000\r\n"
        connection.sendall(head + (b'\r\n{"records":[' if n % 2 else b""))
        slow.append(connection)
    client = Client(api.url)
    latencies: list[float] = []
    gone = 0
    while slow and time.monotonic() - begin < 20:
        for connection in slow[:]:
            connection.setblocking(False)
            try:
                connection.sendall(b"x")
                while connection.recv(1000):
                    pass
                closed = True
            except BlockingIOError:
                closed = False
            except OSError:
                closed = True
            if closed:
                connection.close()
                slow.remove(connection)
                gone += 1
        for _ in range(5):
            started = time.perf_counter()
            assert client.post(encoded(fresh())).status == 202
            latencies.append(time.perf_counter() - started)
    elapsed = time.monotonic() - begin
    client.close()
    for connection in slow:
        connection.close()

    latencies.sort()
    assert gone == 200
    assert elapsed <= 15, f"the last slow client was closed after {elapsed:.1f} s"
    assert latencies[len(latencies) * 99 // 100] < 0.5


POST = b"POST /events HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"


def answered(api: Platform, sent: bytes) -> bytes:
    with open_socket(api.url) as connection:
        connection.sendall(sent)
        return said(connection)


@pytest.mark.parametrize("offer", [b"h2c", b"websocket"])
@pytest.mark.parametrize("packets", [1, 2])
def test_an_offer_to_change_the_protocol_is_ignored_and_the_event_kept(
    api: Platform, client: Client, offer: bytes, packets: int
) -> None:
    event, later = fresh(), fresh()
    body = encoded(event)
    offers = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: %b\r\nHTTP2-Settings: AAMAAABkAAQ\r\n" % offer
    head = b"POST /events HTTP/1.1\r\nHost: x\r\n%bContent-Length: %d\r\n\r\n" % (offers, len(body))
    with open_socket(api.url) as connection:
        if packets == 1:
            connection.sendall(head + body)
        else:
            connection.sendall(head)
            client.get("/health")  # asked last: the head has been read by now, and without the body
            connection.sendall(body)
        assert connection.recv(65536).startswith(b"HTTP/1.1 202 ")
        connection.sendall(POST + b"Content-Length: %d\r\n\r\n" % len(encoded(later)) + encoded(later))
        assert said(connection).startswith(b"HTTP/1.1 202 ")
        assert {event["event_id"], later["event_id"]} <= {one["event_id"] for one in client.get("/events")["events"]}
    chunked = POST + offers.replace(b"Connection: ", b"Connection: close, ") + b"Transfer-Encoding: chunked\r\n\r\n"
    again = encoded(fresh())
    assert answered(api, chunked + b"%x\r\n%b\r\n0\r\n\r\n" % (len(again), again)).startswith(b"HTTP/1.1 202 ")


def test_trailers_change_nothing_and_many_of_them_are_refused(api: Platform, client: Client) -> None:
    body = encoded(fresh())
    chunks = POST + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n" % (len(body), body)

    assert answered(api, chunks + b"Content-Encoding: br\r\nX-A: b\r\n\r\n").startswith(b"HTTP/1.1 202 ")
    for flood in (b"a:\r\n" * 500_000, b"a: " + b"x" * 4_000_000 + b"\r\n"):
        with open_socket(api.url) as connection, contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(chunks + flood + b"\r\n")
        begin = time.perf_counter()
        assert client.get("/health")["status"] == "ok"
        assert time.perf_counter() - begin < 0.5


def test_what_comes_behind_a_request_that_is_still_answered_is_bounded_too(api: Platform, client: Client) -> None:
    wait = b"GET /expect?event_type=never&timeout=3s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    with open_socket(api.url) as connection, contextlib.suppress(BrokenPipeError, ConnectionResetError):
        connection.sendall(wait + b"GET / HTTP/1.1\r\n")
        connection.sendall(b"a:\r\n" * 4_000_000)
    begin = time.perf_counter()
    assert client.get("/health")["status"] == "ok"
    assert time.perf_counter() - begin < 0.5


def test_a_kept_event_is_acknowledged_though_garbage_follows_it(api: Platform, client: Client) -> None:
    for garbage in (b"GARBAGE\r\n\r\n", b"}"):
        event = fresh()
        body = encoded(event)
        answer = answered(
            api,
            POST.replace(b"Connection: close\r\n", b"") + b"Content-Length: %d\r\n\r\n" % len(body) + body + garbage,
        )
        assert answer.startswith(b"HTTP/1.1 202 ")
        assert answer.count(b"HTTP/1.1 ") == 1
        assert event["event_id"] in {one["event_id"] for one in client.get("/events")["events"]}


def test_a_client_that_only_listens_on_gets_its_answer(api: Platform) -> None:
    body = encoded(fresh())
    with open_socket(api.url) as connection:
        connection.sendall(POST.replace(b"close", b"keep-alive") + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        connection.shutdown(socket.SHUT_WR)
        assert said(connection).startswith(b"HTTP/1.1 202 ")


def test_a_body_that_a_get_need_not_have_is_no_second_request(api: Platform) -> None:
    answer = answered(
        api, b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 200000\r\n\r\n" + b"x" * 200_000
    )
    assert answer.count(b"HTTP/1.1 ") == 1
    assert answer.startswith(b"HTTP/1.1 200 ")
