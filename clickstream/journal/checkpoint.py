"""Derived state beside the journal, so that a restart reads only what came later. Delete it and nothing is lost.

A checkpoint holds for exactly the bytes it was made from: their length and CRC-32 are in its head. So it also
notices when the journal has changed behind our back, which no single line could show.
"""

from __future__ import annotations

import logging
import os
import zlib
from pathlib import Path
from typing import Final

import msgspec

from clickstream.journal.file import Journal, sync, sync_directory, write_fully
from clickstream.journal.recovery import crc_of

_log: Final = logging.getLogger(__name__)
_SUFFIX: Final = ".checkpoint"


class _Head(msgspec.Struct):
    form: int  # of the state; another form is not read
    end: int
    crc: int
    state_crc: int


class Checkpoint(msgspec.Struct):
    """State folded from the first `end` bytes, whose CRC-32 is `crc`."""

    end: int
    crc: int
    state: bytes


class CheckpointMismatch(Exception):
    """The journal no longer begins with the bytes that the checkpoint was made from."""


def save(journal: Journal, state: bytes, *, form: int) -> None:
    """Replace the checkpoint of `journal` by one of its present end; raises OSError and keeps the old one."""
    path = _path(journal)
    head = msgspec.json.encode(_Head(form, journal.end, journal.crc, zlib.crc32(state)))
    fresh = path.with_name(path.name + ".new")
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        write_fully(fd, head + b"\n" + state, 0)
        sync(fd)
    finally:
        os.close(fd)
    fresh.replace(path)
    sync_directory(path.parent)


def discard(journal: Journal) -> None:
    """Remove the checkpoint, durably."""
    _path(journal).unlink(missing_ok=True)
    sync_directory(journal.path.parent)


def load(journal: Journal, *, form: int) -> Checkpoint | None:
    """The checkpoint that still holds, or None when there is none of this form.

    Raises CheckpointMismatch when the journal has changed before the checkpoint's end.
    """
    try:
        head_line, _, state = _path(journal).read_bytes().partition(b"\n")
        head = msgspec.json.decode(head_line, type=_Head)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as problem:
        _log.warning("checkpoint not readable path=%s error=%s", _path(journal), problem)
        return None
    if head.form != form or zlib.crc32(state) != head.state_crc:
        _log.info("checkpoint of another form or damaged, replaying everything path=%s", _path(journal))
        return None
    if journal.size() < head.end or crc_of(journal.fileno(), head.end) != head.crc:
        raise CheckpointMismatch(f"{journal.path} changed within its first {head.end} bytes since the last stop")
    return Checkpoint(head.end, head.crc, state)


def _path(journal: Journal) -> Path:
    return journal.path.with_name(journal.path.name + _SUFFIX)
