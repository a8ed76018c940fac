"""Looks at a journal without changing it: what a start would find, said beforehand."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from clickstream.journal import layout
from clickstream.journal.identity import Kind, identify
from clickstream.journal.recovery import Decode, T, scan

_DAMAGE_SHOWN: Final = 20


@dataclass(slots=True)
class Condition:
    """What stands in a journal file."""

    records: int = 0
    damaged: int = 0
    damaged_at: list[tuple[int, bytes]] = field(default_factory=list)  # byte offset and line of the first ones
    torn_bytes: int = 0  # half-written end behind the last whole record
    is_array: bool = True  # the brackets stand where they belong
    kind: Kind = Kind.JOURNAL  # for anything else the rest is unknown
    in_use: bool = False  # a process writes it now, so its end may be in motion

    @property
    def is_whole(self) -> bool:
        """Whether a start would find nothing to mend."""
        end_is_right = self.in_use or (self.torn_bytes == 0 and self.is_array)
        return self.kind is Kind.JOURNAL and not self.damaged and end_is_right


def inspect(path: Path, decode: Decode[T]) -> Condition:
    """The condition of the journal at `path`; `decode` raises for a line that is no event. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        condition = Condition(in_use=is_locked(fd))
        condition.kind = identify(fd)
        if condition.kind is not Kind.JOURNAL:
            return condition

        def count(_events: Sequence[T], _position: int) -> None:
            """The scan itself counts."""

        def note(offset: int, line: bytes) -> None:
            if len(condition.damaged_at) < _DAMAGE_SHOWN:
                condition.damaged_at.append((offset, line))

        found = scan(fd, decode, count, on_damage=note)
        condition.records, condition.damaged, condition.torn_bytes = found.records, found.damaged, found.torn_bytes
        opened = os.pread(fd, len(layout.OPENING), 0) == layout.OPENING
        condition.is_array = opened and os.pread(fd, len(layout.CLOSING) + 1, found.end) == layout.CLOSING
        return condition
    finally:
        os.close(fd)


def is_in_use(path: Path) -> bool:
    """Whether a process writes the journal at `path` now; raises OSError, but not where there is none."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return is_locked(fd)
    finally:
        os.close(fd)


def is_locked(fd: int) -> bool:
    """Whether a process has the open journal for itself, to write it."""
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(fd, fcntl.LOCK_UN)
    return False
