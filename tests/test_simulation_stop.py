"""Ctrl-C reaches a generator wherever it interrupts it."""

from __future__ import annotations

import subprocess

import pytest

from tests.support.processes import python

# The profiler's hook sends the signal at the worst moment: the main thread has just taken the lock of what it waits
# for, and the handler runs in that same thread.
IN_THE_MIDDLE = """
import signal, sys, threading
from clickstream.simulation.transmit import stopped_by_signals

def ask_to_stop(frame, event, argument):
    if event == "call" and frame.f_code is threading.Condition.wait.__code__:
        sys.setprofile(None)
        signal.raise_signal(signal.{number})

with stopped_by_signals() as stop:
    sys.setprofile(ask_to_stop)
    print("stopped" if stop.wait(10) else "never told")
"""

TWICE = """
import signal
from clickstream.simulation.transmit import stopped_by_signals

with stopped_by_signals() as stop:
    signal.raise_signal(signal.SIGINT)
    assert stop.wait(10)
    try:
        signal.raise_signal(signal.SIGTERM)
    except KeyboardInterrupt:
        print("interrupted")
"""


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_a_stop_that_arrives_in_the_middle_of_waiting_never_hangs(number: str) -> None:
    assert said_by(IN_THE_MIDDLE.format(number=number)) == "stopped"


def test_a_second_signal_interrupts_at_once() -> None:
    assert said_by(TWICE) == "interrupted"


def said_by(program: str) -> str:
    done = subprocess.run(python("-c", program), capture_output=True, text=True, timeout=30, check=True)
    return done.stdout.strip()
