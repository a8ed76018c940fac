"""Whether a TCP port can be listened on, who holds it, and which one is free."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import shutil
import socket
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_LISTENING: Final = "0A"  # state TCP_LISTEN in /proc/net/tcp

# Below what systems give to outgoing connections (32768 and up), above those that browsers refuse (10080 is the last).
_FIRST_FREE, _FREE = 11_000, 21_000
# Each process tries one after the other from a place of its own. Steps of the golden section keep processes that
# were started one after the other far apart: a port that one has chosen and not opened yet is not chosen by another.
_turns = itertools.count(os.getpid() * round(_FREE * 0.618034))


@dataclass(frozen=True, slots=True)
class Owner:
    """The process that listens on a port."""

    pid: int
    command: str


def why_not(host: str, port: int) -> OSError | None:
    """None when a server could listen on `host`:`port` now, else the reason."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            # As servers do it: connections of an earlier run that are in TIME_WAIT do not count as taken.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
        # After that, so that nobody calls at the address of another machine.
        with socket.socket(family, kind, protocol) as probe:
            probe.settimeout(0.5)
            # BSD kernels let a socket bind 127.0.0.1 beside a listener on *: there a bind alone proves nothing.
            if probe.connect_ex(address) == 0:
                return OSError(errno.EADDRINUSE, "somebody answers there")
    except OSError as reason:  # socket.gaierror is one too
        return reason
    return None


def free_port() -> int:
    """A loopback port that nobody listens on, and that no other process is about to get from here."""
    for turn in _turns:
        port = _FIRST_FREE + turn % _FREE
        if why_not("127.0.0.1", port) is None:
            return port
    raise AssertionError("the turns have no end")


def next_free(host: str, port: int, *, avoid: Iterable[int] = ()) -> int | None:
    """The first free port of the hundred above `port` that is not in `avoid`."""
    avoided = set(avoid)
    candidates = (p for p in range(port + 1, min(port + 101, 65536)) if p not in avoided)
    return next((candidate for candidate in candidates if why_not(host, candidate) is None), None)


def owner(port: int) -> Owner | None:
    """The listener on `port`, where this user may see it (Linux: /proc; elsewhere: lsof)."""
    if Path("/proc/net/tcp").exists():
        return _owner_from_proc(port)
    return _owner_from_lsof(port)


def _owner_from_proc(port: int) -> Owner | None:
    links = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    if not links:
        return None
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and _holds(process, links):
            return Owner(int(process.name), _command(process))
    return None


def _listening_inodes(port: int) -> set[str]:
    inodes: set[str] = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for row in Path(table).read_text().splitlines()[1:]:
                fields = row.split()
                local_port = int(fields[1].rpartition(":")[2], 16)
                if local_port == port and fields[3] == _LISTENING:
                    inodes.add(fields[9])
    return inodes


def _holds(process: Path, links: set[str]) -> bool:
    with contextlib.suppress(OSError):  # ended meanwhile, or another user's
        for descriptor in (process / "fd").iterdir():
            with contextlib.suppress(OSError):
                if str(descriptor.readlink()) in links:
                    return True
    return False


def _command(process: Path) -> str:
    try:
        words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return "?"
    return " ".join(word for word in words if word)[:80]


def _owner_from_lsof(port: int) -> Owner | None:
    lsof = shutil.which("lsof")
    if lsof is None:
        return None
    command = [lsof, "-nP", f"-iTCP:{port}", "-sTCP:LISTEN", "-Fpc"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)  # noqa: S603 - fixed
    except (OSError, subprocess.TimeoutExpired):
        return None
    fields = {line[0]: line[1:] for line in reversed(answer.stdout.splitlines()) if line}  # p<pid>, c<command>
    return Owner(int(fields["p"]), fields.get("c", "?")) if fields.get("p", "").isdigit() else None
