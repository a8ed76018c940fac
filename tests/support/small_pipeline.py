"""The way of an event over a journal of its own, on the loop of the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from clickstream.backends.local import LocalBackend
from clickstream.journal import Quarantine
from clickstream.pipeline import Pipeline
from tests.support.native import LIMITS, NOW_MS


@asynccontextmanager
async def small_pipeline(quarantine: Quarantine) -> AsyncIterator[Pipeline]:
    """A pipeline that is ready, over `journal.json` beside `quarantine`."""
    path = quarantine.path.with_name("journal.json")
    pipeline = Pipeline(
        LocalBackend(path, quarantine, fsync="no", clock_ms=lambda: NOW_MS),
        quarantine,
        limits=LIMITS,
        dedupe_window=1000,
        max_waiting_bytes=10**7,
        clock_ms=lambda: NOW_MS,
    )
    pipeline.start(asyncio.get_running_loop().call_soon_threadsafe)
    try:
        await ready(pipeline)
        yield pipeline
    finally:
        await asyncio.to_thread(pipeline.stop)


async def ready(pipeline: Pipeline) -> None:
    """Wait until the journal has been read."""
    while pipeline.readiness()["status"] != "ready":
        await asyncio.sleep(0.001)
