"""What is taken out of events before anything is kept, the quarantine included: addresses and secrets."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import secrets
from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import unquote_to_bytes

from clickstream.marks import marked
from clickstream.packed import BASE64, GZIP_OR_ZLIB, inflated, unpacked
from clickstream.timestamps import DAY_MS
from clickstream.user_agents import describe

CLIENT_IP_CHOICES: Final = ("off", "truncated", "hashed")

# Parameters that carry credentials or people in addresses of real sites, also as `user[password]`.
_NAMES: Final = (
    rb"(?:access_token|id_token|refresh_token|auth_token|token|jwt|auth|authorization|api_?key|key|"
    rb"client_secret|secret|password|passwd|pwd|pass|session_?id|sid|otp|code|signature|sig|email|e-mail)"
)
# What JSON's encoders escape inside a value: a slash, or any character but those at which a value ends.
_ESCAPED: Final = rb"\\+(?:/|u(?!00(?:0[9ad]|2[0236]|3b))[0-9a-f]{4})"
# One class of characters in front, by which the search skips the rest; what is escaped there is looked at behind it.
_SECRET: Final = re.compile(
    rb"([?&#;\[\\%](?:(?<=[?&#;\[])|(?<=\\)u00(?:26|3f|23|3b|5b)|(?<=%)(?:25){0,3}(?:26|3f|23|3b|5b))"
    + _NAMES
    + rb"(?:[\[\]]|%(?:25)?5[bd]|\\u005[bd]){0,3}(?:=|\\+u003d))(?:[^&#;\"\\\s]+|"
    + _ESCAPED
    + rb")+",
    re.IGNORECASE,
)
# The same in an address that is itself a parameter: there the value ends at what separates its parameters, encoded.
_ENCODED_SECRET: Final = re.compile(
    rb"([?&#;%](?:(?<=[?&#;])|(?:25){0,3}(?:26|3f|23|3b|5b))"
    + _NAMES
    + rb"(?:%(?:25){0,3}5[bd]){0,3}%(?:25){0,3}3d)(?:[^&#;\"\\\s%]+|%(?!26|23|3b|22|20|0[9ad])|"
    + _ESCAPED
    + rb")+",
    re.IGNORECASE,
)
# A password may hold slashes where its user stands before it, which `host:8080/path@x` must not be taken for. Its
# length is bounded: without that, many beginnings of which none ends would cost the square of their number.
_CREDENTIALS: Final = re.compile(
    rb"(https?:(?:\\*/){2})(?:[^/\"\\\s@?#]*(?:\\+u(?!00(?:2[0-3f]|3f|40))[0-9a-f]{4}[^/\"\\\s@?#]*)*|"
    rb"[^/\"\\\s@?#:]{0,128}:(?!\d{1,5}\\*[/\"?#])(?:[^\"\\\s@?#]|" + _ESCAPED + rb"){1,128})@",
    re.IGNORECASE,
)
_ENCODED_CREDENTIALS: Final = re.compile(
    rb"(https?%3a%2f%2f)(?:[^/\"\\\s@?#&%]|%(?!2f|3f|23|40|22|26)){1,128}(?:%40|@)", re.IGNORECASE
)
# The end of a key under which an address may stand, up to its value; also inside a text that holds JSON of its own.
# Looked for in lower case, because a search that need not mind the case is many times faster.
_ADDRESS_KEY_END: Final = re.compile(
    rb"(?:ip(?:s|[_-]?v[46])?(?:[_-]?addr(?:ess(?:es)?)?)?|remote[_-]?addr(?:ess)?|forwarded[_-]?for)"
    rb"(\\{0,8}\")\s*:\s*"
)
_ADDRESS_KEY: Final = re.compile(
    rb"(?i:(?:\$|[a-z0-9_.$-]*[_.$-]|client|remote|request|sender|source|user|real)?ip(?:s|[_-]?v[46])?"
    rb"(?:[_-]?addr(?:ess(?:es)?)?)?|[a-z0-9_.$-]*(?:remote[_-]?addr(?:ess)?|forwarded[_-]?for))|"
    rb"[A-Za-z0-9]*[a-z0-9]I[pP](?:Addr(?:ess)?)?"
)
_ADDRESS_HINTS: Final = (b'ip"', b"ip\\", b'ips"', b"ipv", b"addr", b"forwarded")
_LONGEST_KEY: Final = 64
_STRING: Final = re.compile(rb"(?:[^\"\\]+|\\.)*", re.DOTALL)
_SCALAR: Final = re.compile(rb"[^,\]}\"\s\\]*")
_STRING_OR_BRACKET: Final = re.compile(rb"\\*\"|[\[\]{}]")
_REMOVED: Final = rb"\1***"
_MOST_LAYERS: Final = 4
_MOST_KEPT_BYTES: Final = 256 * 1024  # of what is no event, as in the quarantine; the rest is not worth the time
_BASE64: Final = re.compile(BASE64.pattern.encode())


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
        if not all([record[:1] == b"{" for record in found]):  # noqa: C419 - for every event, see below
            found = [one if one.lstrip()[:1] == b"{" else self.cleaned_body(one[:_MOST_KEPT_BYTES]) for one in found]
        if describe(user_agent).is_bot:
            found = marked(found, "is_bot", True)
        shown = self._shorten(address) if address else None
        return found if shown is None else marked(found, "client_ip", shown)

    def cleaned_body(self, body: bytes) -> bytes:
        """The readable text of a body that holds no records, without what is taken out of records.

        It comes as it was sent where nothing is to be taken out; else decoded as far as that takes.
        """
        if GZIP_OR_ZLIB.match(body):
            body = inflated(body) or (body if _is_text(body) else b"")
        if b"\0" in body:  # UTF-16, nearly always
            body = body.replace(b"\0", b"").removeprefix(b"\xff\xfe").removeprefix(b"\xfe\xff")
        found = layer = self._cleaned_text(body)
        for _ in range(_MOST_LAYERS):
            below = unquote_to_bytes(layer)
            if below == layer:
                break
            layer = self._cleaned_text(below)
            if layer != below:
                found = layer
        return found

    def _cleaned_text(self, text: bytes) -> bytes:
        (found,) = self._cleaned([b"&" + text])  # a form begins with a parameter
        return _BASE64.sub(self._packed, found[1:])

    def _packed(self, match: re.Match[bytes]) -> bytes:
        content = unpacked(match[0].decode())
        content = inflated(content) or content
        return match[0] if self._cleaned([content]) == [content] else b"***"

    def _cleaned(self, records: Sequence[bytes]) -> list[bytes]:
        # One look at all records shows for nearly every request that there is nothing to take out.
        blob = b"\0".join(records)
        lower = blob.lower()
        if self._strip_secrets:
            if b"=" in blob or (b"\\" in blob and b"u003d" in lower):
                records = [_SECRET.sub(_REMOVED, record) for record in records]
            if b"@" in blob:
                records = [_CREDENTIALS.sub(rb"\1***@", record) if b"@" in record else record for record in records]
            if b"%" in blob:
                records = self._without_encoded_secrets(records, lower)
        # A generator would cost more than all the looks.
        if (b"ip" in lower or b"addr" in lower or b"forwarded" in lower) and any(
            [hint in lower for hint in _ADDRESS_HINTS]  # noqa: C419
        ):
            records = list(map(self._without_addresses, records))
        return list(records)

    @staticmethod
    def _without_encoded_secrets(records: Sequence[bytes], lower: bytes) -> Sequence[bytes]:
        if b"3d" in lower:
            records = [_ENCODED_SECRET.sub(_REMOVED, record) for record in records]
        if b"%3a%2f%2f" in lower and (b"%40" in lower or b"@" in lower):
            records = [_ENCODED_CREDENTIALS.sub(rb"\1***@", record) for record in records]
        return records

    def _without_addresses(self, record: bytes) -> bytes:
        parts: list[bytes] = []
        position = 0
        lower = record.lower()
        while found := _ADDRESS_KEY_END.search(lower, position):
            start, quote = found.end(), found[1]
            begin = record.rfind(b'"', max(position, found.start() - _LONGEST_KEY), found.start()) + 1
            if begin == 0 or _ADDRESS_KEY.fullmatch(record, begin, found.start(1)) is None:
                parts.append(record[position:start])
                position = start
                continue
            end, text = _value(record, start, quote)
            shown = None if text is None else self._shorten(_first_address(text))
            parts += (record[position:start], b"null" if shown is None else quote + shown.encode() + quote)
            position = end
        return b"".join((*parts, record[position:]))

    def _hashed(self, address: str) -> str | None:
        """Equal within one UTC day of one process, and of no use afterwards: the salt is kept nowhere."""
        day = self._clock_ms() // DAY_MS
        if day != self._day:
            self._day, self._salt = day, secrets.token_bytes(32)
        return None if not _parsed(address) else hmac.new(self._salt, address.encode(), hashlib.sha256).hexdigest()[:16]


def _is_text(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def _value(record: bytes, start: int, quote: bytes) -> tuple[int, bytes | None]:
    """Where the value at `start` ends, and what stands in it when it is a text; all of the rest where it is cut."""
    if record.startswith(quote, start):
        begin = start + len(quote)
        if len(quote) == 1:
            end = _end(_STRING, record, begin)
        else:
            end = record.find(quote, begin)
            end = len(record) if end < 0 else end
        return min(end + len(quote), len(record)), record[begin:end]
    if record[start : start + 1] not in (b"[", b"{"):
        return _end(_SCALAR, record, start), None
    depth = 0
    inside = False
    for found in _STRING_OR_BRACKET.finditer(record, start):
        token = found[0]
        if token.endswith(b'"'):
            # With more backslashes than the quotes of this level, it stands inside a text.
            inside = inside != (len(token) == len(quote) or (len(token) - 1) // 2 >= len(quote))
        elif not inside:
            depth += 1 if token in b"[{" else -1
            if depth == 0:
                return found.end(), None
    return len(record), None


def _end(pattern: re.Pattern[bytes], record: bytes, start: int) -> int:
    found = pattern.match(record, start)
    return start if found is None else found.end()


def _first_address(text: bytes) -> str:
    """The sender's in a list as proxies write it, without the zone of the sender's own network."""
    return text.decode("utf-8", "replace").partition(",")[0].partition("%")[0].strip()


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
