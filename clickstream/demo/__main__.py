"""`python -m clickstream.demo`: a process like the scripts at the top level, so it may read the settings."""

from __future__ import annotations

import clickstream.packages  # noqa: F401 - first: it says what to do when packages are missing

# isort: split
import sys
from collections.abc import Sequence

import config
from clickstream.demo.arguments import parsed
from clickstream.demo.service import Service
from clickstream.demo.steps import Demo, DemoError, Options
from clickstream.demo.supervisor import StopSignals, Supervisor
from clickstream.demo.terminal import Terminal
from clickstream.errors import ConfigError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo; 0 when it ended as asked, 1 when something died or could not start, 2 for wrong settings."""
    arguments = parsed(argv)
    terminal = Terminal(sys.stdout)
    try:
        settings = config.from_environment()
    except ConfigError as error:
        terminal.line(str(error))
        return 2
    api = Service("API", "local_api.py", settings.api_host, settings.api_port, "/ready", "API_PORT")
    dashboard = Service(
        "dashboard", "dashboard.py", settings.dashboard_host, settings.dashboard_port, "/health", "DASHBOARD_PORT"
    )
    options = Options(
        events_file=settings.events_file if settings.env == "local" else None,
        read_token=settings.read_token,
        generator=arguments.generator,
        duration_s=arguments.duration,
        browser=not arguments.no_browser,
        view_prefix=_needed_elsewhere(settings),
    )
    demo = Demo(options, api, dashboard, terminal)
    with StopSignals() as signals:
        try:
            demo.check()
            with Supervisor() as supervisor:
                return _run(demo, supervisor, signals, terminal)
        except DemoError as error:
            terminal.line(str(error))
            return 1


def _needed_elsewhere(settings: config.Settings) -> str:
    """What another terminal, which does not know what was set in this one, needs before a command."""
    url = "" if settings.api_url == config.Settings().api_url else f"API_URL={settings.api_url} "
    return f"{url}READ_TOKEN=… " if settings.read_token else url  # the token itself does not belong on a screen


def _run(demo: Demo, supervisor: Supervisor, signals: StopSignals, terminal: Terminal) -> int:
    try:
        demo.run(supervisor, signals)
    except DemoError as error:
        terminal.line(str(error))
        return 1
    finally:
        demo.stop(supervisor, signals)
    return 0


if __name__ == "__main__":
    sys.exit(main())
