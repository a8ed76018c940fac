"""The journal written anew without some of its records.

Whoever opens the path at any moment, also after a kill or a power cut, finds the old file or the whole new one.
Nothing may be appended meanwhile; afterwards `recover` must read the file again.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Callable
from typing import Final

from clickstream.journal import layout
from clickstream.journal.disk import sync, sync_directory, write_fully
from clickstream.journal.file import Journal
from clickstream.journal.reading import JournalReader

_log: Final = logging.getLogger(__name__)
_FLUSH_RECORDS: Final = 4_000


def compact(journal: Journal, keep: Callable[[bytes], bool]) -> int:
    """Drop the records that `keep` turns down; how many those were. Raises OSError with the old file in place."""
    fresh = journal.path.with_name(journal.path.name + ".compacting")
    fd = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        # The lock goes with the file, not with its name: the new one must be ours before anybody can see it.
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        dropped = _copy(journal, fd, keep)
        if dropped:
            fresh.replace(journal.path)
            sync_directory(journal.path.parent)
    except BaseException:
        os.close(fd)
        fresh.unlink(missing_ok=True)
        raise
    if dropped:
        journal.continue_in(fd)
        _log.info("journal compacted path=%s dropped=%d", journal.path, dropped)
    else:
        os.close(fd)
        fresh.unlink()
    return dropped


def _copy(journal: Journal, fd: int, keep: Callable[[bytes], bool]) -> int:
    write_fully(fd, layout.OPENING, 0)
    position, dropped = layout.START, 0
    kept: list[bytes] = []

    def flush(position: int) -> int:
        addition = layout.addition(kept, position) if kept else b""
        write_fully(fd, addition, position) if addition else None
        kept.clear()
        return position + len(addition)

    reader = JournalReader(journal)
    try:
        for record in reader.records():
            if keep(record):
                kept.append(record)
            else:
                dropped += 1
            if len(kept) == _FLUSH_RECORDS:
                position = flush(position)
    finally:
        reader.close()
    position = flush(position)
    write_fully(fd, layout.CLOSING, position)
    sync(fd)
    return dropped
