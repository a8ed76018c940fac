"""What is taken out of events before anything is kept, the quarantine included: addresses and secrets."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import secrets
from collections.abc import Callable, Sequence
from typing import Final

from clickstream.marks import marked
from clickstream.timestamps import DAY_MS
from clickstream.user_agents import describe

CLIENT_IP_CHOICES: Final = ("off", "truncated", "hashed")

# Parameters that carry credentials or people in addresses of real sites; values end where a parameter or text ends.
_SECRET: Final = re.compile(
    rb"((?:[?&#;]|\\u0026)(?:access_token|id_token|refresh_token|auth_token|token|jwt|auth|authorization|api_?key|key|"
    rb"client_secret|secret|password|passwd|pwd|pass|session_?id|sid|otp|code|signature|sig|email|e-mail)=)"
    rb"[^&#;\"\\\s]+",
    re.IGNORECASE,
)
_CREDENTIALS: Final = re.compile(rb"(https?:(?:\\?/){2})[^/\"\\\s@?#]+@", re.IGNORECASE)
_ADDRESS: Final = re.compile(
    rb"(\"(?:\$?ip|ip_?address|client_?ip|remote_?addr|user_ipaddress)\"\s*:\s*)\"([0-9a-fA-F.:]{2,45})\"",
    re.IGNORECASE,
)
_REMOVED: Final = rb"\1***"
_ADDRESS_KEYS: Final = tuple(
    b'"%s"' % key
    for key in b"ip $ip ip_address ipaddress client_ip clientip remote_addr remoteaddr user_ipaddress".split()
)


class Privacy:
    """Cleans records by the settings CLIENT_IP and STRIP_SECRETS."""

    def __init__(self, *, client_ip: str, strip_secrets: bool, clock_ms: Callable[[], int]) -> None:
        self._shorten = {"off": _nothing, "truncated": truncated, "hashed": self._hashed}[client_ip]
        self._strip_secrets = strip_secrets
        self._clock_ms = clock_ms
        self._day = -1
        self._salt = b""

    def cleaned(self, records: Sequence[bytes], *, user_agent: str, address: str | None) -> list[bytes]:
        """`records` of one request without raw addresses and secrets; those of bots say so."""
        found = self._cleaned(records)
        if describe(user_agent).is_bot:
            found = marked(found, "is_bot", True)
        shown = self._shorten(address) if address else None
        return found if shown is None else marked(found, "client_ip", shown)

    def _cleaned(self, records: Sequence[bytes]) -> list[bytes]:
        # One look at all records shows for nearly every request that there is nothing to take out.
        blob = b"\0".join(records)
        if self._strip_secrets and b"=" in blob:
            records = [_SECRET.sub(_REMOVED, record) if b"=" in record else record for record in records]
        if self._strip_secrets and b"@" in blob:
            records = [_CREDENTIALS.sub(rb"\1***@", record) if b"@" in record else record for record in records]
        if _may_hold_address(blob):
            replace = self._without_address
            records = [_ADDRESS.sub(replace, one) if _may_hold_address(one) else one for one in records]
        return list(records)

    def _without_address(self, match: re.Match[bytes]) -> bytes:
        shown = self._shorten(match[2].decode())
        return match[1] + (b"null" if shown is None else f'"{shown}"'.encode())

    def _hashed(self, address: str) -> str | None:
        """Equal within one UTC day of one process, and of no use afterwards: the salt is kept nowhere."""
        day = self._clock_ms() // DAY_MS
        if day != self._day:
            self._day, self._salt = day, secrets.token_bytes(32)
        return None if not _parsed(address) else hmac.new(self._salt, address.encode(), hashlib.sha256).hexdigest()[:16]


def _may_hold_address(text: bytes) -> bool:
    text = text.lower()
    return (b'ip"' in text or b"addr" in text) and any(key in text for key in _ADDRESS_KEYS)


def truncated(address: str) -> str | None:
    """The network of `address`: the first 24 bits of IPv4, the first 48 of IPv6; None when it is no address."""
    parsed = _parsed(address)
    if parsed is None:
        return None
    bits = 24 if parsed.version == 4 else 48
    return str(ipaddress.ip_network((parsed, bits), strict=False).network_address)


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(address)
    except ValueError:
        return None


def _nothing(_: str) -> str | None:
    return None
