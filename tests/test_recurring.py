from __future__ import annotations

import logging

import pytest

from clickstream.recurring import Recurring


def test_a_failure_is_said_at_once_then_every_thirty_seconds_and_once_that_it_is_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    times_s = iter((0.0, 1.0, 29.9, 30.0, 31.0))
    recurring = Recurring(logging.getLogger("clickstream.test"), "not done", clock_s=lambda: next(times_s))
    caplog.set_level(logging.INFO)

    for _ in range(5):
        recurring.failed(OSError("full"))
    recurring.over()
    recurring.over()

    assert caplog.messages == ["not done error=full", "not done error=full", "over: not done"]
    assert "Traceback" not in caplog.text


def test_a_failure_that_the_system_does_not_explain_comes_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    recurring = Recurring(logging.getLogger("clickstream.test"), "not done")

    try:
        [].pop()
    except IndexError as problem:
        recurring.failed(problem)

    assert "IndexError: pop from empty list" in caplog.text


def test_another_failure_is_said_at_once(caplog: pytest.LogCaptureFixture) -> None:
    times_s = iter(range(100))
    recurring = Recurring(logging.getLogger("clickstream.test"), "not done", clock_s=lambda: next(times_s))

    for _ in range(5):
        recurring.failed(OSError("full, 3 of 10 kept"))
        recurring.failed(OSError("full, 4 of 12 kept"))
        recurring.failed(OSError("moved"))

    assert caplog.messages == ["not done error=full, 3 of 10 kept", "not done error=moved"]


def test_failures_that_never_say_the_same_do_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    recurring = Recurring(logging.getLogger("clickstream.test"), "not done", clock_s=lambda: 0.0)

    for number in range(100):
        recurring.failed(OSError("x" * number))

    assert len(caplog.messages) == 8


def test_a_failure_that_comes_and_goes_does_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    times_s = iter(range(100))
    recurring = Recurring(logging.getLogger("clickstream.test"), "not done", clock_s=lambda: next(times_s))
    caplog.set_level(logging.INFO)

    for _ in range(31):
        recurring.failed(OSError("full"))
        recurring.over()

    assert caplog.messages == ["not done error=full", "over: not done"] * 2
