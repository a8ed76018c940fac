"""Stats: the fold over kept events. Folding the journal again gives the same numbers, whatever the batches were."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from typing import Final

from clickstream.events import AnyEvent
from clickstream.stats.minutes import Minutes
from clickstream.stats.money import revenue
from clickstream.stats.names import MOST_NAMES, add_currencies, add_types
from clickstream.stats.recency import RecentMap
from clickstream.stats.sessions import FUNNEL, INACTIVITY_MS, Session
from clickstream.stats.top import TopCounts, count_values
from clickstream.timestamps import MINUTE_MS

EXACT_WINDOW: Final = 1_000_000  # sessions and users remembered; memory is about 300 bytes for each

_TOP_TOTAL: Final = 100_000
_VISITS_KEPT: Final = 50  # of one person without session ids; a later event of an older visit opens a new one
_FUNNEL_STEPS: Final = frozenset(FUNNEL)


class Stats:
    """Counts over every event folded so far; `snapshot` turns them into the numbers that are shown."""

    def __init__(self, *, exact_window: int = EXACT_WINDOW, most_names: int = MOST_NAMES) -> None:
        self._most_names = most_names
        self.types: dict[str, int] = {}
        self.revenue: dict[str, int] = {}  # hundredths by currency
        self.session_depths = [0] * (len(FUNNEL) + 1)
        self.users = 0
        self.first_ms: int | None = None
        self.minutes = Minutes()
        self.top = TopCounts(most=_TOP_TOTAL)
        self.sessions: RecentMap[Session] = RecentMap(exact_window)
        self.visits: RecentMap[list[Session]] = RecentMap(exact_window)  # of people whose events name no session
        self.people: RecentMap[int] = RecentMap(exact_window)  # minute of the last event of each

    def fold(self, events: Sequence[AnyEvent], times_ms: Sequence[int], now_ms: int) -> None:
        """Count `events`, kept in this order, that happened at `times_ms`; `now_ms` only drops minutes out of reach."""
        if not events:
            return
        self.minutes.move_horizon(now_ms // MINUTE_MS)
        self.minutes.count_seconds(times_ms, now_ms)
        add_types(self.types, Counter([event.event_type for event in events]), most=self._most_names)
        earliest = min(times_ms)
        self.first_ms = earliest if self.first_ms is None else min(self.first_ms, earliest)
        minutes = [ms // MINUTE_MS for ms in times_ms]
        self._count_by_time(events, minutes)
        self._count_sessions_and_users(events, times_ms, minutes)

    def _count_by_time(self, events: Sequence[AnyEvent], minutes: list[int]) -> None:
        for minute, part in self._by_minute(events, minutes):
            counts = self.minutes.at(minute)
            add_types(counts.types, Counter([event.event_type for event in part]), most=self._most_names)
            self._count_revenue(part, counts.revenue)
            found = count_values(part)
            self.top.add(found)
            self.minutes.add_top(minute, found)

    def _by_minute(self, events: Sequence[AnyEvent], minutes: list[int]) -> list[tuple[int, Sequence[AnyEvent]]]:
        """Events by minute; all that no window reaches any more together, under minute 0."""
        horizon = self.minutes.horizon
        return _grouped(events, [minute if minute >= horizon else 0 for minute in minutes])

    def _count_revenue(self, events: Sequence[AnyEvent], of_minute: dict[str, int]) -> None:
        for event in events:
            if event.event_type == "purchase" and (amount := revenue(event.properties)) is not None:
                currency, cents = amount
                add_currencies(self.revenue, {currency: cents}, most=self._most_names)
                add_currencies(of_minute, {currency: cents}, most=self._most_names)

    def _count_sessions_and_users(
        self, events: Sequence[AnyEvent], times_ms: Sequence[int], minutes: Sequence[int]
    ) -> None:
        """The loop that every event goes through: what is the same as for the event before is decided in place."""
        sessions, people = self.sessions, self.people
        for event, ms, minute in zip(events, times_ms, minutes, strict=True):
            event_type, session_id = event.event_type, event.session_id
            person = event.user_id or event.anonymous_id
            if session_id is not None:
                session = sessions.young.get(session_id) or sessions.get(session_id)
                if session is None:
                    session = sessions[session_id] = self._open_session(ms)
            elif person is not None:
                session = self._visit(person, ms)
            else:
                continue  # only in files of older versions: an event of nobody
            if ms > session.last_ms and minute == session.last_ms // MINUTE_MS:
                session.last_ms = ms
            elif ms > session.last_ms or ms < session.first_ms:
                self._stretch(session, ms)
            if event_type in _FUNNEL_STEPS and (
                event_type != "page_view" or session.view_ms is None or ms < session.view_ms
            ):
                self._advance(session, event_type, ms)
            if person is not None and people.young.get(person) != minute:
                self._see_person(person, minute)

    def _see_person(self, person: str, minute: int) -> None:
        last = self.people.get(person)
        if last is None:
            self.users += 1
        elif minute <= last:
            return
        else:
            self.minutes.at(last).last_users -= 1
        self.minutes.at(minute).last_users += 1
        self.people[person] = minute

    def _open_session(self, ms: int) -> Session:
        minute = self.minutes.at(ms // MINUTE_MS)
        minute.first_sessions[0] += 1
        minute.last_sessions[0] += 1
        self.session_depths[0] += 1
        return Session(ms, ms)

    def _stretch(self, session: Session, ms: int) -> None:
        if ms > session.last_ms:
            before, after = session.last_ms // MINUTE_MS, ms // MINUTE_MS
            session.last_ms = ms
            if before != after:
                self.minutes.at(before).last_sessions[session.depth] -= 1
                self.minutes.at(after).last_sessions[session.depth] += 1
        else:
            self.minutes.at(session.first_ms // MINUTE_MS).first_sessions[session.depth] -= 1
            self.minutes.at(ms // MINUTE_MS).first_sessions[session.depth] += 1
            session.first_ms = ms

    def _advance(self, session: Session, step: str, ms: int) -> None:
        before = session.depth
        after = session.take_step(step, ms)
        if after != before:
            first = self.minutes.at(session.first_ms // MINUTE_MS).first_sessions
            last = self.minutes.at(session.last_ms // MINUTE_MS).last_sessions
            for counts in (self.session_depths, first, last):
                counts[before] -= 1
                counts[after] += 1

    def _visit(self, person: str, ms: int) -> Session:
        """The visit of `person` that `ms` belongs to: within 30 minutes of its events; it may join two into one."""
        visits = self.visits.young.get(person) or self.visits.get(person) or []
        if len(visits) == 1 and visits[0].first_ms <= ms <= visits[0].last_ms + INACTIVITY_MS:
            return visits[0]
        near = [v for v in visits if v.first_ms - INACTIVITY_MS <= ms <= v.last_ms + INACTIVITY_MS]
        if not near:
            visit = self._open_session(ms)
            self.visits[person] = [*visits[-_VISITS_KEPT:], visit]
            return visit
        visit = near[0]
        for other in near[1:]:
            self._join(visit, other)
            visits.remove(other)
        return visit

    def _join(self, visit: Session, other: Session) -> None:
        for one in (visit, other):
            self.minutes.at(one.first_ms // MINUTE_MS).first_sessions[one.depth] -= 1
            self.minutes.at(one.last_ms // MINUTE_MS).last_sessions[one.depth] -= 1
            self.session_depths[one.depth] -= 1
        visit.absorb(other)
        self.minutes.at(visit.first_ms // MINUTE_MS).first_sessions[visit.depth] += 1
        self.minutes.at(visit.last_ms // MINUTE_MS).last_sessions[visit.depth] += 1
        self.session_depths[visit.depth] += 1


def _grouped(events: Sequence[AnyEvent], keys: list[int]) -> list[tuple[int, Sequence[AnyEvent]]]:
    """Events by key, in order within each key; live traffic has one or two keys a batch."""
    if keys.count(keys[0]) == len(keys):
        return [(keys[0], events)]
    pairs = sorted(zip(keys, range(len(keys)), strict=True))
    return [(key, [events[index] for _, index in group]) for key, group in groupby(pairs, key=lambda pair: pair[0])]
