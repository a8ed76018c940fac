"""How much of an answer a client has not taken yet, so that a slow reader costs no memory.

granian queues whatever a view sends, however slowly the client reads: ten readers that stop in the middle of an
export of a million events cost two gigabytes. It tells nobody, but the kernel does: it counts the bytes that the
other side has not confirmed. Linux only; elsewhere nothing is held back, as granian does by itself.
"""

from __future__ import annotations

import array
import fcntl
import os
import select
import socket
import termios
from pathlib import Path
from typing import Final

_DESCRIPTORS: Final = Path("/proc/self/fd")


class Unsent:
    """A look at the connection with `client` (`address:port`); close it."""

    def __init__(self, client: str) -> None:
        host, _, port = client.rpartition(":")
        self._socket = _connection(host.strip("[]"), int(port)) if port.isdigit() and _DESCRIPTORS.is_dir() else None

    def bytes(self) -> int:
        """Bytes that the kernel holds for the client; 0 where that cannot be known and when the client has gone."""
        if self._socket is None or self._is_gone():
            return 0
        count = array.array("i", [0])
        try:
            fcntl.ioctl(self._socket.fileno(), termios.TIOCOUTQ, count)
        except OSError:
            return 0  # closed meanwhile: the next send says so
        return count[0]

    def _is_gone(self) -> bool:
        assert self._socket is not None
        poll = select.poll()
        poll.register(self._socket, 0)  # errors and hang-ups are always reported
        return bool(poll.poll(0))

    def close(self) -> None:
        """Let go of the connection, which stays as it is."""
        if self._socket is not None:
            self._socket.close()


def _connection(host: str, port: int) -> socket.socket | None:
    for name in os.listdir(_DESCRIPTORS):  # noqa: PTH208 - names only
        try:
            descriptor = os.dup(int(name))
        except OSError:
            continue  # closed since it was listed
        try:
            found = socket.socket(fileno=descriptor)
        except OSError:
            os.close(descriptor)
            continue
        try:
            if found.family in (socket.AF_INET, socket.AF_INET6) and found.getpeername()[:2] == (host, port):
                return found
        except OSError:
            pass  # a listening socket has no peer
        found.close()
    return None
