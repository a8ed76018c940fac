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

from clickstream.journal.disk import sync, sync_directory, write_fully
from clickstream.journal.file import Journal
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


def save(journal: Path, kept: Checkpoint, *, form: int) -> None:
    """Replace the checkpoint of `journal`; raises OSError and keeps the old one."""
    prepare(journal, kept, form=form)
    publish(journal)


def prepare(journal: Path, kept: Checkpoint, *, form: int) -> None:
    """Write a checkpoint beside the one that counts; `publish` lets it count."""
    head = msgspec.json.encode(_Head(form, kept.end, kept.crc, zlib.crc32(kept.state)))
    fd = os.open(_prepared(journal), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        write_fully(fd, head + b"\n" + kept.state, 0)
        sync(fd)
    finally:
        os.close(fd)


def publish(journal: Path) -> None:
    """Let the prepared checkpoint take the place of the old one, durably."""
    _prepared(journal).replace(_path(journal))
    sync_directory(journal.parent)


def discard_prepared(journal: Path) -> None:
    """Remove what was prepared and will not be published."""
    _prepared(journal).unlink(missing_ok=True)


def discard(journal: Path) -> None:
    """Remove the checkpoint and what was prepared for the next one, durably."""
    discard_prepared(journal)
    _path(journal).unlink(missing_ok=True)
    sync_directory(journal.parent)


def load(journal: Path, *, form: int) -> Checkpoint | None:
    """The checkpoint, or None when there is none of this form; whether the journal agrees is not looked at."""
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
    return Checkpoint(head.end, head.crc, state)


def require_same(journal: Journal, known: Checkpoint) -> None:
    """Raise CheckpointMismatch when the journal has changed before the checkpoint's end."""
    if journal.size() < known.end or crc_of(journal.fileno(), known.end) != known.crc:
        raise CheckpointMismatch(
            f"{journal.path} changed within the first {known.end} bytes, which were written earlier"
        )


def _path(journal: Path) -> Path:
    return journal.with_name(journal.name + _SUFFIX)


def _prepared(journal: Path) -> Path:
    return journal.with_name(f"{journal.name}{_SUFFIX}.new")
