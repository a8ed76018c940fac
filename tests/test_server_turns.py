"""Costly work goes on one piece a turn of the loop, in its order, and holds only so much."""

from __future__ import annotations

import asyncio

import pytest

from clickstream.server.turns import Turns

MIB = 1024 * 1024


def done_in(turns: int, sizes: list[int], *, failing: int = -1) -> list[int]:
    """Which pieces of `sizes` bytes are done when the loop has turned so often."""

    async def run() -> list[int]:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda *_: None)
        waiting, done = Turns(loop), list[int]()

        def work(number: int) -> None:
            done.append(number)
            if number == failing:
                raise RuntimeError("as asked")

        for number, size in enumerate(sizes):
            waiting.call(lambda number=number: work(number), size)  # type: ignore[misc]
        for _ in range(turns):
            await asyncio.sleep(0)
        return list(done)  # the end of the loop turns it again

    return asyncio.run(run())


@pytest.mark.parametrize("turns", range(5))
def test_each_turn_does_one_piece_in_order(turns: int) -> None:
    assert done_in(turns, [1, 1, 1]) == [0, 1, 2][:turns]


def test_a_piece_that_fails_holds_up_nothing() -> None:
    assert done_in(3, [1, 1, 1], failing=1) == [0, 1, 2]


def test_beyond_what_may_wait_it_is_done_at_once() -> None:
    assert done_in(0, [8 * MIB, 8 * MIB, 1, 1]) == [2, 3]
    assert done_in(2, [8 * MIB, 8 * MIB, 1]) == [2, 0, 1]
