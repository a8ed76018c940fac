"""A replay that runs beside an erasure puts nobody back."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from api.rejected import _replayed
from clickstream.backends.local import LocalBackend
from clickstream.journal import Quarantine
from clickstream.journal.quarantine import Refused
from clickstream.pipeline import Pipeline
from clickstream.replay import Selection
from tests.support.native import LIMITS

NOW_MS = 1_795_511_940_000


class ReadAndThen(Quarantine):
    """A quarantine in which `meanwhile` happens once all of it has been read."""

    meanwhile: Callable[[], object] | None = None

    def entries(self) -> Iterator[tuple[bytes, dict[str, Any]]]:
        """The entries as they were before `meanwhile`."""
        found = list(super().entries())
        happens, self.meanwhile = self.meanwhile, None
        if happens is not None:
            happens()
        yield from found


def refused(user: str) -> Refused:
    raw = b'{"event_type":"Bad","event_id":"e-%s","user_id":"%s"}' % (user.encode(), user.encode())
    return Refused("2026-01-01T00:00:00.000Z", "invalid_value", "event_type", "m", "native", raw)


async def replay_beside_an_erasure_of_anna(directory: Path) -> tuple[dict[str, Any], list[bytes]]:
    loop = asyncio.get_running_loop()
    quarantine = ReadAndThen(directory / "rejected.ndjson", max_bytes=10**6)
    quarantine.keep([refused("anna"), refused("ben")])
    backend = LocalBackend(directory / "journal.json", quarantine, fsync="no", clock_ms=lambda: NOW_MS)
    pipeline = Pipeline(
        backend,
        quarantine,
        limits=LIMITS,
        dedupe_window=100,
        max_waiting_bytes=10**6,
        clock_ms=lambda: NOW_MS,
    )
    pipeline.start(loop.call_soon_threadsafe)
    while pipeline.readiness()["status"] != "ready":
        await asyncio.sleep(0.001)
    erased = threading.Event()

    def erase() -> None:
        pipeline.rebuild(lambda: backend.keeper().erase("anna"), lambda *_: erased.set())

    def meanwhile() -> None:
        loop.call_soon_threadsafe(erase)
        assert erased.wait(20)

    quarantine.meanwhile = meanwhile
    try:
        answer = await _replayed(pipeline, Selection(patch={"event_type": "click"}))
        return answer, list(backend.keeper().records())
    finally:
        await asyncio.to_thread(pipeline.stop)


def test_a_replay_that_has_read_the_quarantine_puts_nobody_back_who_is_erased_meanwhile(tmp_path: Path) -> None:
    answer, records = asyncio.run(replay_beside_an_erasure_of_anna(tmp_path))

    assert answer["replayed"] == 1
    assert len(records) == 1
    assert b"ben" in records[0]
