"""What a local journal lets its operator take back: one person's events, and events past their time."""

from __future__ import annotations

import contextlib
import glob
import logging
import re
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

import msgspec

from clickstream.analytics.columns import ColumnCopy
from clickstream.backends.checkpointer import Checkpointer
from clickstream.erasure import PendingErasures, Person
from clickstream.errors import Unavailable
from clickstream.journal import Journal, JournalReader, Quarantine
from clickstream.journal.compaction import compact
from clickstream.mentions import Mentions
from clickstream.stored import TimeReader

_log: Final = logging.getLogger(__name__)
_RECEIVED_AT: Final = re.compile(rb'"received_at":"(\d{4}-\d\d-\d\dT[0-9:.]{8,12}Z)"')
_PIECE_BYTES: Final = 4 * 1024 * 1024
_OVERLAP_BYTES: Final = 8 * 1024


@dataclass(slots=True)
class Erased:
    """What was taken out, and files of earlier mishaps that still mention the person."""

    events: int = 0
    rejected: int = 0
    mentioned_in: list[str] = field(default_factory=list)


@runtime_checkable
class Keeper(Protocol):
    """A backend that can give back and erase."""

    def keeper(self) -> Keeping:
        """Its journal and quarantine, to be read at any time and rewritten only in `Pipeline.rebuild`."""
        ...


class Keeping:
    """Reads and rewrites journal and quarantine together; what is derived from them goes first."""

    def __init__(
        self, journal: Journal, quarantine: Quarantine, columns: ColumnCopy, checkpointer: Checkpointer
    ) -> None:
        self._journal = journal
        self._checkpointer = checkpointer
        self._columns = columns
        self._quarantine = quarantine
        self._pending = PendingErasures(journal.path.with_name(journal.path.name + ".erasing"))

    def records(self) -> Generator[bytes, None, None]:
        """Every record kept by now, oldest first."""
        reader = JournalReader(self._journal)
        try:
            yield from reader.records()
        finally:
            reader.close()

    def everything_about(self, person_id: str) -> Iterator[bytes]:
        """A JSON document with the person's events and rejected records, in parts."""
        person = Person.seen_in(person_id, self.records())
        yield b'{"user_id":' + msgspec.json.encode(person_id) + b',"events":['
        separator = b""
        for record in self.records():
            if person.owns(record):
                yield separator + record
                separator = b",\n"
        is_theirs = person.mentions().in_line
        rejected = [_entry(line) for line in self._quarantine.lines() if is_theirs(line)]
        yield b'],"rejected":' + msgspec.json.encode(rejected) + b"}\n"

    def nothing_about(self, person_id: str) -> Erased | None:
        """What an erasure would answer when nothing is kept about the person; None when something is.

        Also None while an earlier wish waits, which the next rewriting fulfils.
        """
        if self.has_unfinished_erasures():
            return None
        person = Person(person_id)  # without an event that names them there are no devices of theirs
        mentions = person.mentions()
        # The quarantine first: a replay puts a record into the journal before it takes it out there.
        if any(map(mentions.in_line, self._quarantine.lines())):
            return None
        try:
            if any(map(person.owns, self.records())):
                return None
        except msgspec.MsgspecError:  # a line damaged since the start: who knows whose it was
            return None
        return Erased(mentioned_in=self._mentioned_in(mentions))

    def erase(self, person_id: str) -> Erased:
        """Take the person out of all that is kept or derived; a kill on the way is made up for at the start."""
        self._pending.add(person_id)
        try:
            return self._erase(person_id)
        except msgspec.MsgspecError:  # a line damaged since the start: what follows reads all anew and finishes this
            reason = "a line of the journal is damaged; it is set aside now, and the erasure is done then; ask again"
            raise Unavailable(reason) from None

    def has_unfinished_erasures(self) -> bool:
        """Whether a crash or a full disk has left wishes."""
        return bool(self._pending.ids())

    def finish_erasures(self) -> None:
        """Fulfil the wishes that are left; those that cannot be fulfilled now stay for the next start."""
        for person_id in self._pending.ids():
            try:
                self._erase(person_id)
            except OSError as problem:  # nothing is collected until this has returned
                _log.error("erasure not finished, the next start tries again error=%s", problem)
            else:
                _log.warning("an erasure that a crash or a full disk had interrupted is done")

    def expire_rejected(self, cutoff_ms: int) -> int:
        """Drop what was refused before `cutoff_ms`; how many. May run at any time."""
        return self._quarantine.remove(_is_older(cutoff_ms))

    def has_expired(self, cutoff_ms: int) -> bool:
        """Whether any event came before `cutoff_ms`: not only the first, for clocks are set back and times missing."""
        with contextlib.closing(self.records()) as records:
            return any(map(_is_older(cutoff_ms), records))

    def expire(self, cutoff_ms: int) -> int:
        """Drop the events that came before `cutoff_ms`; how many."""
        self._checkpointer.discard()
        is_older = _is_older(cutoff_ms)
        with self._columns.withheld():
            return compact(self._journal, lambda record: not is_older(record))

    def _erase(self, person_id: str) -> Erased:
        person = Person.seen_in(person_id, self.records())
        erased = Erased()
        # The quarantine first: which devices are theirs is known only as long as the journal says so.
        erased.rejected = self._quarantine.remove(person.mentions().in_line)
        self._checkpointer.discard()
        with self._columns.withheld():
            erased.events = compact(self._journal, lambda record: not person.owns(record))
        self._pending.remove(person_id)
        erased.mentioned_in = self._mentioned_in(Person(person_id).mentions())
        return erased

    def _mentioned_in(self, mentions: Mentions) -> list[str]:
        return [file.name for file in self._other_files() if any(map(mentions.in_line, _lines(file)))]

    def _other_files(self) -> Iterator[Path]:
        """What earlier starts and repairs have set aside; a person decides over those."""
        for path in (self._journal.path, self._quarantine.path):
            for file in sorted(path.parent.glob(glob.escape(path.name) + "?*")):
                with contextlib.suppress(OSError):
                    if file.is_file():
                        yield file


def _lines(path: Path) -> Iterator[bytes]:
    """What stands in a file, without the commas between events; nothing of one that is gone meanwhile.

    An array on one line can be as large as a journal: it comes in pieces, which overlap by more than an id.
    """
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        before = b""
        while piece := file.readline(_PIECE_BYTES):
            yield (before + piece).strip().removesuffix(b",")
            before = b"" if piece.endswith(b"\n") else piece[-_OVERLAP_BYTES:]


def _entry(line: bytes) -> object:
    """A line of the quarantine for its person, also one that a kill has cut."""
    try:
        return msgspec.json.decode(line)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        came = _RECEIVED_AT.search(line)
        return {
            "received_at": came[1].decode() if came else "1970-01-01T00:00:00.000Z",
            "code": "damaged_record",
            "field": None,
            "message": "a line of the quarantine of which a part is missing",
            "source": "journal",
            "event_id": None,
            "raw": line.decode("utf-8", "replace"),
        }


class _Received(msgspec.Struct):
    received_at: str | None = None
    timestamp: str | None = None


_received = msgspec.json.Decoder(_Received)


def _is_older(cutoff_ms: int) -> Callable[[bytes], bool]:
    """Whether a record came before `cutoff_ms`; what does not say is not past its time."""
    reader = TimeReader(cutoff_ms)

    def is_older(record: bytes) -> bool:
        try:
            found = _received.decode(record)
        except msgspec.MsgspecError:
            return False
        return reader.first_ms(found.received_at, found.timestamp) < cutoff_ms

    return is_older
