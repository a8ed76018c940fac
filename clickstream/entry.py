"""One request on its way through the pipeline, and the verdicts that its sender gets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from clickstream.errors import Unavailable
from clickstream.events import AnyEvent, Rejection
from clickstream.journal.quarantine import Refused

OnKept = Callable[[Unavailable | None], None]


@dataclass(slots=True)
class Receipt:
    """The verdicts on one request; `when_kept` in `Pipeline.accept` tells when they may be sent."""

    accepted: int
    duplicates: int
    rejections: Sequence[Rejection]


@dataclass(slots=True, kw_only=True)
class Entry:
    """What one request wants kept, in parallel lists, and who is told once it is."""

    when_kept: OnKept
    generation: int  # how many groups had failed when its duplicates were found
    started_s: float
    size: int = 0
    events: Sequence[AnyEvent] = ()
    records: Sequence[bytes] = ()
    times_ms: Sequence[int] = ()
    ids: Sequence[str] = ()
    receipt: Receipt = field(default_factory=lambda: Receipt(0, 0, ()))
    refused: Sequence[Refused] = ()


def columns(entries: Sequence[Entry]) -> tuple[list[AnyEvent], list[bytes], list[int]]:
    """Events, records and times of all `entries`."""
    return (
        [event for entry in entries for event in entry.events],
        [record for entry in entries for record in entry.records],
        [ms for entry in entries for ms in entry.times_ms],
    )


def refused_of(rejection: Rejection, source: str, received_at: str) -> Refused:
    """What the quarantine keeps of a rejected record."""
    return Refused(
        received_at,
        rejection.code,
        rejection.field,
        rejection.message,
        source,
        rejection.record,
        rejection.event_id,
    )
