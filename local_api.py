"""The ingestion API: `.venv/bin/python local_api.py` serves it on API_HOST:API_PORT until Ctrl-C or SIGTERM."""

from __future__ import annotations

import clickstream.packages  # noqa: F401 - first: it says what to do when packages are missing

# isort: split
import argparse
import asyncio
import gc
import logging
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from werkzeug.middleware.proxy_fix import ProxyFix

import config
from api import create_app
from clickstream.access import WriteAccess
from clickstream.backends.base import Backend
from clickstream.backends.local import LocalBackend
from clickstream.errors import ClickstreamError
from clickstream.events import Limits
from clickstream.journal import Quarantine
from clickstream.pipeline import Pipeline
from clickstream.privacy import Privacy
from clickstream.retention import expire_daily
from clickstream.server import leave, serve
from clickstream.timestamps import now_ms

if TYPE_CHECKING:
    from flask import Flask

    from clickstream.aws.emitting import Emitter

_log: Final = logging.getLogger("clickstream.api")

_OF_THE_DASHBOARD: Final = ("DASHBOARD_HOST", "DASHBOARD_PORT", "API_URL", "PUBLIC_API_URL", "POLL_INTERVAL_S")
_OBJECTS_BETWEEN_COLLECTIONS: Final = 20_000  # events are no cycles: Python's 700 cost a twentieth of the loop's time


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until stopped; exit code 2 when settings or journal do not allow it."""
    _parser().parse_args(arguments)
    try:
        settings = config.from_environment()
        logging.basicConfig(
            level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr
        )
        run(settings)
    except ClickstreamError as problem:
        sys.stderr.write(f"{problem}\n")
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        description="Serves the API on API_HOST:API_PORT until Ctrl-C or SIGTERM.",
        epilog=config.help_text("", but=_OF_THE_DASHBOARD),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def run(settings: config.Settings) -> None:
    """Build the parts and serve them."""
    pipeline = make_pipeline(settings)
    emitter = make_emitter(settings, pipeline)
    daily: list[asyncio.Task[None]] = []  # the loop itself holds tasks only weakly

    def start(loop: asyncio.AbstractEventLoop) -> None:
        gc.freeze()  # what stands now stays; the collector need not look at it again
        gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
        pipeline.start(loop.call_soon_threadsafe)
        if emitter is not None:
            emitter.start()
        if settings.retention_days:
            daily.append(loop.create_task(expire_daily(pipeline, days=settings.retention_days, clock_ms=now_ms)))
        _log.info(
            "listening host=%s port=%d events_file=%s", settings.api_host, settings.api_port, settings.events_file
        )

    def stop() -> None:
        if emitter is not None:
            emitter.stop()
        pipeline.stop()

    app = make_app(settings, pipeline).wsgi_app
    if settings.trusted_proxies:
        app = ProxyFix(app, x_for=settings.trusted_proxies, x_proto=0)
    serve(
        app,
        host=settings.api_host,
        port=settings.api_port,
        port_setting="API_PORT",
        max_body_bytes=settings.max_body_bytes,
        body_timeout_s=settings.body_timeout_s,
        on_start=start,
        on_stopping=pipeline.backend.hurry,
        on_stop=stop,
        on_answer=pipeline.meter.answered if emitter is not None else None,  # nobody else asks
    )


def make_pipeline(settings: config.Settings) -> Pipeline:
    """The way of an event over the place that ENV chooses."""
    quarantine = Quarantine(
        settings.events_file.with_name("events_rejected.ndjson"), max_bytes=settings.max_rejected_bytes
    )
    backend = make_backend(settings, quarantine)
    quarantine.claim()  # behind the journal, whose own lock says more of a second start
    return Pipeline(
        backend,
        quarantine,
        limits=Limits(settings.max_event_bytes, settings.max_nesting),
        dedupe_window=settings.dedupe_window,
        max_waiting_bytes=settings.max_waiting_bytes,
        clock_ms=now_ms,
    )


def make_app(settings: config.Settings, pipeline: Pipeline) -> Flask:
    """The routes over `pipeline`."""
    return create_app(
        pipeline,
        max_body_bytes=settings.max_body_bytes,
        max_records=settings.max_records,
        read_token=settings.read_token,
        host=settings.api_host,
        write_access=WriteAccess(settings.write_keys, rate_per_s=settings.rate_limit, clock_s=time.monotonic),
        privacy=Privacy(client_ip=settings.client_ip, strip_secrets=settings.strip_secrets, clock_ms=now_ms),
    )


def make_backend(settings: config.Settings, quarantine: Quarantine) -> Backend:
    """The place that ENV chooses."""
    if settings.env == "aws":
        from clickstream.backends.aws import open_aws_backend  # noqa: PLC0415 - the local platform needs no AWS packages

        return open_aws_backend(
            region=settings.aws_region,
            stream=settings.kinesis_stream_name,
            bucket=settings.s3_bucket_name,
            table=settings.dynamodb_table_name,
            spill_file=settings.spill_file,
            max_spill_bytes=settings.max_spill_bytes,
            max_event_bytes=settings.max_event_bytes,
            quarantine=quarantine,
            clock_ms=now_ms,
        )
    return LocalBackend(
        settings.events_file,
        quarantine,
        fsync=settings.fsync,
        clock_ms=now_ms,
        dedupe_window=settings.dedupe_window,
        checkpoint_bytes=settings.checkpoint_bytes,
    )


def make_emitter(settings: config.Settings, pipeline: Pipeline) -> Emitter | None:
    """What feeds the alarms of ENV=aws; None elsewhere."""
    if settings.env != "aws":
        return None
    from clickstream.aws.emitting import open_emitter  # noqa: PLC0415 - as above

    return open_emitter(pipeline, region=settings.aws_region, stream=settings.kinesis_stream_name)


if __name__ == "__main__":
    leave(main())
