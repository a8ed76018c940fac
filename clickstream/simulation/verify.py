"""Compares the truth of a run with what the API counted (/stats) and kept (/export): equal, or where they differ."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from clickstream.simulation.counted import CountingApi, Stats, StoredEvent
from clickstream.simulation.ledger import FUNNEL, Totals
from clickstream.simulation.sender import Counters

_VISIBLE_WITHIN_S: Final = 3.0
_IDS_NAMED: Final = 5


@dataclass(frozen=True, slots=True)
class Comparison:
    """One number: what the truth expects (from `least` to `most`), and what was found."""

    name: str
    least: int
    most: int
    found: int
    note: str = ""

    @property
    def is_equal(self) -> bool:
        """Whether the API agrees with the truth."""
        return self.least <= self.found <= self.most

    @property
    def expected(self) -> str:
        """`120`, or `120 to 620` where lost answers leave it open."""
        return f"{self.least:,}" if self.least == self.most else f"{self.least:,} to {self.most:,}"


def expected_counts(totals: Totals, currency: str) -> Counter[str]:
    """What a run adds to the counts of the API, under the names of Stats.comparable."""
    counts = Counter(
        {
            "accepted events": totals.events,
            "sessions": totals.sessions,
            f"revenue {currency} cents": totals.revenue_cents,
        }
    )
    counts.update({f"type {name}": count for name, count in totals.by_type.items()})
    counts.update({f"funnel {step}": count for step, count in zip(FUNNEL, totals.funnel, strict=True)})
    return counts


def compare_stats(
    api: CountingApi, before: Stats, totals: Totals, counters: Counters, currency: str
) -> list[Comparison]:
    """Compare /stats with the truth, after waiting until the last events are visible there."""
    expected = expected_counts(totals, currency)
    give_up_at = time.monotonic() + _VISIBLE_WITHIN_S
    while True:
        after = api.stats()
        found = after.comparable(currency)
        found.subtract(before.comparable(currency))
        if time.monotonic() > give_up_at or all(found[name] == expected[name] for name in {*found, *expected}):
            break
        time.sleep(0.1)
    names = [name for name in dict.fromkeys([*expected, *sorted(found)]) if expected[name] or found[name]]
    exact = [Comparison(f"stats: {name}", expected[name], expected[name], found[name]) for name in names]
    return exact + _compare_accounting(before, after, totals, counters)


def compare_verdicts(totals: Totals, verdicts: Counter[str]) -> list[Comparison]:
    """Compare the codes of the rejections with the faults that were put in."""
    codes = sorted({*totals.rejected_by_code, *verdicts})
    expected = totals.rejected_by_code
    return [Comparison(f"verdicts: {code}", expected[code], expected[code], verdicts[code]) for code in codes]


def compare_export(stored: Iterable[StoredEvent], truth: Path, totals: Totals) -> list[Comparison]:
    """Compare the exported events of a run with its truth file, id by id."""
    kept = _Kept()
    for event in stored:
        kept.add(event)
    ids = kept.against(_sessions(truth))
    names = sorted({*totals.by_type, *kept.by_type})
    return [
        Comparison("export: distinct events", totals.events, totals.events, kept.distinct),
        Comparison("export: missing", 0, 0, ids.missing, _named(ids.missing_ids)),
        Comparison("export: stored twice", 0, 0, kept.twice),
        Comparison("export: never sent", 0, 0, ids.unexpected, _named(ids.unexpected_ids)),
        Comparison("export: revenue cents", totals.revenue_cents, totals.revenue_cents, kept.revenue_cents),
        *(
            Comparison(f"export: type {name}", totals.by_type[name], totals.by_type[name], kept.by_type[name])
            for name in names
        ),
    ]


def _compare_accounting(before: Stats, after: Stats, totals: Totals, counters: Counters) -> list[Comparison]:
    """Duplicates and rejected, which the API counts since its start: after a restart only the verdicts can tell."""
    if before.accounting.since != after.accounting.since:
        return []
    maybe = counters.maybe_stored
    note = f"up to {maybe:,} were sent again after a lost answer" if maybe else ""
    return [
        Comparison(
            f"stats: {name}",
            injected,
            injected + maybe,
            getattr(after.accounting, name) - getattr(before.accounting, name),
            note,
        )
        for name, injected in (("duplicates", totals.duplicates), ("rejected", totals.invalid))
    ]


@dataclass(slots=True)
class _Differences:
    missing: int = 0
    unexpected: int = 0
    missing_ids: list[str] = field(default_factory=list)
    unexpected_ids: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Kept:
    """The ids of stored events as one bit field a session: a million of them in some 30 MB."""

    sessions: dict[str, int] = field(default_factory=dict)
    by_type: Counter[str] = field(default_factory=Counter)
    revenue_cents: int = 0
    distinct: int = 0
    twice: int = 0

    def add(self, event: StoredEvent) -> None:
        session_id, _, number = event.event_id.rpartition("-")
        bit = 1 << int(number) if number.isdecimal() else 0
        known = self.sessions.get(session_id, 0)
        if bit & known:
            self.twice += 1
            return
        self.sessions[session_id] = known | bit
        self.distinct += 1
        self.by_type[event.event_type] += 1
        if event.event_type == "purchase" and event.properties.total is not None:
            self.revenue_cents += round(event.properties.total * 100)

    def against(self, truth: Iterable[tuple[str, int]]) -> _Differences:
        """What is missing and what is too much; empties the bit fields of what it has found."""
        differences = _Differences()
        for session_id, count in truth:
            found, expected = self.sessions.pop(session_id, 0), (1 << count) - 1
            if found != expected:
                _name_bits(session_id, expected & ~found, differences.missing_ids)
                differences.missing += (expected & ~found).bit_count()
                self.sessions[session_id] = found & ~expected
        for session_id, bits in self.sessions.items():
            _name_bits(session_id, bits, differences.unexpected_ids)
            differences.unexpected += bits.bit_count()
        return differences


def _name_bits(session_id: str, bits: int, names: list[str]) -> None:
    while bits and len(names) < _IDS_NAMED:
        lowest = bits & -bits
        names.append(f"{session_id}-{lowest.bit_length() - 1}")
        bits ^= lowest


class _Line(msgspec.Struct):
    kind: str
    session_id: str = ""
    events: int = 0


def _sessions(truth: Path) -> Iterator[tuple[str, int]]:
    decode = msgspec.json.Decoder(_Line).decode
    with truth.open("rb") as lines:
        for line in lines:
            if b'"kind":"session"' in line:
                entry = decode(line)
                yield entry.session_id, entry.events


def _named(ids: list[str]) -> str:
    return ", ".join(ids)
