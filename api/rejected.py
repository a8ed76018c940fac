"""POST /rejected/replay: refused records tried again after a fix, each kept once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

from flask import Blueprint, Response, request

from api.access import refuse_other_sites, refuse_strangers
from api.answers import failure, only_parameters, reply, request_body
from api.parts import parts
from clickstream import replay
from clickstream.errors import Unavailable
from clickstream.pipeline import Pipeline
from clickstream.server import DEFERRED, Deferred
from clickstream.timestamps import now_ms

rejected: Final = Blueprint("rejected", __name__)
rejected.before_request(refuse_strangers)
rejected.before_request(refuse_other_sites)
_running: Final[set[asyncio.Task[None]]] = set()
# Two at once would try the same copy, keep it once, and take out two.
_one_at_a_time: Final = asyncio.Lock()


@rejected.post("/rejected/replay")
def post_replay() -> Response:
    """Try quarantined records again; what is kept now leaves the quarantine."""
    only_parameters()
    selection = replay.read_selection(request_body(request.environ))
    parts().pipeline.require_ready()
    deferred = Deferred()
    _start(_replay(parts().pipeline, selection, deferred))
    request.environ[DEFERRED] = deferred
    return Response()


async def _replay(pipe: Pipeline, selection: replay.Selection, deferred: Deferred) -> None:
    try:
        async with _one_at_a_time:
            answer = await _replayed(pipe, selection)
        deferred.resolve(reply(answer))
    except Exception as problem:  # noqa: BLE001 - outermost frame of this task; its client waits for an answer
        deferred.resolve(failure(problem))


async def _replayed(pipe: Pipeline, selection: replay.Selection) -> dict[str, Any]:
    trial = await _attempt(pipe, selection)
    if selection.dry_run:
        return replay.answer(trial, replayed=len(trial.records), duplicates=0, dry_run=True)
    if not trial.records:
        return replay.answer(trial, replayed=0, duplicates=0, dry_run=False)
    kept: asyncio.Future[Unavailable | None] = asyncio.get_running_loop().create_future()
    receipt = pipe.accept(trial.records, source="replay", when_kept=kept.set_result)
    problem = await kept
    if problem is not None:
        raise problem
    # Only now: killed before this line, the same replay can be asked for again and finds its own copies.
    await asyncio.to_thread(pipe.quarantine.remove, _each_once(trial.lines))
    return replay.answer(trial, replayed=receipt.accepted, duplicates=receipt.duplicates, dry_run=False)


def _each_once(lines: Sequence[bytes]) -> Callable[[bytes], bool]:
    """Whether a line is one of `lines` that has not been asked about yet; of equal ones as many as are in there."""
    left = Counter(lines)

    def is_next(line: bytes) -> bool:
        left[line] -= 1
        return left[line] >= 0

    return is_next


async def _attempt(pipe: Pipeline, selection: replay.Selection) -> replay.Trial:
    """What may be kept now, on the loop and before anything else happens there: nobody in it has been erased since."""
    while True:
        rebuilds = pipe.rebuilds
        trial = await asyncio.to_thread(replay.attempt, pipe.quarantine, selection, pipe.limits, now_ms())
        pipe.require_ready()
        if pipe.rebuilds == rebuilds:
            return trial


def _start(work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.get_running_loop().create_task(work)
    _running.add(task)  # the loop itself holds tasks only weakly
    task.add_done_callback(_running.discard)
