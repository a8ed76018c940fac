"""Retention outlives what hinders one of its passes."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from clickstream.journal import Quarantine
from clickstream.journal.quarantine import Refused
from clickstream.pipeline import Pipeline
from clickstream.retention import expire_daily
from tests.support.native import NOW_MS, encoded, native_event
from tests.support.small_pipeline import ready, small_pipeline

OLD = "2020-01-01T00:00:00.000Z"


def with_an_old_event(directory: Path) -> Quarantine:
    event = {**native_event("old"), "timestamp": OLD, "received_at": OLD}
    (directory / "journal.json").write_bytes(b"[\n" + encoded(event) + b"\n]\n")
    return Quarantine(directory / "rejected.ndjson", max_bytes=10**6)


async def waits_until_the_third_day(pipeline: Pipeline, between: Callable[[int], None]) -> list[float]:
    """For how long retention waited; `between` is called at each wait with its number."""
    waits: list[float] = []

    async def wait(seconds: float) -> None:
        await ready(pipeline)
        waits.append(seconds)
        between(len(waits))
        if waits.count(86_400.0) == 2:
            raise asyncio.CancelledError

    with contextlib.suppress(asyncio.CancelledError):
        await expire_daily(pipeline, days=1, clock_ms=lambda: NOW_MS, wait=wait)
    return waits


def test_a_pass_that_the_disk_refuses_is_tried_again_soon(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    in_the_way = tmp_path / "journal.json.compacting"
    in_the_way.mkdir()

    async def run() -> list[float]:
        async with small_pipeline(with_an_old_event(tmp_path)) as pipeline:
            return await waits_until_the_third_day(pipeline, lambda nth: in_the_way.rmdir() if nth == 1 else None)

    assert asyncio.run(run()) == [300.0, 86_400.0, 86_400.0]
    assert json.loads((tmp_path / "journal.json").read_bytes()) == []
    assert "retention failed" in caplog.text


def test_what_retention_drops_is_remembered_by_nobody(tmp_path: Path) -> None:
    async def run() -> tuple[int, list[str]]:
        forgotten: list[str] = []
        quarantine = with_an_old_event(tmp_path)
        async with small_pipeline(quarantine) as pipeline:
            pipeline.on_rewriting(lambda: forgotten.append("rewritten"))
            await waits_until_the_third_day(pipeline, lambda _: None)
            rewritten = len(forgotten)
            quarantine.keep([Refused(OLD, "invalid_value", None, "m", "native", b"{}")])
            await waits_until_the_third_day(pipeline, lambda _: None)
            return rewritten, forgotten

    assert asyncio.run(run()) == (1, ["rewritten", "rewritten"])


class Interrupted(Quarantine):
    """A quarantine in which `meanwhile` happens while retention looks through it."""

    meanwhile: Callable[[], object] | None = None

    def remove(self, is_unwanted: Callable[[bytes], bool]) -> int:
        """As any other; `meanwhile` happens once."""
        happens, self.meanwhile = self.meanwhile, None
        if happens is not None:
            happens()
        return super().remove(is_unwanted)


def test_a_pass_beside_an_erasure_is_done_once_that_is_over(tmp_path: Path) -> None:
    with_an_old_event(tmp_path)
    quarantine = Interrupted(tmp_path / "rejected.ndjson", max_bytes=10**6)

    async def run() -> list[float]:
        loop = asyncio.get_running_loop()
        async with small_pipeline(quarantine) as pipeline:
            keeper = pipeline.backend.keeper()

            def erase() -> None:
                pipeline.rebuild(lambda: keeper.erase("nobody"), lambda *_: None)

            quarantine.meanwhile = lambda: asyncio.run_coroutine_threadsafe(_call(erase), loop).result(20)
            return await waits_until_the_third_day(pipeline, lambda _: None)

    waits = asyncio.run(run())

    assert [seconds for seconds in waits if seconds >= 300] == [86_400.0, 86_400.0]
    assert json.loads((tmp_path / "journal.json").read_bytes()) == []


async def _call(function: Callable[[], None]) -> None:
    function()
