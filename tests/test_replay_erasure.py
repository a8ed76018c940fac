"""A replay that runs beside an erasure puts nobody back."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from api.rejected import _replayed
from clickstream.journal import Quarantine
from clickstream.journal.quarantine import Refused
from clickstream.replay import Selection
from tests.support.small_pipeline import small_pipeline


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
    async with small_pipeline(quarantine) as pipeline:
        keeper = pipeline.backend.keeper()
        erased = threading.Event()

        def erase() -> None:
            pipeline.rebuild(lambda: keeper.erase("anna"), lambda *_: erased.set())

        def meanwhile() -> None:
            loop.call_soon_threadsafe(erase)
            assert erased.wait(20)

        quarantine.meanwhile = meanwhile
        answer = await _replayed(pipeline, Selection(patch={"event_type": "click"}))
        return answer, list(keeper.records())


def test_a_replay_that_has_read_the_quarantine_puts_nobody_back_who_is_erased_meanwhile(tmp_path: Path) -> None:
    answer, records = asyncio.run(replay_beside_an_erasure_of_anna(tmp_path))

    assert answer["replayed"] == 1
    assert len(records) == 1
    assert b"ben" in records[0]
