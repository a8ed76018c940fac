"""Faults on demand, from random streams of their own: the shoppers do the same with and without them."""

from __future__ import annotations

import hashlib
import heapq
import random
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import msgspec

from clickstream.simulation.clocks import Happening
from clickstream.simulation.moments import MomentWriter
from clickstream.simulation.shopper import Session, Step

EVENT: Final = "event"
DUPLICATE: Final = "duplicate"
INVALID: Final = "invalid"
INVALID_SUFFIX: Final = "x"
BOT: Final = "Bot"

# Simulated seconds, shortest and longest: choices, for there are no public figures.
_LATE_S: Final = (60.0, 900.0)
_OUT_OF_ORDER_S: Final = (1.0, 60.0)
_DUPLICATE_S: Final = (0.0, 30.0)
_BOT_PAGES: Final = (10, 60)
_BOT_DWELL_MS: Final = (200, 1500)
_BOT_AGENT: Final = "Mozilla/5.0 (compatible; ExampleBot/1.0; +https://example.com/bot)"


@dataclass(frozen=True, slots=True)
class Rates:
    """Shares: of events for the first four, of sessions for bots."""

    duplicate: float = 0.0
    late: float = 0.0
    out_of_order: float = 0.0
    invalid: float = 0.0
    bot: float = 0.0


NO_FAULTS: Final = Rates()


class Outgoing(msgspec.Struct, frozen=True, gc=False):
    """One record at the moment it is sent; `fault` says what is wrong with it, if anything."""

    at_ms: int
    kind: str
    record: bytes
    happening: Happening
    fault: str | None = None
    code: str | None = None
    field: str | None = None


class Breakage(NamedTuple):
    """One way to make an event invalid, and the verdict that it must get."""

    name: str
    code: str
    field: str | None
    break_event: Callable[[dict[str, Any]], bytes]


class Faults:
    """Turns happenings into what is sent; without rates it is the happenings themselves."""

    def __init__(self, rates: Rates, *, run_id: str, epoch_ms: int, scale: float) -> None:
        self._rates = rates
        self._run_id = run_id
        self._epoch_ms = epoch_ms
        self._scale_ms = 1000 * scale
        self._moments = MomentWriter()

    def with_bots(self, sessions: Iterable[Session], products: Iterable[Any]) -> Iterator[Session]:
        """The sessions, some of them with a bot that arrives at the same moment."""
        paths = [product.path for product in products]
        for session in sessions:
            yield session
            if self._rates.bot:
                rng = self._stream(session, "bots")
                if rng.random() < self._rates.bot:
                    yield _bot(rng, session, paths, self._run_id)

    def outgoing(self, happenings: Iterable[Happening]) -> Iterator[Outgoing]:
        """What is sent, ordered by the moment of sending."""
        rates = self._rates
        if not (rates.duplicate or rates.late or rates.out_of_order or rates.invalid):
            record = self._record
            for happening in happenings:
                yield Outgoing(happening.at_ms, EVENT, record(happening), happening)
            return
        held: list[tuple[int, int, Outgoing]] = []
        numbers = 0
        for happening in happenings:
            while held and held[0][0] <= happening.at_ms:
                yield heapq.heappop(held)[2]
            for outgoing in self._with_faults(happening):
                numbers += 1
                heapq.heappush(held, (outgoing.at_ms, numbers, outgoing))
        while held:
            yield heapq.heappop(held)[2]

    def _with_faults(self, happening: Happening) -> Iterator[Outgoing]:
        rates = self._rates
        record = self._record(happening)
        late, disordered, doubled, broken = self._draws(happening)
        if not (
            late < rates.late or disordered < rates.out_of_order or doubled < rates.duplicate or broken < rates.invalid
        ):
            yield Outgoing(happening.at_ms, EVENT, record, happening)
            return
        rng = self._stream(happening.session, happening.number)
        fault, delay_ms = None, 0
        if late < rates.late:
            fault, delay_ms = "late", self._delay_ms(rng, _LATE_S)
        elif disordered < rates.out_of_order:
            fault, delay_ms = "out_of_order", self._delay_ms(rng, _OUT_OF_ORDER_S)
        sent_ms = happening.at_ms + delay_ms
        yield Outgoing(sent_ms, EVENT, record, happening, fault)
        if doubled < rates.duplicate:
            again_ms = sent_ms + self._delay_ms(rng, _DUPLICATE_S)
            yield Outgoing(again_ms, DUPLICATE, record, happening, DUPLICATE)
        if broken < rates.invalid:
            breakage = BREAKAGES[int(rng.random() * len(BREAKAGES))]
            yield Outgoing(
                happening.at_ms,
                INVALID,
                _broken(record, breakage),
                happening,
                breakage.name,
                breakage.code,
                breakage.field,
            )

    def _draws(self, happening: Happening) -> Iterable[float]:
        """Four fractions, drawn whatever the rates are: changing one rate leaves the other faults where they were."""
        name = f"{happening.session.session_id}:{happening.number}".encode()
        return [draw / 2**32 for draw in struct.unpack("<4I", hashlib.blake2b(name, digest_size=16).digest())]

    def _record(self, happening: Happening) -> bytes:
        step = happening.session.steps[happening.number]
        return step.record(self._moments.text(self._epoch_ms + happening.at_ms))

    def _delay_ms(self, rng: random.Random, range_s: tuple[float, float]) -> int:
        shortest, longest = range_s
        return round((shortest + (longest - shortest) * rng.random()) * self._scale_ms)

    def _stream(self, session: Session, number: object) -> random.Random:
        return random.Random(f"{session.session_id}:faults:{number}")  # noqa: S311 - repeatable, not secret


def _broken(record: bytes, breakage: Breakage) -> bytes:
    event: dict[str, Any] = msgspec.json.decode(record)
    event["event_id"] += INVALID_SUFFIX
    return breakage.break_event(event)


def _changed(**fields: Any) -> Callable[[dict[str, Any]], bytes]:  # noqa: ANN401 - any JSON value may be wrong
    return lambda event: msgspec.json.encode({**event, **fields})


def _without(*names: str) -> Callable[[dict[str, Any]], bytes]:
    return lambda event: msgspec.json.encode({name: value for name, value in event.items() if name not in names})


def _with_property(text: bytes) -> Callable[[dict[str, Any]], bytes]:
    """Put JSON text that no encoder would write into the properties."""
    return lambda event: msgspec.json.encode({**event, "properties": {"broken": msgspec.Raw(text)}})


BREAKAGES: Final = (
    Breakage("type_name", "invalid_value", "event_type", _changed(event_type="Page View!")),
    Breakage("type_missing", "missing_field", "event_type", _without("event_type")),
    Breakage("type_number", "invalid_type", "event_type", _changed(event_type=42)),
    Breakage("nobody", "missing_identity", "user_id", _without("user_id", "anonymous_id", "session_id")),
    Breakage("user_number", "invalid_type", "user_id", _changed(user_id=12345)),
    Breakage("session_empty", "invalid_value", "session_id", _changed(session_id="")),
    Breakage("user_long", "invalid_value", "user_id", _changed(user_id="u" * 129)),
    Breakage("time_words", "invalid_value", "timestamp", _changed(timestamp="yesterday at noon")),
    Breakage("time_no_zone", "invalid_value", "timestamp", _changed(timestamp="2026-01-15T10:30:00")),
    Breakage("time_number", "invalid_type", "timestamp", _changed(timestamp=1768473000)),
    Breakage("properties_list", "invalid_type", "properties", _changed(properties=["page", "/"])),
    Breakage("key_twice", "duplicate_key", "event_type", lambda event: b'{"event_type":"click",' + _encoded(event)[1:]),
    Breakage("number_huge", "number_out_of_range", None, _with_property(b"1e999")),
    Breakage("not_utf8", "invalid_unicode", None, _with_property(b'"caf\xe9"')),
    Breakage("too_deep", "nesting_too_deep", None, _with_property(b"[" * 40 + b"]" * 40)),
    Breakage("not_object", "not_an_object", None, lambda event: _encoded(event["event_id"])),
    Breakage("too_large", "event_too_large", None, _changed(padding="x" * 262_144)),
)


def _encoded(value: object) -> bytes:
    return msgspec.json.encode(value)


def _bot(rng: random.Random, beside: Session, paths: list[str], run_id: str) -> Session:
    """A crawler that reads product pages one after the other, faster than anybody shops."""
    session_id = f"{run_id}-b{beside.user}-{beside.visit}"
    first = int(rng.random() * len(paths))
    steps, offset_ms = [], 0
    for index in range(_between(rng, _BOT_PAGES)):
        properties = {"page": paths[(first + index) % len(paths)], "user_agent": _BOT_AGENT, "device": "desktop"}
        head = (
            f'{{"event_id":"{session_id}-{index}","event_type":"page_view",'
            f'"anonymous_id":"bot-{session_id}","session_id":"{session_id}","timestamp":"'
        )
        tail = b'","is_bot":true,"properties":' + msgspec.json.encode(properties) + b"}"
        steps.append(Step(offset_ms, "crawl", "page_view", head.encode(), tail, 0))
        offset_ms += _between(rng, _BOT_DWELL_MS)
    start_ms = beside.start_ms
    return Session(beside.user, beside.visit, BOT, session_id, start_ms, start_ms + offset_ms, steps)


def _between(rng: random.Random, limits: tuple[int, int]) -> int:
    return limits[0] + int(rng.random() * (limits[1] - limits[0] + 1))
