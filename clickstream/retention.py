"""Drops events past their time: soon after the start, then once a day."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Final

from clickstream.backends.keeping import Keeper
from clickstream.pipeline import Pipeline
from clickstream.timestamps import DAY_MS

_log: Final = logging.getLogger(__name__)
_WAIT_FOR_START_S: Final = 1.0
_DAY_S: Final = 86_400.0


async def expire_daily(pipeline: Pipeline, *, days: int, clock_ms: Callable[[], int]) -> None:
    """Never ends; needs a backend that can drop events."""
    backend = pipeline.backend
    if not isinstance(backend, Keeper):
        _log.warning("RETENTION_DAYS has no effect here: this backend's own storage rules decide")
        return
    while True:
        while pipeline.readiness()["status"] != "ready":
            await asyncio.sleep(_WAIT_FOR_START_S)
        cutoff_ms = clock_ms() - days * DAY_MS
        keeper = backend.keeper()
        await asyncio.to_thread(keeper.expire_rejected, cutoff_ms)
        if await asyncio.to_thread(keeper.has_expired, cutoff_ms):
            pipeline.rebuild(partial(keeper.expire, cutoff_ms), _report)
        await asyncio.sleep(_DAY_S)


def _report(dropped: int | None, problem: BaseException | None) -> None:
    if problem is None:
        _log.info("retention dropped=%s", dropped)
