"""What the views work with, in one look-up: each `current_app` costs a small request as much as a whole check does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, cast

from flask import current_app

from clickstream.access import WriteAccess
from clickstream.dashboard.static_files import StaticFiles
from clickstream.expectations import Expectations
from clickstream.metrics import MetricsPage
from clickstream.pipeline import Pipeline
from clickstream.privacy import Privacy
from clickstream.recurring import Recurring

EXTENSION: Final = "clickstream"


@dataclass(frozen=True, slots=True)
class Parts:
    """The objects and limits behind one application."""

    pipeline: Pipeline
    privacy: Privacy
    expectations: Expectations
    metrics_page: MetricsPage
    static: StaticFiles
    write_access: WriteAccess
    turned_away: Recurring
    read_token: str
    host: str
    max_body_bytes: int
    max_records: int


def parts() -> Parts:
    """Those of the application that handles the current request."""
    return cast("Parts", current_app.extensions[EXTENSION])
