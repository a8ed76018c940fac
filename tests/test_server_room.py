"""What a client makes the server hold is let go of, however the client ends."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from clickstream.errors import Unavailable
from clickstream.server.connection import Connection
from clickstream.server.request import Request, Room
from clickstream.server.service import Service

LARGE = b"x" * 40_000
OLD = b"POST / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: %d\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"


def send(address: tuple[str, int], sent: bytes, *, leaves: bool) -> None:
    """Send this to a server that may end the connection before it has read all of it."""
    with socket.create_connection(address, timeout=10) as client:
        try:
            client.sendall(sent)
            if not leaves:
                client.shutdown(socket.SHUT_WR)
                while client.recv(65536):
                    pass
        except OSError as problem:
            if problem.errno not in {errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN}:
                raise


def held_after(sent: bytes, app: Callable[..., Iterable[bytes]], *, leaves: bool = False) -> int:
    """How much room is still taken when a client has sent this, and its connection has ended."""

    async def run() -> int:
        loop = asyncio.get_running_loop()
        service = new_service(app, loop)
        made = list[Connection]()

        def connect() -> Connection:
            made.append(Connection(service))
            return made[-1]

        async with await loop.create_server(connect, "127.0.0.1", 0) as server:
            await asyncio.to_thread(send, server.sockets[0].getsockname(), sent, leaves=leaves)
            while not made or service.connections:
                await asyncio.sleep(0.001)
        return service.room.held_bytes

    return asyncio.run(run())


class Full(asyncio.Transport):
    """Takes nothing more, and then goes."""

    def close(self) -> None:
        """Do so."""
        self.is_closing = lambda: True  # type: ignore[method-assign]

    def is_closing(self) -> bool:
        """Not yet."""
        return False


def new_service(app: Callable[..., Iterable[bytes]], loop: asyncio.AbstractEventLoop) -> Service:
    return Service(
        app,
        loop,
        host="127.0.0.1",
        port=0,
        max_body_bytes=50_000,
        body_timeout_s=10,
        reader_timeout_s=60,
        on_answer=None,
    )


def answers(_: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    start("200 OK", [("Content-Length", "0")])
    return []


def fails(_: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    raise RuntimeError("as asked")


@pytest.mark.parametrize(
    ("first", "app"),
    [
        pytest.param(OLD % 0, answers, id="one that ends the connection"),
        pytest.param(OLD % 20_000 + b"y" * 20_000, answers, id="a large one that ends the connection"),
        pytest.param(POST % 50_001 + b"y" * 50_001, answers, id="one that is too large"),
        pytest.param(POST % 0, fails, id="one that fails"),
    ],
)
def test_what_is_sent_behind_a_last_request_takes_no_room_for_ever(
    first: bytes, app: Callable[..., Iterable[bytes]]
) -> None:
    assert held_after(first + 3 * (POST % len(LARGE) + LARGE), app) == 0


@pytest.mark.parametrize("cut", [1, 30_000])
def test_who_leaves_takes_no_room_for_ever(cut: int) -> None:
    assert held_after((3 * (POST % len(LARGE) + LARGE))[:-cut], answers, leaves=True) == 0


def test_a_stream_ends_whose_client_left_while_the_next_piece_was_made() -> None:
    async def run() -> bool:
        connection, transport = Connection(new_service(answers, asyncio.get_running_loop())), Full()
        connection.connection_made(transport)
        connection.pause_writing()
        transport.close()
        connection.connection_lost(None)

        return await asyncio.wait_for(connection.takes_more(), timeout=5)

    assert asyncio.run(run()) is False


def test_when_the_room_is_taken_only_small_bodies_are_read() -> None:
    room = Room(max_body_bytes=10**6)
    room.held_bytes = 64 * 1024 * 1024 + 1
    small, large, parts = Request(room), Request(room), Request(room)

    small.add(b"x" * 16_000)
    large.add(b"x" * 17_000)  # in one part: thousands of clients could leave it at that
    parts.add(b"x" * 16_000)
    parts.add(b"x" * 1_000)

    assert small.refused is None
    assert isinstance(large.refused, Unavailable)
    assert isinstance(parts.refused, Unavailable)
    assert room.held_bytes == 64 * 1024 * 1024 + 1 + 16_000
