"""The journal file: open, lock, append. Each failure says what is true now and what may not be promised."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import threading
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from clickstream.errors import BackendUnavailable, JournalDamaged, JournalError, JournalLocked
from clickstream.journal import conversion, layout
from clickstream.journal.disk import drop_from_cache, sync, sync_directory, write_fully
from clickstream.journal.identity import Kind, identify
from clickstream.place import module
from clickstream.recurring import Recurring

_log: Final = logging.getLogger(__name__)

# Large enough for any page or block size in use; the bytes before the durable offset down to this
# alignment share a page with the next write, so a failed sync puts them in doubt as well.
_PAGE: Final = 64 * 1024
_SYNC_INTERVAL_S: Final = 1.0
_MOST_UNSYNCED_BYTES: Final = 64 * 1024 * 1024  # with fsync=everysec; beyond, an append waits for a sync


class Journal:
    """One writer's handle on the journal at `path`; only one process at a time can hold it.

    Before the first `append`, `recover` must have read the file and told `resume_at` where its records end.
    `setting` is what the operator chose the path by; errors name it.
    """

    def __init__(self, path: Path, *, fsync: str = "always", setting: str = "EVENTS_FILE") -> None:
        self.path = path
        self.end = 0  # durable offset: what stands before it may be shown and is never rewritten
        self.crc = 0  # CRC-32 of the bytes before `end`
        self._fsync = fsync
        self._doubtful = True  # the file may not end as `end` says; rewrite and verify before the next append
        self._synced_end = 0  # the disk has what stands before it; behind `end` only with fsync=everysec
        self._tail = bytearray()  # our own copy of the bytes from the last _PAGE boundary before that to `end`
        self._sync_error: OSError | None = None  # of the background sync; nothing is synced until it is restored
        self._not_synced = Recurring(_log, f"journal not synced path={path}")
        self._unsynced = threading.Event()
        self._closing = threading.Event()
        self._fd = _open_locked(path, setting)
        self._syncer: threading.Thread | None = None
        try:
            if os.fstat(self._fd).st_size == 0:
                os.pwrite(self._fd, layout.EMPTY, 0)
                sync(self._fd)
                sync_directory(path.parent)
            elif (kind := identify(self._fd)) in (Kind.LINES, Kind.OTHER):
                raise JournalDamaged(_not_ours(path, kind, setting))
            elif kind is Kind.ARRAY:
                replaced, self._fd = self._fd, conversion.convert(self._fd, path)
                os.close(replaced)
        except OSError as problem:
            os.close(self._fd)
            raise _unusable(path, problem, setting) from problem
        except BaseException:
            os.close(self._fd)
            raise

    def fileno(self) -> int:
        """Descriptor of the open file, for readers that make their own copy."""
        return self._fd

    def size(self) -> int:
        """Bytes of the file."""
        return os.fstat(self._fd).st_size

    def resume_at(self, end: int, crc: int) -> None:
        """Declare `end` the end of the last good record, make the file end there and let appends begin."""
        start = end - end % _PAGE
        self._tail = bytearray(os.pread(self._fd, end - start, start))
        self.end, self.crc, self._synced_end = end, crc, end
        self._doubtful = True  # until it ends there in fact: a failure here is mended by the next append
        closing = os.pread(self._fd, len(layout.CLOSING) + 1, end)
        if closing == layout.CLOSING:
            self._doubtful = False
        else:
            self._rewrite_tail()
        if self._fsync == "everysec" and self._syncer is None:
            self._syncer = threading.Thread(target=self._sync_every_second, name="journal-sync", daemon=True)
            self._syncer.start()

    def continue_in(self, fd: int) -> None:
        """Go on in another locked file that stands at `path` now; `recover` must read it before the next append."""
        replaced, self._fd = self._fd, fd
        self._doubtful = True
        os.close(replaced)

    def append(self, records: Sequence[bytes]) -> None:
        """Keep all of `records`, or raise BackendUnavailable.

        Returning means: with fsync=always they survive a power cut; the file is a complete JSON array.
        After a raise none may be acknowledged, the durable offset has not moved, and the next append
        first restores the end of the file.
        """
        if not records:
            return
        require_named(self.path, self._fd)
        if self._doubtful or self._sync_error is not None:
            self._restore()
        added = layout.addition(records, self.end)
        try:
            write_fully(self._fd, added + layout.CLOSING, self.end)
        except OSError as problem:
            # Some of the bytes may stand in the file. They lie behind the durable offset, so nobody reads
            # them; cut them off now, so that the file is whole again even if nothing is ever appended.
            self._doubtful = True
            self._cut_back()
            raise _unavailable(self.path, "write", problem) from problem
        if self._fsync == "always" or len(self._tail) > _MOST_UNSYNCED_BYTES:
            try:
                sync(self._fd)
            except OSError as problem:
                # The kernel may have dropped these pages and called them clean: a second sync would
                # succeed without them. Trust nothing from the last page boundary on until rewritten.
                self._doubtful = True
                raise _unavailable(self.path, "sync", problem) from problem
            self._synced_end = self.end + len(added)
        self._advance(added)

    def close(self) -> None:
        """Sync what fsync=everysec or no left over, and give up the lock."""
        self._closing.set()
        self._unsynced.set()
        if self._syncer is not None:
            self._syncer.join()
        try:
            if self._sync_error is not None:
                self._rewrite_tail()
            elif self._fsync != "always":
                sync(self._fd)
        finally:
            os.close(self._fd)

    def _advance(self, added: bytes) -> None:
        self.crc = zlib.crc32(added, self.crc)
        self._tail += added
        self.end += len(added)
        in_doubt_from = min(self._synced_end, self.end) if self._fsync == "everysec" else self.end
        start = in_doubt_from - in_doubt_from % _PAGE
        del self._tail[: max(0, start - (self.end - len(self._tail)))]
        if self._fsync == "everysec":
            self._unsynced.set()

    def _restore(self) -> None:
        try:
            self._rewrite_tail()
        except OSError as problem:
            self._doubtful = True
            raise _unavailable(self.path, "restore", problem) from problem
        self._sync_error = None

    def _rewrite_tail(self) -> None:
        """Write what is in doubt again from our own copy, sync, drop it from the cache, compare what the disk says."""
        start = self.end - len(self._tail)
        wanted = bytes(self._tail) + layout.CLOSING
        write_fully(self._fd, wanted, start)
        os.ftruncate(self._fd, start + len(wanted))
        sync(self._fd)
        drop_from_cache(self._fd, start)
        if os.pread(self._fd, len(wanted) + 1, start) != wanted:
            raise OSError(errno.EIO, "the end of the journal reads back differently")
        self._doubtful = False
        self._synced_end = self.end

    def _cut_back(self) -> None:
        try:
            os.pwrite(self._fd, layout.CLOSING, self.end)
            os.ftruncate(self._fd, self.end + len(layout.CLOSING))
        except OSError:
            _log.warning("journal not cut back yet path=%s end=%d; the next append tries again", self.path, self.end)

    def _sync_every_second(self) -> None:
        while not self._closing.is_set():
            self._unsynced.wait()
            self._unsynced.clear()
            reached = self.end
            try:
                sync(self._fd)
            except OSError as problem:
                self._sync_error = problem
                self._not_synced.failed(problem)
            else:
                self._not_synced.over()
                # After a failure a sync succeeds without the pages that the kernel has dropped.
                if self._sync_error is None:
                    self._synced_end = reached
            self._closing.wait(_SYNC_INTERVAL_S)


def require_named(path: Path, fd: int) -> None:
    """Raise BackendUnavailable where `path` leads to the open file no longer: no start would find what is in it."""
    try:
        if os.path.samestat(path.stat(), os.fstat(fd)):
            return
    except FileNotFoundError:
        pass
    raise BackendUnavailable(
        f"events cannot be kept or read now: {path.name} was moved, replaced or deleted while it is open; "
        "put it back, or restart the API to begin with what stands there"
    )


def _open_locked(path: Path, setting: str) -> int:
    while True:
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as problem:
            raise _unusable(path, problem, setting) from problem
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(fd).st_ino == path.stat().st_ino:
                return fd
        except BlockingIOError:
            os.close(fd)
            raise JournalLocked(
                f"{path} is being written by another process; stop that one, or choose another {setting}"
            ) from None
        except FileNotFoundError:
            pass  # replaced between open and stat: open what stands there now
        os.close(fd)


def _not_ours(path: Path, kind: Kind, setting: str) -> str:
    if kind is Kind.LINES:
        return (
            f"{path} is NDJSON, one event a line, not a JSON array of them: it stays as it is. Choose another "
            f"{setting}, and bring the events in by: {module('clickstream', 'replay', '--from', str(path))} --to URL"
        )
    return f"{path} is not a JSON array of events; move it away, or choose another {setting}"


def _unusable(path: Path, problem: OSError, setting: str) -> JournalError:
    reason = os.strerror(problem.errno) if problem.errno else str(problem)
    return JournalError(f"{path} cannot hold the journal: {reason}; mend that, or choose another {setting}")


def _unavailable(path: Path, action: str, problem: OSError) -> BackendUnavailable:
    remedy = "make room on the disk" if problem.errno in (errno.ENOSPC, errno.EDQUOT) else "check the disk"
    reason = os.strerror(problem.errno) if problem.errno else str(problem)
    return BackendUnavailable(
        f"events cannot be kept now: {reason} ({action} of {path.name}); {remedy}, then send them again"
    )
