"""Whether something that was refused or set aside mentions a person, in whichever form it came.

Of what reads as JSON each value is compared whole. Of anything else each whole word counts, also behind the
escapes of JSON and URLs, base64 and gzip: rather too much is found than too little.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from clickstream.packed import BASE64, GZIP_OR_ZLIB, inflated, unpacked

# Packed inside packed inside packed; what hides deeper was made to hide.
_MOST_LAYERS: Final = 4
_ESCAPE: Final = re.compile(r"(?:\\u[0-9a-fA-F]{4})+|\\.", re.DOTALL)


class _Number(str):
    """A number as it was written."""

    __slots__ = ()


class _Object(list[tuple[str, Any]]):
    """The members of an object; a key that stands twice has two values."""

    __slots__ = ()


class Mentions:
    """Looks for any of `ids`, compared as texts."""

    def __init__(self, ids: Iterable[str]) -> None:
        self._ids = frozenset(ids)

    def in_line(self, line: bytes) -> bool:
        """In a line of the quarantine, or of any other file."""
        try:
            entry = msgspec.json.decode(line)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            return self.in_bytes(line)
        entry = entry if isinstance(entry, dict) else {}
        raw, packed = entry.get("raw"), entry.get("raw_base64")
        if isinstance(raw, str):
            return self._in_text(raw, 0)
        return self.in_bytes(unpacked(packed) if isinstance(packed, str) else line)

    def in_bytes(self, content: bytes) -> bool:
        """In a body or a file, as it came."""
        return self._in_bytes(content, 0)

    def _in_bytes(self, content: bytes, depth: int) -> bool:
        if GZIP_OR_ZLIB.match(content):
            content = inflated(content) or content
        if b"\0" in content:
            content = content.replace(b"\0", b"")  # UTF-16, nearly always
        return self._in_text(content.decode("utf-8", "replace"), depth)

    def _in_text(self, text: str, depth: int) -> bool:
        if not self._is_possible(text):
            return False
        value = _read(text)
        if value is not None:
            return self._in_value(value, depth)
        for form in _forms(text):
            if self._has_word(form):
                return True
            packed = BASE64.findall(form) if depth < _MOST_LAYERS else ()
            if any(self._in_bytes(unpacked(one), depth + 1) for one in packed):
                return True
        return False

    def _in_value(self, value: object, depth: int) -> bool:
        rest: list[tuple[str, object]] = [("", value)]
        while rest:
            name, one = rest.pop()
            if isinstance(one, _Object):
                if any(key in self._ids for key, _ in one):
                    return True
                rest.extend(one)
            elif isinstance(one, list):
                rest.extend((name, element) for element in one)
            elif isinstance(one, _Number):
                # Elsewhere a number is a price or a count; rewriting for each of them would empty the quarantine.
                if name.lower().endswith("id") and one.removesuffix(".0") in self._ids:
                    return True
            elif isinstance(one, str) and (one in self._ids or self._is_packed_in(one, depth)):
                return True
        return False

    def _is_packed_in(self, text: str, depth: int) -> bool:
        """Inside a text that holds JSON of its own, as Snowplow and PostHog send it."""
        if depth >= _MOST_LAYERS:
            return False
        if text.lstrip()[:1] in ("{", "["):
            return self._in_text(text, depth + 1)
        return bool(BASE64.match(text)) and self._in_bytes(unpacked(text), depth + 1)

    def _is_possible(self, text: str) -> bool:
        """A cheap look that spares most texts the reading."""
        return "\\" in text or "%" in text or any(one in text for one in self._ids) or BASE64.search(text) is not None

    def _has_word(self, text: str) -> bool:
        spaced = text.replace("+", " ")
        return any(
            one in form and re.search(rf"(?<![^\W_]){re.escape(one)}(?![^\W_])", form)
            for form in ((text,) if spaced == text else (text, spaced))
            for one in self._ids
        )


def _read(text: str) -> object:
    """The value that `text` is as JSON; None when it is none or only a word or a number."""
    try:
        value = json.loads(text, object_pairs_hook=_Object, parse_int=_Number, parse_float=_Number)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, list) else None


def _forms(text: str) -> Iterator[str]:
    """`text`, and what is below one and more layers of escapes."""
    for _ in range(_MOST_LAYERS):
        yield text
        below = _ESCAPE.sub(_unescaped, unquote(text))
        if below == text:
            return
        text = below


def _unescaped(match: re.Match[str]) -> str:
    try:
        return str(json.loads(f'"{match[0]}"'))
    except ValueError:
        return match[0][1:]
