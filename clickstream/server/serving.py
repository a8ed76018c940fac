"""Starting, signals and stopping."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NoReturn

import uvloop

from clickstream.errors import PortTaken
from clickstream.server.connection import Connection
from clickstream.server.contract import OnAnswer, WsgiApp
from clickstream.server.service import Service

_BACKLOG: Final = 1024
_LISTENERS: Final = 8  # on one socket: in each turn of the loop uvloop takes one connection of each
_STOP_TIMEOUT_S: Final = 3
_FAULTS_OF_THE_PORT: Final = (errno.EADDRINUSE, errno.EACCES, errno.EPERM)  # else the host is at fault


def serve(
    app: WsgiApp,
    *,
    host: str,
    port: int,
    port_setting: str,
    max_body_bytes: int,
    body_timeout_s: float = 10,
    reader_timeout_s: float = 60,
    on_start: Callable[[asyncio.AbstractEventLoop], None] | None = None,
    on_stopping: Callable[[], None] | None = None,
    on_stop: Callable[[], None] | None = None,
    on_answer: OnAnswer | None = None,
) -> None:
    """Serve `app` until SIGINT or SIGTERM; requests under way are answered first.

    `on_start` runs on the loop before the first request, `on_stopping` when the signal has come; `on_stop` runs on a
    thread after the last request, while the loop still turns; `on_answer` runs on the loop for each answer. Bodies
    larger than `max_body_bytes`, or slower than `body_timeout_s`, are BODY_REFUSED; a client that takes nothing of its
    answer for `reader_timeout_s` is left.
    Raises PortTaken when `host`:`port` cannot be listened on.
    """
    listener = _listen(host, port, port_setting)

    def service(loop: asyncio.AbstractEventLoop) -> Service:
        return Service(
            app,
            loop,
            host=host,
            port=port,
            max_body_bytes=max_body_bytes,
            body_timeout_s=body_timeout_s,
            reader_timeout_s=reader_timeout_s,
            on_answer=on_answer,
        )

    uvloop.run(_serve(service, listener, on_start, on_stopping, on_stop))


async def _serve(
    make_service: Callable[[asyncio.AbstractEventLoop], Service],
    listener: socket.socket,
    on_start: Callable[[asyncio.AbstractEventLoop], None] | None,
    on_stopping: Callable[[], None] | None,
    on_stop: Callable[[], None] | None,
) -> None:
    loop = asyncio.get_running_loop()
    loop.set_default_executor(_Readers(thread_name_prefix="reader"))
    service = make_service(loop)
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    if on_start is not None:
        on_start(loop)
    servers = [
        await loop.create_server(lambda: Connection(service), sock=one, backlog=_BACKLOG)
        for one in (listener, *(listener.dup() for _ in range(_LISTENERS - 1)))
    ]
    watch = loop.create_task(service.watch())
    try:
        await stopped.wait()
        if on_stopping is not None:
            on_stopping()
        for server in servers:
            server.close()
        await service.stop(_STOP_TIMEOUT_S)
    finally:
        watch.cancel()
        if on_stop is not None:
            # Not on a reader's thread: those may have hours to read.
            with ThreadPoolExecutor(1, thread_name_prefix="stop") as thread:
                await loop.run_in_executor(thread, on_stop)


class _Readers(ThreadPoolExecutor):
    """Worker threads that nobody waits for at the end: what they still do is read."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more work."""
        super().shutdown(wait=False, cancel_futures=True)


def leave(code: int) -> NoReturn:
    """End the process now, although worker threads may still be reading; everything else has been closed."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _listen(host: str, port: int, setting: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except (OSError, UnicodeError) as problem:
        listener.close()
        if isinstance(problem, UnicodeError) or problem.errno not in _FAULTS_OF_THE_PORT:
            host_setting, words = setting.replace("PORT", "HOST"), getattr(problem, "strerror", None) or problem
            reason = f'{host_setting}="{host}": this machine cannot listen there: {words}'
            raise PortTaken(f"{reason}; use 127.0.0.1, or one of its own addresses") from None
        reason = f'{setting}="{port}": {host}:{port} cannot be listened on: {problem.strerror}'
        raise PortTaken(f"{reason}; stop what listens there, or choose another {setting}") from None
    return listener
