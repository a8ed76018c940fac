"""Counts a batch of one shard exactly once, however often and however cut it is delivered.

Every event has a position: its record's sequence number and its line. One transaction writes the counts of
the events beyond the shard's watermark and moves the watermark to the last of them. A batch that was counted
already lies before the watermark and changes nothing; a batch cut anew changes only what lies beyond.

The counting itself is Stats.fold, the same as on the local platform: it starts from the sessions and people
that the events touch, and what it comes to is added to what the table has.
"""

from __future__ import annotations

import random
import time
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from clickstream.aws.consumer.adding import add_minutes, add_state
from clickstream.aws.consumer.table import (
    MAX_ITEMS,
    NO_POSITION,
    Conflict,
    CountedMinute,
    CounterTable,
    Key,
    Put,
    ShardState,
    Stored,
    decode_minute,
    decode_state,
    minute_key,
    person_key,
    replayed_key,
    session_key,
    shard_key,
    visits_key,
)
from clickstream.aws.consumer.watermark import past_put
from clickstream.events import MAX_AHEAD_MS, Event
from clickstream.stats import Stats
from clickstream.stats.minutes import MINUTES_KEPT, Minute, Minutes
from clickstream.stats.sessions import Session
from clickstream.stats.top import TopCounts
from clickstream.timestamps import DAY_MS, MINUTE_MS

# Of one transaction's 100 items these may be sessions, people and replayed events; the rest: minutes, the shard.
_ENTITIES: Final = 92
_MAX_BYTES: Final = 3_500_000  # of one transaction's bodies; DynamoDB takes 4 MB with keys and all
_UNBOUNDED: Final = 10**9
_ATTEMPTS: Final = 20
_LONGEST_PAUSE_S: Final = 0.05
_MINUTES_TTL_MS: Final = 8 * DAY_MS
_SESSIONS_TTL_MS: Final = 30 * DAY_MS
_PEOPLE_TTL_MS: Final = 400 * DAY_MS
_REPLAYED_TTL_MS: Final = 30 * DAY_MS

_encode: Final = msgspec.msgpack.Encoder().encode
_decode_session: Final = msgspec.msgpack.Decoder(Session).decode
_decode_visits: Final = msgspec.msgpack.Decoder(list[Session]).decode
_decode_minute_number: Final = msgspec.msgpack.Decoder(int).decode


@dataclass(frozen=True, slots=True)
class Arrival:
    """One event and where it stands in its shard: which record, which line of it."""

    record: str  # sequence number, 56 digits
    number: int
    event: Event
    ms: int
    record_digest: bytes
    ends_record: bool
    is_replayed: bool = False  # it may have been replayed before, in another record and through another shard

    @property
    def position(self) -> str:
        """Sorts as the events stand in the shard."""
        return f"{self.record}.{self.number:07d}"


class ShardCounter:
    """Counts the events of one shard."""

    def __init__(self, table: CounterTable, shard: str, now_ms: int) -> None:
        self._table = table
        self._shard = shard
        self._now_ms = now_ms
        self._known: dict[Key, Stored | None] = {}  # items as they were read or written last; None: there is none
        self._has_moved = False  # this delivery has moved the watermark
        self.position = NO_POSITION  # the watermark when it was last read or moved

    def count(self, arrivals: Sequence[Arrival]) -> int:
        """Count what of `arrivals`, in order of position, is not counted yet; returns how many events that were.

        Whatever this raises, each event is either counted and before the watermark, or neither.
        """
        counted = conflicts = begin = 0
        share = len(arrivals)
        while begin < len(arrivals):
            part = _prefix(arrivals, begin, share)
            self._load(self._keys(part))  # one read for all that the transaction needs
            state = self._state()
            done = bisect_right(arrivals, self.position, begin, key=lambda one: one.position)
            if done > begin:
                begin = done
                continue
            puts, fresh = self._work(part, state)
            if len(part) > 1 and (len(puts) > MAX_ITEMS or sum(len(put.body) for put in puts) > _MAX_BYTES):
                share = max(1, len(part) * 3 // 4)
                continue
            try:
                self._table.commit(puts)
            except Conflict:
                self._known.clear()
                conflicts += 1
                if conflicts == _ATTEMPTS:
                    raise
                # Another shard writes the same sessions: smaller transactions, a moment apart, get past each other.
                share = max(1, len(part) // 2)
                time.sleep(random.uniform(0, _LONGEST_PAUSE_S))  # noqa: S311 (spreads retries)
                continue
            self._has_moved = True
            self._remember(puts)
            counted += fresh
            conflicts = 0
            share = min(len(arrivals), share * 2)
        return counted

    def _keys(self, part: Iterable[Arrival]) -> list[Key]:
        """The shard, and what `part` touches; a minute that a session began or was last seen in may be one more."""
        entities = [key for one in part for key in _keys_of(one)]
        minutes = {one.ms // MINUTE_MS for one in part}
        return [shard_key(self._shard), *(minute_key(minute, self._shard) for minute in minutes), *entities]

    def _state(self) -> ShardState:
        key = shard_key(self._shard)
        stored = self._load([key]).get(key)
        if stored is None:
            self._table.register(self._shard)
            return ShardState()
        self.position = stored.position
        return decode_state(stored.body)

    def _load(self, keys: Iterable[Key]) -> dict[Key, Stored]:
        wanted = list(dict.fromkeys(keys))
        unknown = [key for key in wanted if key not in self._known]
        if unknown:
            found = self._table.load(unknown)
            self._known.update((key, found.get(key)) for key in unknown)
        return {key: stored for key in wanted if (stored := self._known[key]) is not None}

    def _remember(self, puts: Iterable[Put]) -> None:
        for one in puts:
            version = 0 if one.version_read is None else one.version_read + 1
            self._known[one.key] = Stored(one.body, version, one.position or NO_POSITION)

    def _work(self, part: Sequence[Arrival], state: ShardState) -> tuple[list[Put], int]:
        fresh = self._not_replayed_before(_without_copies(part, state.digests))
        changes = _Changes(self._load(key for one in fresh for key in _entity_keys(one.event)))
        changes.fold(fresh, self._now_ms)
        now = self._now_ms // MINUTE_MS
        minutes = {
            minute: delta
            for minute, delta in changes.stats.minutes.minutes.items()
            if delta != Minute() and now - MINUTES_KEPT <= minute <= now + MAX_AHEAD_MS // MINUTE_MS
        }
        puts = [
            *changes.entity_puts(self._now_ms),
            *self._minute_puts(minutes, changes.stats.minutes),
            *self._replayed_puts(fresh),
        ]
        ended = [one.record_digest for one in fresh if one.ends_record]
        state = add_state(state, changes.stats, minutes, ended, self._now_ms)
        body = _encode(state.storable())
        puts.append(Put(shard_key(self._shard), body, position=part[-1].position, position_read=self.position))
        if not self._has_moved and self.position != NO_POSITION:
            puts.append(past_put(self._shard, self.position, self._now_ms))
        return puts, len(fresh)

    def _not_replayed_before(self, arrivals: Iterable[Arrival]) -> list[Arrival]:
        """Without replayed events that an earlier replay has brought; two of them in one replay are copies as well."""
        first: dict[Key, str] = {}
        fresh = []
        for one in arrivals:
            if one.is_replayed:
                key = replayed_key(one.event.event_id or "")
                if self._load([key]) or first.setdefault(key, one.position) != one.position:
                    continue
            fresh.append(one)
        return fresh

    def _replayed_puts(self, fresh: Iterable[Arrival]) -> list[Put]:
        expires_s = (self._now_ms + _REPLAYED_TTL_MS) // 1000
        keys = [replayed_key(one.event.event_id or "") for one in fresh if one.is_replayed]
        # Version 0: of two shards that count the same event at once, one meets a Conflict and reads again.
        return [Put(key, b"", expires_s, version_read=0) for key in keys]

    def _minute_puts(self, deltas: dict[int, Minute], found: Minutes) -> list[Put]:
        of_minute: dict[int, dict[int, int]] = {}
        for second, count in found.seconds.items():
            of_minute.setdefault(second // 60, {})[second % 60] = count
        keys = {minute: minute_key(minute, self._shard) for minute in deltas}
        stored = self._load(keys.values())
        expires_s = (self._now_ms + _MINUTES_TTL_MS) // 1000
        puts = []
        for minute, delta in deltas.items():
            before = stored.get(keys[minute])
            # No condition of its own: only this shard writes it, and the watermark in the same transaction
            # lets only one reader of the shard through.
            known = CountedMinute() if before is None else decode_minute(before.body)
            top = next(found.top_between(minute, minute), None)
            after = add_minutes(known, delta, top, of_minute.get(minute, {}))
            puts.append(Put(keys[minute], _encode(after.storable()), expires_s))
        return puts


class _Changes:
    """Sessions and people as they were read, and what folding events makes of them."""

    def __init__(self, stored: dict[Key, Stored]) -> None:
        self._stored = stored
        # Bounds are kept where counts are added to the table's: there it is known which names came first.
        self.stats = Stats(most_names=_UNBOUNDED)
        self.stats.top = TopCounts(most=_UNBOUNDED)
        for (pk, _), item in stored.items():
            kind, _, name = pk.partition("#")
            if kind == "session":
                self.stats.sessions[name] = _decode_session(item.body)
            elif kind == "visits":
                self.stats.visits[name] = _decode_visits(item.body)
            elif kind == "person":
                self.stats.people[name] = _decode_minute_number(item.body)

    def fold(self, arrivals: Sequence[Arrival], now_ms: int) -> None:
        self.stats.fold([one.event for one in arrivals], [one.ms for one in arrivals], now_ms)

    def entity_puts(self, now_ms: int) -> list[Put]:
        sessions_s, people_s = (now_ms + _SESSIONS_TTL_MS) // 1000, (now_ms + _PEOPLE_TTL_MS) // 1000
        puts = []
        for name, session in self.stats.sessions.young.items():
            if (put := self._changed(session_key(name), session, sessions_s)) is not None:
                puts.append(put)
        for name, visits in self.stats.visits.young.items():
            if (put := self._changed(visits_key(name), visits, sessions_s)) is not None:
                puts.append(put)
        for name, minute in self.stats.people.young.items():
            if (put := self._changed(person_key(name), minute, people_s)) is not None:
                puts.append(put)
        return puts

    def _changed(self, key: Key, value: Session | list[Session] | int, expires_s: int) -> Put | None:
        body = _encode(value)
        before = self._stored.get(key)
        if before is None:
            return Put(key, body, expires_s, version_read=0)
        if body == before.body or _is_same_to_the_minute(value, before.body):
            return None
        return Put(key, body, expires_s, version_read=before.version)


def _is_same_to_the_minute(value: Session | list[Session] | int, before: bytes) -> bool:
    """Whether writing `value` could be spared: a session whose ends moved only within their minutes.

    All numbers that follow from the ends of sessions are counted by minute. It is not so for visits without
    a session id: whether the next event belongs to one is decided to the millisecond.
    """
    return isinstance(value, Session) and _rounded(value) == _rounded(_decode_session(before))


def _rounded(session: Session) -> tuple[object, ...]:
    ends = session.first_ms // MINUTE_MS, session.last_ms // MINUTE_MS
    return (*ends, *msgspec.structs.astuple(session)[2:])


def _keys_of(arrival: Arrival) -> Iterable[Key]:
    yield from _entity_keys(arrival.event)
    if arrival.is_replayed:
        yield replayed_key(arrival.event.event_id or "")


def _entity_keys(event: Event) -> Iterable[Key]:
    person = event.user_id or event.anonymous_id
    if event.session_id is not None:
        yield session_key(event.session_id)
    elif person is not None:
        yield visits_key(person)
    if person is not None:
        yield person_key(person)


def _prefix(arrivals: Sequence[Arrival], begin: int, most: int) -> Sequence[Arrival]:
    """As many from `begin` on as touch few enough items for one transaction, at least one."""
    touched: set[Key] = set()
    end = min(begin + most, len(arrivals))
    for number in range(begin, end):
        touched.update(_keys_of(arrivals[number]))
        if len(touched) > _ENTITIES and number > begin:
            return arrivals[begin:number]
    return arrivals[begin:end]


def _without_copies(part: Sequence[Arrival], known: Iterable[bytes]) -> list[Arrival]:
    """`part` without records whose very bytes came before: a producer sends a call again when its answer was lost."""
    records: dict[bytes, str] = dict.fromkeys(known, "")
    return [one for one in part if records.setdefault(one.record_digest, one.record) == one.record]
