"""Load on an API that is about to fail, and the ledger of what was sent and what was acknowledged."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterable

from tests.support.http_client import Client
from tests.support.native import encoded, native_event
from tests.support.waiting import until


class Ledger:
    """Every id that was sent, and those whose 202 has arrived; `acknowledged` only grows."""

    def __init__(self) -> None:
        self.sent: set[str] = set()
        self.acknowledged: set[str] = set()
        self.statuses: dict[int, int] = {}
        self.frozen = threading.Event()
        self._lock = threading.Lock()

    def note_sent(self, ids: Iterable[str]) -> None:
        with self._lock:
            self.sent.update(ids)

    def note_answer(self, status: int, ids: Iterable[str]) -> None:
        with self._lock:
            self.statuses[status] = self.statuses.get(status, 0) + 1
            if status == 202 and not self.frozen.is_set():
                self.acknowledged.update(ids)


class Load:
    """Threads that post batches as fast as they are answered, until `stop` or until the server is gone."""

    def __init__(self, url: str, ledger: Ledger, *, prefix: str, threads: int = 4, batch: int = 3) -> None:
        self._url = url
        self._ledger = ledger
        self._prefix = prefix
        self._batch = batch
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(n,)) for n in range(threads)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(20)

    def _run(self, number: int) -> None:
        client = Client(self._url, timeout_s=10)
        index = 0
        try:
            while not self._stopping.is_set():
                ids = [f"{self._prefix}-{number}-{index + k}" for k in range(self._batch)]
                index += self._batch
                self._ledger.note_sent(ids)
                answer = client.post(
                    encoded([native_event(one, properties={"fill": "x" * (index % 300)}) for one in ids])
                )
                assert answer.status in (202, 503), answer.body
                assert answer.status == 202 or answer.headers["retry-after"]
                self._ledger.note_answer(answer.status, ids)
                if answer.status == 503:
                    time.sleep(0.01)  # a sender that is told to wait waits
        except (OSError, http.client.HTTPException):
            return
        finally:
            client.close()


def check_kept(content: bytes, ledger: Ledger) -> set[str]:
    """Acknowledged <= kept <= sent, nothing twice, in a file that is JSON; returns the ids that are kept."""
    ids = [event["event_id"] for event in json.loads(content)]
    kept = set(ids)
    assert len(ids) == len(kept), "an event is kept twice"
    lost = ledger.acknowledged - kept
    assert not lost, f"{len(lost)} of {len(ledger.acknowledged)} acknowledged events are lost"
    assert kept <= ledger.sent
    return kept


def wait_for(condition: Callable[[], object], ledger: Ledger, count: int) -> None:
    """Return once `count` more events are acknowledged or `condition` holds."""
    target = len(ledger.acknowledged) + count
    until(lambda: len(ledger.acknowledged) >= target or condition())
