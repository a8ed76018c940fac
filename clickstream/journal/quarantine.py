"""The quarantine: a file beside the journal that keeps what was refused, why, and the bytes themselves."""

from __future__ import annotations

import base64
import fcntl
import logging
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from clickstream.errors import JournalLocked
from clickstream.journal.disk import sync_directory

_log: Final = logging.getLogger(__name__)
MAX_RAW_BYTES: Final = 256 * 1024  # of one entry
_BLOCK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Refused:
    """One refused record, or one body that could not be read."""

    received_at: str
    code: str
    field: str | None
    message: str
    source: str
    raw: bytes
    event_id: str | None = None
    full_bytes: int | None = None  # where `raw` is only a part, or nothing that could be read


class Quarantine:
    """NDJSON at `path`, at most `max_bytes` large: when it is full, the older half is dropped."""

    def __init__(self, path: Path, *, max_bytes: int) -> None:
        self.path = path
        self._fresh = path.with_name(path.name + ".shrinking")
        self._max_bytes = max_bytes
        self._lock = threading.Lock()

    def claim(self) -> None:
        """Keep every other API out of its directory for as long as this process lives; raises JournalLocked.

        Its name is fixed, so two of them would refuse, replay and erase in one file. The file itself is replaced now
        and then, and a lock goes with the file: the directory is locked.
        """
        fd = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            raise JournalLocked(
                f"{self.path.parent} belongs to another API, which keeps there what it refuses; "
                "stop that one, or choose an EVENTS_FILE in another directory"
            ) from None

    def keep(self, refused: Sequence[Refused]) -> None:
        """Append `refused` and sync; raises OSError when the disk does not take them."""
        if not refused:
            return
        lines = b"".join(_line(one) for one in refused)
        with self._lock:
            created = not self.path.exists()
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                size = os.fstat(fd).st_size
                if size and os.pread(fd, 1, size - 1) != b"\n":
                    lines = b"\n" + lines  # a kill in the middle of an earlier line must not spoil this one
                _write_all(fd, lines)
                os.fsync(fd)
            finally:
                os.close(fd)
            if created:
                sync_directory(self.path.parent)
            if size + len(lines) > self._max_bytes:
                self._drop_older_half()

    def newest(self, *, limit: int, code: str | None = None) -> list[dict[str, Any]]:
        """At most `limit` entries, newest first, of one `code` or all."""
        found: list[dict[str, Any]] = []
        for _, entry in self.entries():
            if code is None or entry.get("code") == code:
                found.append(entry)
                if len(found) == limit:
                    break
        return found

    def entries(self) -> Iterator[tuple[bytes, dict[str, Any]]]:
        """Each line with the entry it holds, newest first."""
        for line in self.lines():
            entry = _decoded(line)
            if entry is not None:
                yield line, entry

    def remove(self, is_unwanted: Callable[[bytes], bool]) -> int:
        """Rewrite the file without the lines that `is_unwanted`; how many those were. A kill leaves old or new."""
        with self._lock:
            self._tidy()
            try:
                lines = self.path.read_bytes().splitlines(keepends=True)
            except FileNotFoundError:
                return 0
            kept = [line for line in lines if not is_unwanted(line.rstrip(b"\n"))]
            if len(kept) < len(lines):
                self._replace(b"".join(kept))
            return len(lines) - len(kept)

    def size_bytes(self) -> int:
        """Bytes on disk now."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def count(self) -> int:
        """Entries in the file, whatever their code."""
        try:
            with self.path.open("rb") as file:
                return sum(block.count(b"\n") for block in iter(lambda: file.read(_BLOCK), b""))
        except FileNotFoundError:
            return 0

    def lines(self) -> Iterator[bytes]:
        """Each line, newest first, also what cannot be read."""
        try:
            file = self.path.open("rb")
        except FileNotFoundError:
            return
        with file:
            position = file.seek(0, os.SEEK_END)
            rest = b""
            while position > 0:
                start = max(0, position - _BLOCK)
                file.seek(start)
                lines = (file.read(position - start) + rest).split(b"\n")
                rest, position = lines[0], start
                yield from (line for line in reversed(lines[1:]) if line)
            if rest:
                yield rest

    def _drop_older_half(self) -> None:
        content = self.path.read_bytes()
        middle = content.find(b"\n", len(content) - self._max_bytes // 2) + 1
        self._replace(content[middle:])
        _log.warning("quarantine full: older half dropped path=%s max_bytes=%d", self.path, self._max_bytes)

    def tidy(self) -> None:
        """Delete what a kill in the middle of a rewriting has left; at the start."""
        with self._lock:
            self._tidy()

    def _tidy(self) -> None:
        self._fresh.unlink(missing_ok=True)

    def _replace(self, content: bytes) -> None:
        try:
            with self._fresh.open("wb") as file:
                os.fchmod(file.fileno(), 0o600)
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            self._fresh.replace(self.path)
        except OSError:
            self._tidy()  # half a copy would outlive the erasure of whom it mentions
            raise
        sync_directory(self.path.parent)


def _write_all(fd: int, payload: bytes) -> None:
    while payload:
        payload = payload[os.write(fd, payload) :]


def _line(one: Refused) -> bytes:
    raw = one.raw[:MAX_RAW_BYTES]
    entry: dict[str, Any] = {
        "received_at": one.received_at,
        "code": one.code,
        "field": one.field,
        "message": one.message,
        "source": one.source,
        "event_id": one.event_id,
    }
    try:
        entry["raw"] = raw.decode()
    except UnicodeDecodeError:
        entry["raw_base64"] = base64.b64encode(raw).decode()
    full_bytes = one.full_bytes or len(one.raw)
    if full_bytes > len(raw):
        entry["raw_bytes"] = full_bytes
    return msgspec.json.encode(entry) + b"\n"


def _decoded(line: bytes) -> dict[str, Any] | None:
    try:
        entry = msgspec.json.decode(line)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None
    return entry if isinstance(entry, dict) else None
