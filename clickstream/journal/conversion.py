"""An `events_backup.json` that an older version or json.dump wrote -> a journal, once, with the original kept."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import time
from itertools import count
from pathlib import Path
from typing import Final

import msgspec

from clickstream.errors import JournalDamaged
from clickstream.journal import layout

_log: Final = logging.getLogger(__name__)
_JSON_SPACE: Final = b" \t\r\n"
_HEAD_BYTES: Final = 1 << 20
_arrays: Final = msgspec.json.Decoder(list[msgspec.Raw])


def is_needed(fd: int) -> bool:
    """True unless the file is a journal, be it a damaged or half-written one."""
    head = os.pread(fd, _HEAD_BYTES, 0)
    if layout.EMPTY.startswith(head):
        return False
    is_framed = not head.startswith(b"[{") or _is_closed(fd)  # else `[{...},\n{...}]`, which somebody made by hand
    if is_framed and any(_is_record(line) for line in head.split(b"\n", 100)[1:]):
        return False
    return _is_array(fd) or not _has_frame(fd)


def convert(fd: int, path: Path) -> int:
    """Descriptor of a locked journal that now stands at `path`; the original is kept beside it.

    Atomic: whoever opens `path` at any moment, also after a power cut, finds the old file or the new one.
    Raises JournalDamaged, leaving the file as it was, when it is not a JSON array.
    """
    from clickstream.journal.file import sync, sync_directory, write_fully  # noqa: PLC0415 - file.py imports this one

    records = _old_records(fd)
    if not records and not os.pread(fd, _HEAD_BYTES, 0).lstrip(_JSON_SPACE).startswith(b"["):
        raise JournalDamaged(f"{path} is not a JSON array of events; move it away, or choose another EVENTS_FILE")
    kept = _free_name(path)
    fresh = path.with_name(f"{path.name}.converting")
    new_fd = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(new_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        content = layout.addition(records, layout.START) if records else b""
        write_fully(new_fd, layout.OPENING + content + layout.CLOSING, 0)
        sync(new_fd)
        os.link(path, kept)
        fresh.replace(path)
        sync_directory(path.parent)
    except BaseException:
        os.close(new_fd)
        fresh.unlink(missing_ok=True)
        raise
    _log.info("converted an old array path=%s records=%d original=%s", path, len(records), kept)
    return new_fd


def _old_records(fd: int) -> list[bytes]:
    """The objects of a JSON array, each on one line; of an array whose end is missing, those that are whole."""
    content = _content(fd).strip(_JSON_SPACE)
    try:
        raws = [bytes(raw) for raw in _arrays.decode(content)]
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as problem:
        raws = _salvage(content)
        _log.warning("the old array is damaged error=%s salvaged=%d", problem, len(raws))
    return [raw.replace(b"\n", b" ").replace(b"\r", b" ") for raw in raws]


def _content(fd: int) -> bytes:
    """The whole file; one read gives at most 2 GiB."""
    parts: list[bytes] = []
    position = 0
    while part := os.pread(fd, 1 << 30, position):
        parts.append(part)
        position += len(part)
    return b"".join(parts)


def _salvage(content: bytes) -> list[bytes]:
    """The whole objects at the start of an array whose end is missing: what a killed json.dump leaves."""
    text = content.decode(errors="replace")
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


def _free_name(path: Path) -> Path:
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    names = (path.with_name(f"{path.name}.before-conversion-{stamp}-{number}") for number in count(1))
    return next(name for name in names if not name.exists())


def _is_array(fd: int) -> bool:
    try:
        _arrays.decode(_content(fd))
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return False
    return True


def _has_frame(fd: int) -> bool:
    """Whether the file begins or ends as a journal does; damage seldom hits both ends."""
    return os.pread(fd, 3, 0) == b"[\n{" or _is_closed(fd)


def _is_closed(fd: int) -> bool:
    length = len(layout.CLOSING)
    return os.pread(fd, length, max(0, os.fstat(fd).st_size - length)) == layout.CLOSING


def _is_record(line: bytes) -> bool:
    try:
        return isinstance(msgspec.json.decode(line.removesuffix(b",")), dict)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return False
