"""Whether events can be taken in and read: not while the journal is being read, nor once the server stops."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

from clickstream.backends.base import OnReplay
from clickstream.errors import Replaying, Unavailable

_log: Final = logging.getLogger(__name__)


class Readiness:
    """Has what was kept read by `recover`, in a thread of its own, and says how far that is."""

    def __init__(self, recover: Callable[[OnReplay], None], remember: Callable[[Sequence[str]], None]) -> None:
        self._recover = recover
        self._remember = remember  # is told the ids that were read
        self._thread = threading.Thread()
        self._progress = 0.0
        self._records = 0
        self._failure: BaseException | None = None
        self.is_ready = False
        self.is_stopping = False

    def read(self, *, before: Callable[[], object] = lambda: None, after: Callable[[], object] = lambda: None) -> None:
        """Begin to read all that was kept, between `before` and `after` in the same thread; ready when it is over."""

        def run() -> None:
            before()
            self._read()
            after()

        self._thread = threading.Thread(target=run, name="replay", daemon=True)
        self._thread.start()

    def suspend(self) -> None:
        """Nothing is taken in or read until `resume`, or until a `read` is over."""
        self.is_ready = False
        self._progress, self._records = 0.0, 0

    def resume(self) -> None:
        """Go on without having read anything."""
        self.is_ready = True

    def stop(self) -> None:
        """Nothing is taken in or read any more."""
        self.is_stopping = True

    def wait(self, patience_s: float | None = None) -> bool:
        """Whether reading is over within `patience_s`."""
        self._thread.join(patience_s)
        return not self._thread.is_alive()

    def require(self) -> None:
        """Raise Replaying until all has been read, and Unavailable where that failed or the server stops."""
        if self.is_stopping:
            raise stopping()
        if self.is_ready:
            return
        if self._failure is not None:
            raise Unavailable(f"the journal could not be read: {self._failure}", retry_after_s=30)
        raise Replaying(f"the journal is being read, {self._progress:.0%} done; try again shortly")

    def progress(self) -> dict[str, Any]:
        """How far reading is: `progress` from 0 to 1 and the number of `records`."""
        return {"progress": round(self._progress, 3), "records": self._records}

    def _read(self) -> None:
        try:
            self._recover(self._note)
        except BaseException as problem:  # noqa: BLE001 - outermost frame of the thread; /ready must say why
            _log.exception("replay failed")
            self._failure = problem
        else:
            _log.info("replay done records=%d", self._records)
            self.is_ready = True

    def _note(self, ids: Sequence[str], progress: float) -> None:
        self._remember(ids)
        self._records += len(ids)
        self._progress = progress


def stopping() -> Unavailable:
    """What is said of anything that begins while the server stops."""
    return Unavailable("the server is stopping; try again in a moment")
