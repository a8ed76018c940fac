"""The dashboard: its pages, and the API's numbers read once per interval for every browser that shows them."""

from __future__ import annotations

import clickstream.packages  # noqa: F401 - first: it says what to do when packages are missing

# isort: split
import argparse
import sys
from collections.abc import Sequence

import config
from clickstream.errors import ClickstreamError
from clickstream.server import leave, serve
from web.app import create_app
from web.board import EXTENSION


def _parser() -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        description="Serves the dashboard on DASHBOARD_HOST:DASHBOARD_PORT until Ctrl-C or SIGTERM.",
        epilog=config.help_text(
            "ENV", "DASHBOARD_", "API_", "PUBLIC_API_URL", "READ_TOKEN", "EVENTS_FILE", "POLL_INTERVAL_S"
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the dashboard until it is stopped; exit code 2 when the settings do not allow it."""
    _parser().parse_args(arguments)
    try:
        settings = config.from_environment()
        app = create_app(settings)
        serve(
            app.wsgi_app,
            host=settings.dashboard_host,
            port=settings.dashboard_port,
            port_setting="DASHBOARD_PORT",
            max_body_bytes=1024,
            on_stop=app.extensions[EXTENSION].close,
        )
    except ClickstreamError as problem:
        sys.stderr.write(f"{problem}\n")
        return 2
    return 0


if __name__ == "__main__":
    leave(main())
