"""Drops events past their time: soon after the start, then once a day."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from clickstream.backends.keeping import Keeper, Keeping
from clickstream.errors import Replaying
from clickstream.pipeline import Pipeline
from clickstream.timestamps import DAY_MS

_log: Final = logging.getLogger(__name__)
_WAIT_FOR_START_S: Final = 1.0
_DAY_S: Final = 86_400.0
_AGAIN_S: Final = 300.0  # each try at a full disk reads the whole journal anew: seconds in which nothing is taken in


async def expire_daily(
    pipeline: Pipeline,
    *,
    days: int,
    clock_ms: Callable[[], int],
    wait: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Never ends; a pass that fails is tried again. Needs a backend that can drop events."""
    backend = pipeline.backend
    if not isinstance(backend, Keeper):
        _log.warning("RETENTION_DAYS has no effect here: this backend's own storage rules decide")
        return
    while True:
        while pipeline.readiness()["status"] != "ready":
            await wait(_WAIT_FOR_START_S)
        try:
            await _expire(pipeline, backend.keeper(), clock_ms() - days * DAY_MS)
        except Replaying:  # an erasure has begun meanwhile: once that is done
            await wait(_WAIT_FOR_START_S)
        except Exception as problem:  # noqa: BLE001 - outermost frame; nobody else would drop anything until a restart
            _log.error("retention failed, trying again retry_s=%d error=%s", _AGAIN_S, problem)
            await wait(_AGAIN_S)
        else:
            await wait(_DAY_S)


async def _expire(pipeline: Pipeline, keeper: Keeping, cutoff_ms: int) -> None:
    if await asyncio.to_thread(keeper.expire_rejected, cutoff_ms):
        pipeline.let_forget()
    if not await asyncio.to_thread(keeper.has_expired, cutoff_ms):
        return
    rewritten: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()

    def done(dropped: int | None, problem: BaseException | None) -> None:
        if rewritten.done():  # the process ends
            return
        if problem is None:
            rewritten.set_result(dropped)
        else:
            rewritten.set_exception(problem)

    pipeline.rebuild(partial(keeper.expire, cutoff_ms), done)
    _log.info("retention dropped=%s", await rewritten)
