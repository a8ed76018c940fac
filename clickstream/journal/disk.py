"""What is asked of the disk: bytes that are all written, and that survive a power cut once a call returns."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from pathlib import Path


def write_fully(fd: int, payload: bytes, offset: int) -> None:
    """Write all of `payload` at `offset`; a short write continues where it stopped, until the system says why."""
    written = os.pwrite(fd, payload, offset)
    while written < len(payload):
        more = os.pwrite(fd, memoryview(payload)[written:], offset + written)
        if more == 0:
            raise OSError(errno.ENOSPC, "the system writes no further byte")
        written += more


def sync(fd: int) -> None:
    """Return once the disk has the file's bytes and size."""
    if hasattr(fcntl, "F_FULLFSYNC"):
        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)  # macOS: fsync alone stops at the drive's own cache
    else:
        os.fdatasync(fd)


def sync_directory(directory: Path) -> None:
    """Return once the disk has the names in `directory`: a new or renamed file survives a power cut only then."""
    fd = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def replace_file(path: Path, content: bytes) -> None:
    """Write the small file `path` anew, durably; raises OSError, and then the old one may still stand there."""
    beside = path.with_name(path.name + ".new")
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            sync(file.fileno())
        beside.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)  # on a full disk its bytes are wanted elsewhere
        raise
    sync_directory(path.parent)


def drop_from_cache(fd: int, start: int) -> None:
    """Ask the kernel to read the bytes from `start` from the disk next time, where it can be asked."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(fd, start, 0, os.POSIX_FADV_DONTNEED)
