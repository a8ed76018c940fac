"""A journal as it stands at a commit, for readers of whole files while another process appends to it."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from clickstream.journal import layout
from clickstream.journal.disk import write_fully
from clickstream.journal.inspection import is_locked

_BLOCK: Final = 4 * 1024 * 1024
_PATIENCE_S: Final = 5.0
_BETWEEN_LOOKS_S: Final = 0.0005  # a commit overwrites the end within microseconds


@contextmanager
def settled(path: Path) -> Iterator[Path]:
    """`path` itself, or where a process writes it now, a private copy that ends at a commit; valid inside the block.

    Raises OSError, also when no commit ends within seconds.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if not is_locked(fd):
            yield path
            return
        # A file without a name: it holds events of people, and nothing of it is left however the process ends.
        with tempfile.TemporaryFile() as copy:
            _copy(fd, _end_of_a_commit(fd, path), copy.fileno())
            yield Path(f"/dev/fd/{copy.fileno()}")
    finally:
        os.close(fd)


def _end_of_a_commit(fd: int, path: Path) -> int:
    """Where the last record ends once the closing follows it: what stands before that never changes."""
    until_s = time.monotonic() + _PATIENCE_S
    while time.monotonic() < until_s:
        end = os.fstat(fd).st_size - len(layout.CLOSING)
        if end >= 0 and os.pread(fd, len(layout.CLOSING) + 1, end) == layout.CLOSING:
            return end
        time.sleep(_BETWEEN_LOOKS_S)
    raise OSError(f"{path} is written by another process, and no commit of it has ended for {_PATIENCE_S:g} s")


def _copy(fd: int, end: int, out: int) -> None:
    position = 0
    while position < end:
        block = os.pread(fd, min(_BLOCK, end - position), position)
        if not block:
            raise OSError(f"the journal ends at byte {position}, before its last commit at {end}")
        _write(out, block, position)
        position += len(block)
    _write(out, layout.CLOSING, end)


def _write(out: int, block: bytes, position: int) -> None:
    try:
        write_fully(out, block, position)
    except OSError as problem:
        reason = f"{problem.strerror}, for a copy of the journal that is being written; make room, or set TMPDIR"
        raise OSError(problem.errno, reason, tempfile.gettempdir()) from problem
