"""The way of every event: validate -> deduplicate -> keep -> count -> acknowledge. READ THIS FIRST.

One thread (the server's loop) owns all state here. The commit thread only writes: it is handed entries
and hands them back through `run_soon`, in order, with the outcome. So nothing here needs a lock, and
nothing is counted or acknowledged before the backend has kept it.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from clickstream.backends.base import Backend
from clickstream.entry import Entry, OnKept, Receipt, columns, refused_of
from clickstream.errors import BackendUnavailable, RequestRefused, Unavailable
from clickstream.events import AnyEvent, Limits, PlainEvent, validate
from clickstream.group_commit import GroupCommit
from clickstream.journal import Quarantine
from clickstream.journal.quarantine import Refused
from clickstream.meter import Meter
from clickstream.numbers import Numbers
from clickstream.readiness import Readiness, stopping
from clickstream.recurring import Recurring
from clickstream.stats.recency import RecentIds
from clickstream.timestamps import text

T = TypeVar("T")

_log: Final = logging.getLogger(__name__)
_STOP_PATIENCE_S: Final = 1.0  # for a replay or a rewriting under way

Observer = Callable[[Sequence[AnyEvent], Sequence[bytes]], None]


class Pipeline:
    """Takes records in and answers for them; see the module's first lines for the threads."""

    def __init__(
        self,
        backend: Backend,
        quarantine: Quarantine,
        *,
        limits: Limits,
        dedupe_window: int,
        max_waiting_bytes: int,
        clock_ms: Callable[[], int],
    ) -> None:
        self.meter = Meter(clock_ms())
        self.backend = backend
        self.quarantine = quarantine
        self.limits = limits
        self._max_waiting_bytes = max_waiting_bytes
        self._run_soon: Callable[[Callable[[], None]], object] = _not_started
        self._clock_ms = clock_ms
        self._ids = RecentIds(dedupe_window)
        self._commits: GroupCommit[Entry] = GroupCommit(self._write, self._report)
        self._waiting_bytes = 0
        self._generation = 0  # counts failed groups, see _kept
        self.rebuilds = 0  # how often `rebuild` has begun: what was read before the last one may be gone since
        self._observers: list[Observer] = []
        self._forgetful: list[Callable[[], object]] = []
        self._numbers = Numbers(backend, self.meter, self._ids)
        self._not_quarantined = Recurring(_log, "refused records not kept in the quarantine")
        self._readiness = Readiness(backend.recover, self._ids.remember)

    # -- life -----------------------------------------------------------------------------------------------

    def start(self, run_soon: Callable[[Callable[[], None]], object]) -> None:
        """Begin to replay what was kept earlier; until that is done `accept` raises Replaying.

        `run_soon` makes the loop thread call a function soon; it may be called from any thread.
        """
        self._run_soon = run_soon
        self._commits.start()
        self._readiness.read()

    def stop(self) -> None:
        """Commit what waits and close the backend; after the server has answered its last request.

        Not on the loop thread, which must still turn. A replay that is far from its end is left alone: the process is
        expected to end.
        """
        self._on_loop(self._readiness.stop)
        self._commits.stop()
        # The backend writes down what is counted and which ids are known: a group that has just been kept must be
        # among them, and one that was not may not, or its repeat would be taken for a duplicate.
        self._on_loop(lambda: None)
        if not self._readiness.wait(_STOP_PATIENCE_S):
            _log.warning("stopped while the journal was being read; the next start reads it again")
            return  # nothing new has been taken in, and what is being mended survives any end
        self.backend.close(self._ids.oldest_first() if self._readiness.is_ready else None)

    def rebuild(self, change: Callable[[], T], done: Callable[[T | None, BaseException | None], None]) -> None:
        """Let `change` rewrite what is kept while nothing is written or read, then read all of it again.

        Until then everything answers Replaying. `done` is called on the loop with the outcome; after a failure
        the events are what they were before.
        """
        self.require_ready()
        self._readiness.suspend()
        self.rebuilds += 1
        outcome: list[T] = []
        problems: list[BaseException] = []

        def rewrite() -> None:
            try:
                outcome.append(change())
            except Exception as failed:  # noqa: BLE001 - outermost frame of this thread; without it nothing goes on
                _log.exception("rewriting failed; the events are what they were")
                problems.append(_not_rewritten(failed) if isinstance(failed, OSError) else failed)

        def tell() -> None:
            done(outcome[0] if outcome else None, problems[0] if problems else None)

        def drained(_: Unavailable | None) -> None:
            if self._readiness.is_stopping:  # too late to begin
                self._readiness.resume()
                done(None, stopping())
                return
            self._ids.clear()
            self._numbers.clear()
            self.let_forget()
            self._readiness.read(before=rewrite, after=lambda: self._run_soon(tell))

        # Behind everything that waits: when this empty entry has gone through, all others have.
        self._commits.submit(Entry(when_kept=drained, generation=self._generation, started_s=time.perf_counter()))

    def readiness(self) -> dict[str, Any]:
        """Whether the journal has been replayed and how far it is; what a spill journal holds, where there is one."""
        if not self._readiness.is_ready:
            return {"status": "replaying", **self._readiness.progress()}
        spill = self.backend.condition().get("spill")
        return {"status": "ready"} if spill is None else {"status": "ready", "spill": spill}

    def require_ready(self) -> None:
        """Raise Replaying until the journal has been replayed, and Unavailable once the pipeline stops."""
        self._readiness.require()

    def _on_loop(self, function: Callable[[], None]) -> None:
        """Wait until the loop thread has called `function`, behind all that was handed to it before."""
        called = threading.Event()

        def call() -> None:
            function()
            called.set()

        self._run_soon(call)
        called.wait()

    # -- the way in -----------------------------------------------------------------------------------------

    def accept(
        self, records: Sequence[bytes], events: Sequence[PlainEvent] | None = None, *, source: str, when_kept: OnKept
    ) -> Receipt:
        """Verdicts on `records`; send them only when `when_kept` is called with None.

        `events` is what `records` hold, where they have just been written (see `validate`).

        `when_kept` is called on the loop thread once everything is kept and counted, or with the reason why
        nothing of this request may be acknowledged. Raises Unavailable when nothing can be taken in now.
        """
        self.require_ready()
        self._require_room()
        started_s = time.perf_counter()
        now_ms = self._clock_ms()
        batch = validate(records, self.limits, now_ms, events)
        ids = [event.event_id or "" for event in batch.events]
        fresh = self._ids.unknown_among(ids)
        duplicates = len(ids) - len(fresh)
        if duplicates:
            batch.keep_only(fresh)
            ids = [ids[one] for one in fresh]
        receipt = Receipt(len(batch.events), duplicates, batch.rejections)
        if ids:
            self._ids.hold(ids)
        refused: list[Refused] = []
        if batch.rejections:
            received_at = text(now_ms)
            refused = [refused_of(one, source, received_at) for one in batch.rejections]
        entry = Entry(
            events=batch.events,
            records=batch.records,
            times_ms=batch.times_ms,
            ids=ids,
            receipt=receipt,
            refused=refused,
            when_kept=when_kept,
            size=sum(map(len, batch.records)) + sum([len(one.record) for one in batch.rejections]),
            generation=self._generation,
            started_s=started_s,
        )
        self._waiting_bytes += entry.size
        self._commits.submit(entry)
        return receipt

    def refuse(self, body: bytes, refusal: RequestRefused, *, source: str, full_bytes: int | None = None) -> None:
        """Account for a body that could not be split into records: one rejected record, kept in quarantine.

        `full_bytes` is its length where `body` is not all of it. Raises Unavailable when nothing can be taken in now.
        """
        self.require_ready()
        self._require_room()
        now_ms = self._clock_ms()
        self.meter.take(0, 0, [refusal.code], now_ms)
        refused = Refused(text(now_ms), refusal.code, refusal.field, str(refusal), source, body, None, full_bytes)
        entry = Entry(
            when_kept=lambda _: None,
            generation=self._generation,
            started_s=time.perf_counter(),
            size=len(body),
            refused=[refused],
        )
        self._waiting_bytes += entry.size
        self._commits.submit(entry)

    def subscribe(self, observer: Observer) -> Callable[[], None]:
        """Call `observer` with each group of events once it is kept; returns how to stop that."""
        self._observers.append(observer)
        return lambda: self._observers.remove(observer)

    def on_rewriting(self, forget: Callable[[], object]) -> None:
        """Call `forget` whenever something that was kept is dropped: what it remembers may be among that."""
        self._forgetful.append(forget)

    def let_forget(self) -> None:
        """Let all that remember events or refused records drop them; `rebuild` does so by itself."""
        for forget in self._forgetful:
            forget()

    def _require_room(self) -> None:
        if self._waiting_bytes > self._max_waiting_bytes:
            raise Unavailable("more events wait for the disk than MAX_WAITING_BYTES; send them again in a second")

    # -- the commit thread ----------------------------------------------------------------------------------

    def _write(self, entries: Sequence[Entry]) -> None:
        records = [record for entry in entries for record in entry.records]
        try:
            if records:
                self.backend.write(records)
        except BaseException:
            # Whoever is told that nothing was kept sends again; bodies without records have had their verdict.
            self._keep_refused([entry for entry in entries if not entry.receipt.rejections])
            raise
        self._keep_refused(entries)

    def _keep_refused(self, entries: Sequence[Entry]) -> None:
        refused = [one for entry in entries for one in entry.refused]
        if refused:
            try:
                self.quarantine.keep(refused)
            except OSError as problem:
                # Their senders get the verdict in the answer; good events of the group must not suffer for it.
                self._not_quarantined.failed(problem)
            else:
                self._not_quarantined.over()

    def _report(self, entries: list[Entry], problem: BackendUnavailable | None) -> None:
        done = self._not_kept if problem else self._kept
        self._run_soon(lambda: done(entries, problem))

    # -- back on the loop -----------------------------------------------------------------------------------

    def _kept(self, entries: list[Entry], _: BackendUnavailable | None) -> None:
        now_ms = self._clock_ms()
        now_s = time.perf_counter()
        self._ids.settle(sum([len(entry.ids) for entry in entries]))
        self._count(*columns(entries), now_ms)
        for entry in entries:
            self._waiting_bytes -= entry.size
            receipt = entry.receipt
            self.meter.take(receipt.accepted, receipt.duplicates, [one.code for one in receipt.rejections], now_ms)
            self.meter.took(now_s - entry.started_s)
            if receipt.duplicates and entry.generation != self._generation:
                # A group failed after these duplicates were found: the events that they repeat may be the
                # ones that were lost. The sender tries again and gets a verdict that holds.
                entry.when_kept(Unavailable("an earlier copy of an event was not kept; send the request again"))
            else:
                entry.when_kept(None)

    def _not_kept(self, entries: list[Entry], problem: BackendUnavailable | None) -> None:
        self._generation += 1
        self.meter.failed_commits += 1
        self._count_part(entries, problem.kept if problem else ())
        for entry in entries:
            entry.when_kept(problem)

    def _count_part(self, entries: list[Entry], kept: Sequence[int]) -> None:
        """Count the `kept` records of a failed group; their ids stay known, so a repeat finds duplicates."""
        ids = [one for entry in entries for one in entry.ids]
        for entry in entries:
            self._waiting_bytes -= entry.size
        self._ids.forget([ids[index] for index in sorted(set(range(len(ids))).difference(kept))])
        if kept:
            self._ids.settle(len(kept))
            now_ms = self._clock_ms()
            events, records, times_ms = columns(entries)
            self._count(
                [events[one] for one in kept], [records[one] for one in kept], [times_ms[one] for one in kept], now_ms
            )
            self.meter.take(len(kept), 0, [], now_ms)

    def _count(
        self, events: Sequence[AnyEvent], records: Sequence[bytes], times_ms: Sequence[int], now_ms: int
    ) -> None:
        if events:
            self.backend.count(events, records, times_ms, now_ms)
            for observer in tuple(self._observers):
                observer(events, records)

    # -- numbers --------------------------------------------------------------------------------------------

    def statistics(self, window: str) -> dict[str, Any]:
        """Everything `/stats` shows for `window`, at most 50 ms old."""
        self.require_ready()
        return self._numbers.of(window, self._clock_ms())


def _not_rewritten(problem: OSError) -> Unavailable:
    reason = os.strerror(problem.errno) if problem.errno else str(problem)
    return Unavailable(
        f"the journal could not be rewritten: {reason}; make room on its disk, or check it, and ask again"
    )


def _not_started(_: Callable[[], None]) -> None:
    raise RuntimeError("the pipeline was not started")
