"""What the views of the dashboard share: the reader of the API, its snapshots, the static files."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from flask import current_app

from clickstream.client.reading import ApiReader
from clickstream.dashboard.quarantine_size import QuarantineSize
from clickstream.dashboard.snapshot_json import SnapshotJson, encode
from clickstream.dashboard.snapshots import SharedSnapshots, Snapshot
from clickstream.dashboard.static_files import StaticFiles
from web.asking import Asking
from web.relay import Relay

if TYPE_CHECKING:
    from config import Settings

EXTENSION: Final = "board"

_STATIC: Final = Path(__file__).resolve().parent.parent / "static"
_MOST_RELAYED: Final = 32  # requests for events that wait for the API; beyond it 503, so that a slow one piles up none


class Board:
    """The objects behind one dashboard."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.reader = ApiReader(settings.api_url, read_token=settings.read_token)
        self.executor = ThreadPoolExecutor(8, thread_name_prefix="api")
        self.quarantine = QuarantineSize(lambda: self.reader.get("/rejected", [("limit", "1")]), self.executor)
        self.snapshots = SharedSnapshots(self._read, self.executor, interval_s=settings.poll_interval_s)
        self.static = StaticFiles(_STATIC)
        self.relay = Relay(self.executor, most=_MOST_RELAYED)
        self.asking = Asking(settings.api_url, settings.read_token)

    def _read(self, window: str) -> dict[str, Any]:
        stats = self.reader.stats(window)
        self.quarantine.note(stats)
        return stats

    def encoded(self, snapshot: Snapshot) -> SnapshotJson:
        """What browsers get of `snapshot`."""
        return encode(snapshot, api_url=self.settings.api_url, quarantined=self.quarantine.total)

    def ages_ms(self, snapshot: Snapshot) -> dict[str, int]:
        """How old the numbers are and for how long readings fail, where so: a browser's clock may be another."""
        ages_s = {"snapshot": self.snapshots.age_s(snapshot), "failing": self.snapshots.failing_s(snapshot)}
        return {name: round(age_s * 1000) for name, age_s in ages_s.items() if age_s is not None}

    def close(self) -> None:
        """Forget requests that have not started; those under way end by their timeout."""
        self.executor.shutdown(wait=False, cancel_futures=True)
        self.asking.close()


def board() -> Board:
    """That of the application which handles the current request."""
    found: Board = current_app.extensions[EXTENSION]
    return found
