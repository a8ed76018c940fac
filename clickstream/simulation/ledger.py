"""The truth: what was generated, which faults were put in, and what was never acknowledged.

The file holds one JSON object a line. A session line with its number of events names every event id of the session
(`<session_id>-0`, `-1`, …), so the set of distinct ids is complete without a line for each event.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final

import msgspec

from clickstream.client.sending import ACKNOWLEDGED, Delivery
from clickstream.simulation.faults import DUPLICATE, EVENT, INVALID, INVALID_SUFFIX, Outgoing
from clickstream.simulation.sender import Batch, event_id_of
from clickstream.simulation.shopper import Session

FUNNEL: Final = ("page_view", "add_to_cart", "checkout", "purchase")


@dataclass(slots=True)
class Totals:
    """Sums over a run; `funnel` counts the sessions that reached each step in order."""

    events: int = 0
    by_type: Counter[str] = field(default_factory=Counter)
    sessions: int = 0
    funnel: list[int] = field(default_factory=lambda: [0] * len(FUNNEL))
    revenue_cents: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    rejected_by_code: Counter[str] = field(default_factory=Counter)

    @property
    def duplicates(self) -> int:
        """Copies that were sent on purpose."""
        return self.faults[DUPLICATE]

    @property
    def invalid(self) -> int:
        """Records that must be rejected."""
        return sum(self.rejected_by_code.values())

    def as_fields(self) -> dict[str, Any]:
        """What the last line of the truth file says."""
        return {
            "events": self.events,
            "by_type": dict(sorted(self.by_type.items())),
            "sessions": self.sessions,
            "funnel": dict(zip(FUNNEL, self.funnel, strict=True)),
            "purchases": self.by_type["purchase"],
            "revenue_cents": self.revenue_cents,
            "faults": dict(sorted(self.faults.items())),
            "rejected_by_code": dict(sorted(self.rejected_by_code.items())),
        }


@dataclass(slots=True)
class _Open:
    session: Session
    events: int = 0
    expected: int = -1  # known once the last event of the session has come
    reached: int = 0  # funnel steps, counted in the order in which things happened
    counted: int = 0  # events of the session that the funnel has seen
    early: set[int] | None = None  # events that were sent before an earlier one, which is late

    def advance(self, number: int) -> Sequence[str]:
        """The types that can be counted now that event `number` is here, in the order in which they happened."""
        if number == self.counted and not self.early:
            self.counted += 1
            return (self.session.steps[number].event_type,)
        self.early = self.early or set()
        self.early.add(number)
        types = []
        while self.counted in self.early:
            self.early.remove(self.counted)
            types.append(self.session.steps[self.counted].event_type)
            self.counted += 1
        return types


class Ledger:
    """Notes every event as it is generated and writes the truth to `path`; memory holds only the open sessions."""

    def __init__(self, path: Path | None, run: Mapping[str, Any]) -> None:
        self.totals = Totals()
        self.verdicts: Counter[str] = Counter()
        self._open: dict[str, _Open] = {}
        self._lock = threading.Lock()
        self._file: BinaryIO | None = path.open("wb") if path else None
        self._write({"kind": "run", **run})

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def note(self, outgoing: Outgoing) -> None:
        """Count one record that is about to be sent."""
        if outgoing.kind == EVENT:
            self._note_event(outgoing)
        elif outgoing.kind == INVALID:
            self.totals.rejected_by_code[str(outgoing.code)] += 1
        if outgoing.fault is not None:
            self.totals.faults[outgoing.kind if outgoing.kind != EVENT else outgoing.fault] += 1
            self._write_fault(outgoing)

    def delivered(self, batch: Batch, delivery: Delivery) -> None:
        """Note what the API said about a batch, and every id in one that was not acknowledged."""
        self.verdicts.update(rejection.code for rejection in delivery.rejected)
        if delivery.outcome != ACKNOWLEDGED:
            for record in batch.records:
                self._write({"kind": delivery.outcome, "event_id": event_id_of(record), "reason": delivery.reason})

    def active_by_persona(self) -> dict[str, int]:
        """How many sessions are going on now."""
        with self._lock:
            return dict(Counter(one.session.persona for one in self._open.values()))

    def close(self) -> None:
        """Write what is still open, and the totals."""
        for one in list(self._open.values()):
            self._end(one)
        self._write({"kind": "totals", **self.totals.as_fields()})
        if self._file is not None:
            self._file.close()
            self._file = None

    def _note_event(self, outgoing: Outgoing) -> None:
        happening = outgoing.happening
        session, number, totals = happening.session, happening.number, self.totals
        step = session.steps[number]
        one = self._open.get(session.session_id) or self._opened(session)
        for event_type in one.advance(number):
            if one.reached < len(FUNNEL) and event_type == FUNNEL[one.reached]:
                totals.funnel[one.reached] += 1
                one.reached += 1
        one.events += 1
        totals.events += 1
        totals.by_type[step.event_type] += 1
        if step.cents:
            totals.revenue_cents += step.cents
        if happening.is_last:
            one.expected = number + 1
        if one.events == one.expected:
            self._end(one)

    def _opened(self, session: Session) -> _Open:
        one = _Open(session)
        with self._lock:
            self._open[session.session_id] = one
        self.totals.sessions += 1
        return one

    def _end(self, one: _Open) -> None:
        with self._lock:
            del self._open[one.session.session_id]
        self._write(
            {
                "kind": "session",
                "session_id": one.session.session_id,
                "persona": one.session.persona,
                "events": one.events,
                "reached": FUNNEL[one.reached - 1] if one.reached else None,
            }
        )

    def _write_fault(self, outgoing: Outgoing) -> None:
        line: dict[str, Any] = {"kind": "fault", "fault": outgoing.fault}
        if outgoing.kind == INVALID:
            line.update(fault="invalid", how=outgoing.fault, code=outgoing.code, field=outgoing.field)
        event_id = outgoing.happening.session.event_id(outgoing.happening.number)
        self._write({**line, "event_id": f"{event_id}{INVALID_SUFFIX}" if outgoing.kind == INVALID else event_id})

    def _write(self, line: Mapping[str, Any]) -> None:
        if self._file is not None:
            self._file.write(msgspec.json.encode(line) + b"\n")
