"""What a file is before anything in it is touched: a journal, an array of an older version, or somebody else's."""

from __future__ import annotations

import enum
import json
import os
import re
from collections.abc import Iterator, Sequence
from itertools import chain, pairwise
from typing import Final

import msgspec

from clickstream.journal import layout

_JSON_SPACE: Final = b" \t\r\n"
_LOOKED_AT: Final = 1 << 20  # bytes at each end of the file
_DAMAGED_OPENING: Final = 2  # bytes of a first line that may have been `[`
_OURS: Final = b'"received_at":'  # the server puts it into every record
_ARRAY_BEGINS: Final = re.compile(rb"\s*\[\s*(?:\{|$)")
_FIRST_KEY: Final = re.compile(rb'\s*\[\s*(?:$|\{\s*(?:$|"[^"]*$|"([^"]*)"))')  # group 1 is the key, unless it is cut
_FIRST_KEYS: Final = frozenset(
    b" event_id event_type user_id anonymous_id session_id timestamp properties received_at".split(b" ")
)
_arrays: Final = msgspec.json.Decoder(list[msgspec.Raw])


class _Typed(msgspec.Struct):
    event_type: str


_typed: Final = msgspec.json.Decoder(_Typed)


class Kind(enum.Enum):
    """What can stand at EVENTS_FILE."""

    JOURNAL = "journal"  # be it damaged or half-written
    ARRAY = "array"  # of events, as json.dump writes it, be its end missing
    LINES = "lines"  # one event a line and nothing around them: an export as NDJSON
    OTHER = "other"


def identify(fd: int) -> Kind:
    """What the file holds. Only what is surely a journal may be mended in place."""
    head = os.pread(fd, _LOOKED_AT, 0)
    if layout.EMPTY.startswith(head):
        return Kind.JOURNAL
    by_hand = head.startswith(b"[{") and not _is_closed(fd)  # `[{...},\n{...}]`
    opening, _, rest = head.partition(b"\n")
    lines = list(_lines(rest, _end(fd)))
    is_opened = len(opening) <= _DAMAGED_OPENING or opening[:1] == b"[" or b"\0" in opening
    may_be_ours = is_opened and not _has_other_ends(fd, head)
    if may_be_ours and not by_hand and (any(map(_is_framed, pairwise([*lines, b""]))) or _is_torn_first(head, lines)):
        return Kind.JOURNAL
    is_framed = may_be_ours and (head.startswith(b"[\n{") or _is_closed(fd))
    if not is_framed and is_event(opening):
        return Kind.LINES  # before the whole file is read: an export can be larger than the memory
    return _by_content(_content(fd), head, lines, is_framed=is_framed)


def _has_other_ends(fd: int, head: bytes) -> bool:
    """Whether the lines end as an editor or a git leaves them, so that the file is to be converted.

    All of them do, or it is a whole array nevertheless; else a few bytes of a journal are damaged.
    """
    if not (head.startswith(b"[\r\n") or b",\r\n" in head):
        return False
    return head.count(b"\n") == head.count(b"\r\n") or _whole_array(_content(fd)) is not None


def _by_content(content: bytes, head: bytes, lines: Sequence[bytes], *, is_framed: bool) -> Kind:
    """The same of a file that has no line of a journal in sight."""
    whole = _whole_array(content)
    if whole is not None and any(map(is_event, whole)):
        is_journal = content == layout.OPENING + layout.addition(whole, layout.START) + layout.CLOSING  # of long lines
        return Kind.JOURNAL if is_journal else Kind.ARRAY
    if whole is not None:
        return Kind.OTHER if whole else Kind.ARRAY
    if is_framed and any(_OURS in line and b'"event_type":' in line for line in (head.partition(b"\n")[0], *lines)):
        return Kind.JOURNAL
    if any(map(is_event, _salvage(content))):
        return Kind.ARRAY
    first_key = _FIRST_KEY.match(head)
    is_ours = b'"event_type"' in content or (first_key is not None and (first_key[1] or b"") in _FIRST_KEYS)
    if is_ours and _ARRAY_BEGINS.match(head) and not any(map(_is_object, lines)):
        return Kind.JOURNAL if is_framed else Kind.ARRAY  # nothing whole in it to tell by
    return Kind.LINES if is_event(head.partition(b"\n")[0]) else Kind.OTHER


def array_records(fd: int) -> list[bytes]:
    """The elements of a JSON array, or the whole objects of one whose end is missing."""
    content = _content(fd)
    whole = _whole_array(content)
    return _salvage(content) if whole is None else whole


def is_event(line: bytes) -> bool:
    """Whether `line` is an object that names an event_type."""
    try:
        _typed.decode(line)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return False
    return True


def _lines(head: bytes, end: bytes) -> Iterator[bytes]:
    stripped = (line.rstrip(b" \r") for part in (head, end) for line in part.split(b"\n"))
    return (line for line in stripped if line)


def _end(fd: int) -> bytes:
    """The last lines of a file that is longer than what was looked at."""
    size = os.fstat(fd).st_size
    return os.pread(fd, _LOOKED_AT, max(_LOOKED_AT, size - _LOOKED_AT)).partition(b"\n")[2]


def _is_framed(pair: tuple[bytes, bytes]) -> bool:
    """Whether a line is an event that stands in an array: a comma or the closing follows."""
    line, following = pair
    return is_event(line[:-1]) if line.endswith(b",") else following == b"]" and is_event(line)


def _is_torn_first(head: bytes, lines: Sequence[bytes]) -> bool:
    return head.startswith(b"[\n{") and is_event(next(chain(lines, [b""])))


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(msgspec.json.decode(line.removesuffix(b",")), dict)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return False


def _is_closed(fd: int) -> bool:
    length = len(layout.CLOSING)
    return os.pread(fd, length, max(0, os.fstat(fd).st_size - length)) == layout.CLOSING


def _content(fd: int) -> bytes:
    """The whole file; one read gives at most 2 GiB."""
    parts: list[bytes] = []
    position = 0
    while part := os.pread(fd, 1 << 30, position):
        parts.append(part)
        position += len(part)
    return b"".join(parts)


def _whole_array(content: bytes) -> list[bytes] | None:
    try:
        return [bytes(raw) for raw in _arrays.decode(content)]
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None


def _salvage(content: bytes) -> list[bytes]:
    """The whole objects at the start of an array whose end is missing: what a killed json.dump leaves."""
    text = content.strip(_JSON_SPACE).decode(errors="replace")
    decoder = json.JSONDecoder()
    raws: list[bytes] = []
    position = 1
    while text[:1] == "[" and (start := text.find("{", position)) >= 0:
        if text[position:start].strip(" \t\r\n,"):
            break
        try:
            _, position = decoder.raw_decode(text, start)
        except (json.JSONDecodeError, RecursionError):
            break
        raws.append(text[start:position].encode())
    return raws
