"""Who may look: the holder of the read token, or without one whoever sits at this machine."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any, Final

_LOOPBACK: Final = frozenset({"127.0.0.1", "[::1]", "localhost"})
_OF_PROXIES: Final = ("HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_HOST", "HTTP_FORWARDED", "HTTP_X_REAL_IP", "HTTP_VIA")


def holds(token: str, offered: str | None) -> bool:
    """True when `offered` is the token; takes the same time however much of it is right."""
    return hmac.compare_digest((offered or "").encode(), token.encode())


def why_strange(environ: Mapping[str, Any], own_host: str) -> str:
    """Why a request without a token may be a stranger's; empty when somebody at this machine sent it."""
    if any(name in environ for name in _OF_PROXIES):
        return "this came through a proxy, so anybody may have sent it"
    host = environ.get("HTTP_HOST", own_host)  # without one no page asks
    return "" if _is_this_machine(host, own_host) else f"{host[:60]} is not this machine"


def _is_this_machine(host_header: str, own_host: str) -> bool:
    """True when the address a browser was given names this machine.

    A page on the web can point its own name at 127.0.0.1 and read what answers there; only its Host gives it away.
    """
    host, separator, port = host_header.rpartition(":")
    if not separator or not port.isdigit():
        host = host_header
    return host.lower() in _LOOPBACK or host.lower() == own_host.lower()
