"""Stats <-> bytes, for the checkpoint."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from clickstream.stats.fold import Stats
from clickstream.stats.hour_tops import HourTops
from clickstream.stats.minutes import Minute
from clickstream.stats.money import storable
from clickstream.stats.names import sum_of_currencies, sum_of_types
from clickstream.stats.recency import RecentMap
from clickstream.stats.sessions import Session
from clickstream.stats.top import TopCounts

# Raise it whenever anything below, or what the fold makes of an event, changes: older checkpoints are then replayed.
FORM: Final = 6


class _Map(msgspec.Struct, array_like=True):
    young: dict[str, Any]
    old: dict[str, Any]
    forgotten: int


class _Sessions(_Map, array_like=True):
    young: dict[str, Session]
    old: dict[str, Session]


class _Visits(_Map, array_like=True):
    young: dict[str, list[Session]]
    old: dict[str, list[Session]]


class _State(msgspec.Struct, array_like=True):
    types: dict[str, int]
    revenue: dict[str, int]
    session_depths: list[int]
    users: int
    first_ms: int | None
    horizon: int
    seconds: dict[int, int]
    minutes: dict[int, Minute]
    hours: dict[int, HourTops]
    top: TopCounts
    sessions: _Sessions
    visits: _Visits
    people: _Map
    ids: list[str]
    dedupe_window: int


def encode(stats: Stats, ids: list[str], *, dedupe_window: int) -> bytes:
    """All of `stats`, and the ids that deduplication remembers, `dedupe_window` at most."""
    state = _State(
        stats.types,
        storable(stats.revenue),
        stats.session_depths,
        stats.users,
        stats.first_ms,
        stats.minutes.horizon,
        stats.minutes.seconds,
        {minute: counts.storable() for minute, counts in stats.minutes.minutes.items()},
        stats.minutes.hours,
        stats.top,
        _Sessions(stats.sessions.young, stats.sessions.old, stats.sessions.forgotten),
        _Visits(stats.visits.young, stats.visits.old, stats.visits.forgotten),
        _Map(stats.people.young, stats.people.old, stats.people.forgotten),
        ids,
        dedupe_window,
    )
    return msgspec.msgpack.encode(state)


def decode(content: bytes, stats: Stats, *, dedupe_window: int) -> list[str] | None:
    """Put what `encode` wrote into fresh `stats`; returns the ids, or None where `dedupe_window` asks for more."""
    state = msgspec.msgpack.decode(content, type=_State, strict=False)
    if state.dedupe_window < dedupe_window and len(state.ids) < sum(state.types.values()):
        return None
    # Names in the order in which they came: a checkpoint from before they were bounded gives what a replay gives.
    stats.types, stats.revenue = sum_of_types([state.types]), sum_of_currencies([state.revenue])
    stats.session_depths = state.session_depths
    stats.users, stats.first_ms, stats.top = state.users, state.first_ms, state.top
    stats.minutes.horizon, stats.minutes.seconds = state.horizon, state.seconds
    stats.minutes.minutes, stats.minutes.hours = state.minutes, state.hours
    _restore(stats.sessions, state.sessions)
    _restore(stats.visits, state.visits)
    _restore(stats.people, state.people)
    return state.ids


def _restore(recent: RecentMap[Any], kept: _Map) -> None:
    recent.young, recent.old, recent.forgotten = kept.young, kept.old, kept.forgotten
