"""Who may look: the holder of the read token, or without one whoever sits at this machine."""

from __future__ import annotations

import hmac
from typing import Final

_LOOPBACK: Final = frozenset({"127.0.0.1", "[::1]", "localhost"})


def holds(token: str, offered: str | None) -> bool:
    """True when `offered` is the token; takes the same time however much of it is right."""
    return hmac.compare_digest((offered or "").encode(), token.encode())


def is_this_machine(host_header: str, own_host: str) -> bool:
    """True when the address a browser was given names this machine.

    A page on the web can point its own name at 127.0.0.1 and read what answers there; only its Host gives it away.
    """
    host, separator, port = host_header.rpartition(":")
    if not separator or not port.isdigit():
        host = host_header
    return host.lower() in _LOOPBACK or host.lower() == own_host.lower()
