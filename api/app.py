"""The Flask application over one pipeline."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from flask import Flask
from werkzeug.exceptions import HTTPException

from api.answers import failure
from api.ingest import ingest
from api.persons import persons
from api.reads import reads
from api.rejected import rejected
from api.sdks import sdks
from api.service import service
from api.tracking_tests import tracking_tests
from clickstream.access import WriteAccess
from clickstream.errors import ClickstreamError
from clickstream.expectations import Expectations
from clickstream.metrics import MetricsPage
from clickstream.pipeline import Pipeline
from clickstream.privacy import Privacy

_ROOT: Final = Path(__file__).resolve().parent.parent


def create_app(
    pipeline: Pipeline,
    *,
    max_body_bytes: int,
    max_records: int,
    read_token: str = "",
    host: str = "127.0.0.1",
    write_access: WriteAccess | None = None,
    privacy: Privacy,
) -> Flask:
    """The application; its views run on the server's loop thread, see clickstream/server.py."""
    app = Flask("clickstream", static_folder=_ROOT / "static", template_folder=_ROOT / "templates")
    app.config.update(MAX_BODY_BYTES=max_body_bytes, MAX_RECORDS=max_records, READ_TOKEN=read_token, HOST=host)
    app.extensions["pipeline"] = pipeline
    app.extensions["privacy"] = privacy
    app.extensions["write_access"] = write_access or WriteAccess((), rate_per_s=0, clock_s=time.monotonic)
    app.extensions["expectations"] = expectations = Expectations()
    pipeline.subscribe(expectations.observe)
    app.extensions["metrics_page"] = MetricsPage(pipeline)
    for blueprint in (ingest, persons, reads, rejected, service, sdks, tracking_tests):
        app.register_blueprint(blueprint)
    app.register_error_handler(ClickstreamError, failure)
    app.register_error_handler(HTTPException, failure)
    return app
