"""Moves a stream of scheduled records to the sender: paced by the clock, or as fast as the API takes them."""

from __future__ import annotations

import queue
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType

import msgspec

from clickstream.simulation.sender import Batcher, Counters, Sender

LINGER_S = 0.2


class Scheduled(msgspec.Struct, frozen=True, gc=False):
    """One record and when to send it, in seconds since the start of the run."""

    at_s: float
    record: bytes


def transmit(
    stream: Iterable[Scheduled], sender: Sender, *, batch_size: int, paced: bool, stop: threading.Event
) -> Counters:
    """Send the whole stream and wait for the answers; `stream` ends early by itself when `stop` is set.

    Paced is an open loop: the schedule stands, whatever the answers do, so a slow API shows as lag and never as less
    traffic. Not paced is a closed loop: the queue's room sets the speed.
    """
    batcher = Batcher(batch_size, LINGER_S)
    start = time.monotonic()
    for scheduled in stream:
        due = start + scheduled.at_s if paced else time.monotonic()
        if paced:
            _wait_until(due, batcher, sender, stop)
        batch = batcher.add(scheduled.record, due)
        if batch is not None:
            sender.offer(batch, stop)
    rest = batcher.take()
    if rest is not None:
        sender.offer(rest, stop)
    return sender.finish(stop)


def _wait_until(due: float, batcher: Batcher, sender: Sender, stop: threading.Event) -> None:
    """Sleep until `due` or until stopped, sending lingering records meanwhile."""
    while (left_s := due - time.monotonic()) > 0:
        ready_at = batcher.ready_at()
        pause_s = left_s if ready_at is None else min(left_s, ready_at - time.monotonic())
        if pause_s > 0 and stop.wait(pause_s):
            return
        ready_at = batcher.ready_at()
        if ready_at is not None and ready_at <= time.monotonic():
            batch = batcher.take()
            if batch is not None:
                sender.offer(batch, stop)


@contextmanager
def stopped_by_signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set; a second signal interrupts at once. Only for a process's main thread."""
    stop = threading.Event()
    signals: queue.SimpleQueue[int | None] = queue.SimpleQueue()
    is_asked = False

    def request_stop(number: int, frame: FrameType | None) -> None:
        # A handler runs in the main thread between any two of its steps, inside stop.wait() too, whose lock
        # stop.set() would wait for without end. SimpleQueue.put is made to be called from anywhere.
        nonlocal is_asked
        if is_asked:
            raise KeyboardInterrupt
        is_asked = True
        signals.put(number)

    def set_when_asked() -> None:
        if signals.get() is not None:
            stop.set()

    setter = threading.Thread(target=set_when_asked, name="stop", daemon=True)
    setter.start()
    previous = {number: signal.signal(number, request_stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        signals.put(None)
        setter.join()
