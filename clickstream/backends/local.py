"""Events in the journal on this machine, counted in memory."""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from clickstream.analytics.catalog import Question
from clickstream.analytics.columns import ColumnCopy
from clickstream.analytics.engine import SourceUnreadable, Table, answer
from clickstream.analytics.scope import Scope
from clickstream.backends.base import OnReplay, Page
from clickstream.backends.checkpointer import Checkpointer
from clickstream.backends.keeping import Keeping
from clickstream.csv_rows import COLUMNS
from clickstream.errors import RequestRefused, Unavailable
from clickstream.events import AnyEvent
from clickstream.export import export
from clickstream.journal import Journal, JournalReader, Quarantine, checkpoint, layout, recover
from clickstream.journal.checkpoint import Checkpoint
from clickstream.query import Query
from clickstream.stats import Stats, snapshot, state
from clickstream.stored import StoredEvent, TimeReader
from clickstream.timestamps import MINUTE_MS

_log: Final = logging.getLogger(__name__)

RECENT_SHOWN: Final = 50


class LocalBackend:
    """The journal at `path`: write is an fsynced group append, the statistics are a fold over it."""

    name = "local"

    def __init__(
        self,
        path: Path,
        quarantine: Quarantine,
        *,
        fsync: str,
        clock_ms: Callable[[], int],
        dedupe_window: int = 1_000_000,
        checkpoint_bytes: int = 0,
    ) -> None:
        self._journal = Journal(path, fsync=fsync)
        self._checkpointer = Checkpointer(
            self._journal,
            every_bytes=checkpoint_bytes,
            dedupe_window=dedupe_window,
            on_change=self._note_change,
        )
        self._quarantine = quarantine
        self._columns = ColumnCopy(path)
        self._dedupe_window = dedupe_window
        self._fsync = fsync
        self._clock_ms = clock_ms
        self._stats = Stats()
        self._recent: deque[bytes] = deque(maxlen=RECENT_SHOWN)
        self._records = 0
        self._damaged = 0
        self._integrity = "unchecked"
        self._in_service = False

    def recover(self, on_replay: OnReplay) -> None:
        """Bring the statistics up to what the file holds; finishes erasures that a crash has interrupted."""
        self._in_service = False  # until all has been read: half of it would make a checkpoint that looks right
        self._columns.tidy()
        self._quarantine.tidy()
        checkpoint.discard_prepared(self._journal.path)
        keeper = self.keeper()
        if keeper.has_unfinished_erasures():
            self._replay(_forget)  # the journal is mended before it is rewritten; ids that go are not remembered
            keeper.finish_erasures()
        reached = self._replay(on_replay)
        self._in_service = True
        self._checkpointer.begin(reached)

    def keeper(self) -> Keeping:
        """What can be given back and erased; rewrite only inside Pipeline.rebuild."""
        return Keeping(self._journal, self._quarantine, self._columns, self._checkpointer)

    def _replay(self, on_replay: OnReplay) -> int:
        """Fold what the checkpoint does not cover into the statistics, and mend what a crash or a bad disk has left.

        Returns where the checkpoint ends, 0 without one.
        """
        self._stats = Stats()
        self._recent.clear()
        size = max(1, self._journal.size())
        reader = TimeReader(self._clock_ms())

        def take(events: Sequence[StoredEvent], position: int) -> None:
            self._stats.fold(events, reader.all_ms(events), self._clock_ms())
            on_replay([event.event_id for event in events if event.event_id is not None], position / size)

        known = self._load_checkpoint()
        if known is not None:
            on_replay(known.ids, known.end / size)
        decode = msgspec.json.Decoder(StoredEvent).decode
        start, crc = (layout.START, layout.START_CRC) if known is None else (known.end, known.crc)
        found = recover(self._journal, self._quarantine, decode, take, start=start, crc=crc)
        self._damaged = found.damaged
        if found.damaged or self._integrity == "changed":
            self._columns.discard()  # it may hold lines as they were when it was made
        self._records = sum(self._stats.types.values())
        page = self.events(Query(), limit=RECENT_SHOWN, cursor=None)
        self._recent.extend(reversed(page.records))
        return 0 if known is None else known.end

    def _load_checkpoint(self) -> _Known | None:
        """What the checkpoint holds, put into the statistics; None when everything must be read."""
        try:
            known = checkpoint.load(self._journal.path, form=state.FORM)
            if known is not None:
                checkpoint.require_same(self._journal, known)
            ids = None if known is None else state.decode(known.state, self._stats, dedupe_window=self._dedupe_window)
        except msgspec.MsgspecError as problem:
            _log.warning("checkpoint not readable, reading the whole journal error=%s", problem)
            known = None
        except checkpoint.CheckpointMismatch as problem:
            # Every line may still be good JSON with a wrong letter in it: only the checksum can tell.
            _log.warning("journal changed: %s; reading all of it again", problem)
            self._note_change()
            return None
        self._integrity = "unchecked" if known is None else "verified"
        if known is None or ids is None:
            return None
        if self._stats.minutes.horizon > self._clock_ms() // MINUTE_MS:
            _log.warning("the clock was ahead when the checkpoint was made, reading the whole journal")
            self._stats = Stats()
            return None
        return _Known(known.end, known.crc, ids)

    def _note_change(self) -> None:
        self._integrity = "changed"

    def write(self, records: Sequence[bytes]) -> None:
        """Append and sync; see Journal.append for what holds after a failure."""
        self._journal.append(records)
        self._checkpointer.consider()

    def count(self, events: Sequence[AnyEvent], records: Sequence[bytes], times_ms: Sequence[int], now_ms: int) -> None:
        """Fold kept events; O(events)."""
        self._stats.fold(events, times_ms, now_ms)
        self._recent.extend(records[-RECENT_SHOWN:])
        self._records += len(records)

    def statistics(self, window: str, now_ms: int) -> dict[str, Any]:
        """The numbers of one window; O(minutes in it), whatever the number of events."""
        numbers = snapshot(self._stats, window, now_ms)
        numbers["recent_events"] = [msgspec.Raw(record) for record in reversed(self._recent)]
        return numbers

    def condition(self) -> dict[str, Any]:
        """Size of the journal, lines found damaged at the start, whether its bytes are still those of the last stop."""
        return {
            "journal_bytes": self._journal.size(),
            "journal_records": self._records,
            "damaged_records": self._damaged,
            "integrity": self._integrity,
            "fsync": self._fsync,
        }

    def events(self, query: Query, *, limit: int, cursor: str | None) -> Page:
        """Newest first; the cursor is the byte offset of the last event given, which never moves."""
        records: list[bytes] = []
        last = 0
        reader = JournalReader(self._journal)
        try:
            before = None if cursor is None else _offset(cursor)
            for offset, record in reader.records_backward(before):
                if query.is_everything or query.matches(record):
                    if len(records) == limit:
                        return Page(records, str(last))
                    records.append(record)
                    last = offset
            return Page(records, None)
        finally:
            reader.close()

    def export(self, query: Query, form: str, *, columns: Sequence[str] = COLUMNS) -> Iterator[bytes]:
        """The journal up to its durable offset at this moment."""
        return export(JournalReader(self._journal), query, form, self._columns.workplace, columns=columns)

    def ask(self, question: Question, scope: Scope, *, limit: int) -> Table:
        """Over the Parquet copy and the journal's younger part; a copy that cannot be read is made anew once."""
        try:
            try:
                return self._ask(question, scope, limit)
            except SourceUnreadable as problem:
                _log.warning("making the Parquet copy anew error=%s", problem)
                self._columns.discard()
                return self._ask(question, scope, limit)
        except OSError as problem:
            reason = os.strerror(problem.errno) if problem.errno else str(problem)
            raise Unavailable(
                f"a question needs room beside the journal: {reason}; make room there, or check the disk, and ask again"
            ) from problem

    def _ask(self, question: Question, scope: Scope, limit: int) -> Table:
        with self._columns.workplace() as work, self._columns.source(self._journal.end) as source:
            return answer(question, source, scope, limit=limit, spill=work)

    def hurry(self) -> None:
        """Nothing to do: only this machine's disk is waited for."""

    def close(self, ids: Sequence[str] | None) -> None:
        """Leave a checkpoint for a fast restart, sync and unlock the journal."""
        self._checkpointer.stop()
        if self._in_service and ids is not None:
            journal = self._journal
            try:
                content = state.encode(self._stats, list(ids), dedupe_window=self._dedupe_window)
                checkpoint.save(journal.path, Checkpoint(journal.end, journal.crc, content), form=state.FORM)
            except OSError as problem:
                _log.warning("no checkpoint written, the next start reads the whole journal error=%s", problem)
        self._journal.close()


class _Known(NamedTuple):
    """How far the checkpoint goes, and the ids in it."""

    end: int
    crc: int
    ids: Sequence[str]


def _forget(_: Sequence[str], __: float) -> None:
    pass


def _offset(cursor: str) -> int:
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):
        raise RequestRefused("invalid_parameter", f"cursor={cursor[:40]} was not given by this server", field="cursor")
    return int(cursor)
