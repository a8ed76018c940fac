"""One person's events: which they are, and that a wish to erase them outlives a crash."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from clickstream.journal.disk import sync_directory
from clickstream.mentions import Mentions


class _Ids(msgspec.Struct):
    user_id: Any = None
    anonymous_id: Any = None


_ids = msgspec.json.Decoder(_Ids)


@dataclass(frozen=True, slots=True)
class Person:
    """A user or device id, and the devices on which that user has been seen."""

    id: str
    devices: frozenset[str] = frozenset()

    @classmethod
    def seen_in(cls, person_id: str, records: Iterable[bytes]) -> Person:
        """The person with every device that an event names together with `person_id`."""
        devices = {
            ids.anonymous_id
            for ids in map(_ids.decode, records)
            if ids.user_id == person_id and isinstance(ids.anonymous_id, str)
        }
        return cls(person_id, frozenset(devices))

    def owns(self, record: bytes) -> bool:
        """Whether the event is theirs: under their id, or from one of their devices before it knew who they are."""
        ids = _ids.decode(record)
        if self.id in (ids.user_id, ids.anonymous_id):
            return True
        return ids.user_id is None and isinstance(ids.anonymous_id, str) and ids.anonymous_id in self.devices

    def mentions(self) -> Mentions:
        """What finds them, under any of their ids, in the quarantine."""
        return Mentions((self.id, *self.devices))


class PendingErasures:
    """Ids whose erasure has begun, in a file, so that a start finishes what a crash interrupted."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def ids(self) -> list[str]:
        """The ids, oldest first."""
        try:
            found = msgspec.json.decode(self._path.read_bytes(), type=list[str])
        except FileNotFoundError:
            return []
        return found

    def add(self, person_id: str) -> None:
        """Remember, durably, that `person_id` is to be erased."""
        self._write([*(one for one in self.ids() if one != person_id), person_id])

    def remove(self, person_id: str) -> None:
        """Forget a wish that has been fulfilled."""
        self._write([one for one in self.ids() if one != person_id])

    def _write(self, ids: list[str]) -> None:
        if not ids:
            self._path.unlink(missing_ok=True)
            sync_directory(self._path.parent)
            return
        fresh = self._path.with_name(self._path.name + ".new")
        try:
            fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "wb") as file:
                file.write(msgspec.json.encode(ids))
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._path)
        except OSError:
            fresh.unlink(missing_ok=True)
            raise
        sync_directory(self._path.parent)
