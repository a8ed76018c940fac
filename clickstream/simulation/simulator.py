"""Users and their sessions in the order of their start: the one source of traffic, whatever the clock.

A user is a place in the shop, taken by one person after the other, of whom some come again. Every user has random
streams of their own, so fewer users are a subset of more, and neither the speed nor the size of a batch changes a byte.
"""

from __future__ import annotations

import hashlib
import heapq
import random
from collections.abc import Iterator
from typing import Final

import msgspec

from clickstream.simulation.catalogue import Catalogue
from clickstream.simulation.journeys import Model
from clickstream.simulation.shopper import Session, Shoppers

# Users arrive spread over about one mean dwell, which is how a shop looks that has been open all along.
_ARRIVALS_WITHIN_MS: Final = 80_000


class Simulator:
    """An endless stream of sessions of `users` shoppers who are always there: each visit is followed by the next."""

    def __init__(self, model: Model, catalogue: Catalogue, *, seed: int, users: int, preset: str = "default") -> None:
        self.run_id = run_id(model, seed, preset)
        self._users = users
        self._model = model
        self._catalogue = catalogue
        self._shoppers = Shoppers(model, catalogue, preset)

    def sessions(self) -> Iterator[Session]:
        """Sessions ordered by start."""
        rng = random.Random()  # noqa: S311 - seeded below for every session; repeatable, not secret
        waiting = [(self._first_start_ms(user), user, 0) for user in range(self._users)]
        heapq.heapify(waiting)
        while True:
            start_ms, user, visit = waiting[0]
            rng.seed(self._stream(user, visit))
            session = self._shoppers.session(
                rng,
                user=user,
                visit=visit,
                session_id=f"{self.run_id}-{user}-{visit}",
                identity=self._identity(user, self._first_visit(user, visit)),
                start_ms=start_ms,
            )
            heapq.heapreplace(waiting, (session.end_ms, user, visit + 1))
            yield session

    def _first_start_ms(self, user: int) -> int:
        return self._stream(user, -1) % _ARRIVALS_WITHIN_MS

    def _first_visit(self, user: int, visit: int) -> int:
        """Of whoever visits: this visit, or one before it.

        Those who return were there 1, 2 or N visits before with chances as 1, 1/2 and 1/N: most soon, few after long,
        at every scale of time, since nothing here knows how long a visit's clock will make its day.
        """
        while visit:
            draw = _hash64(f"{self.run_id}:{user}:{visit}:before")
            if (draw >> 32) / 2**32 >= self._model.returning_share:
                break
            visit -= int((visit + 1) ** ((draw & 0xFFFFFFFF) / 2**32))
        return visit

    def _identity(self, user: int, first_visit: int) -> dict[str, str]:
        """Who visits: a known person or an anonymous one, the same on each of their visits."""
        draw = self._stream(user, -2 - first_visit)
        if (draw >> 32) / 2**32 >= self._model.known_share:
            return {"anonymous_id": f"anon-{draw:016x}"}
        people = self._catalogue.people
        return {"user_id": f"{people[draw % len(people)]}.{user}.{first_visit}"}

    def _stream(self, user: int, number: int) -> int:
        return _hash64(f"{self.run_id}:{user}:{number}")


def run_id(model: Model, seed: int, preset: str) -> str:
    """Eight digits that name a seed and a model: other events never get the ids of these."""
    shape = hashlib.blake2b(msgspec.json.encode(model), digest_size=16).hexdigest()
    return f"{_hash64(f'{seed}:{preset}:{shape}') >> 32:08x}"


def _hash64(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
