"""The steps of one demo, in their order, and what is said about each."""

from __future__ import annotations

import itertools
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from clickstream import ports
from clickstream.demo.arguments import GENERATORS
from clickstream.demo.service import Service, port_problem
from clickstream.demo.supervisor import Child, StopSignals, Supervisor
from clickstream.demo.terminal import SEPARATOR, Terminal
from clickstream.journal.inspection import is_in_use
from clickstream.place import command

_HEALTHY_WITHIN_S = 30.0  # replaying a long journal does not count: it reports progress
_LOG_LINES = 15
_REFRESH_S = 1.0
_REFRESH_PIPED_S = 10.0  # where lines cannot be replaced
_STATS_AGE_S = 0.12  # /stats may be as old as 0.1 s
_UNTIL_STOPPED = 0  # the generators' word for no duration


class DemoError(Exception):
    """The demo cannot start or go on; the message is for the person in front of it."""


@dataclass(frozen=True, slots=True)
class Options:
    """What one demo is asked for."""

    events_file: Path | None  # None: events are kept elsewhere (ENV=aws)
    read_token: str
    generator: str | None = None  # a key of GENERATORS, "none", or None: the best that is there
    duration_s: float | None = None  # None: until somebody asks to stop
    browser: bool = True
    view_prefix: str = ""  # what the terminal view needs before its command


class Demo:
    """The steps of one demo, in the order in which `main` takes them."""

    def __init__(self, options: Options, api: Service, dashboard: Service, terminal: Terminal) -> None:
        self._options = options
        self._api = api
        self._dashboard = dashboard
        self._services = (api, dashboard)
        self._terminal = terminal
        self._kept: int | None = None
        self._kept_bytes = 0

    def check(self) -> None:
        """Refuse to start, with all reasons at once, when a script is missing or a port is taken."""
        scripts = [service.script for service in self._services]
        if missing := [script for script in scripts if not Path(script).is_file()]:
            raise DemoError(f"{', '.join(missing)} not found: start the demo in the directory of the project.")
        problems, remedies = [], []
        avoid = {service.port for service in self._services}
        for service in self._services:
            reason = ports.why_not(service.host, service.port)
            if reason is not None:
                problems.append(port_problem(service, reason))
                free = ports.next_free(service.host, service.port, avoid=avoid) or service.port + 1
                avoid.add(free)
                remedies.append(f"{service.setting}={free}")
        if problems:
            command = f"{self._own_journal()}{' '.join(remedies)} ./run_demo.sh"
            raise DemoError("\n".join([*problems, "Stop it, or choose another port:", f"  {command}"]))

    def _own_journal(self) -> str:
        """What another demo beside a running one needs before its command: nothing while nobody writes the journal."""
        events_file = self._options.events_file
        if events_file is None or not _is_written(events_file):
            return ""
        places = (events_file.parent / f"demo-{number}" for number in itertools.count(2))
        place = next(place for place in places if not _is_written(place / events_file.name))
        directory, journal = shlex.quote(str(place)), shlex.quote(str(place / events_file.name))
        return f"mkdir -p {directory}; EVENTS_FILE={journal} "

    def run(self, supervisor: Supervisor, signals: StopSignals) -> None:
        """Start everything, then show totals until somebody asks to stop or the duration is over."""
        began = time.monotonic()
        for service in self._services:
            supervisor.start(service.name, [sys.executable, "-u", service.script])
        for service in self._services:
            if not self._wait_until_healthy(service, supervisor, signals):
                return
            self._terminal.line(f"  ✓ {service.name} ready after {time.monotonic() - began:.1f} s")
        self._tell_damage()
        generator = self._start_generator(supervisor)
        if generator is not None:
            self._terminal.line(f"  ✓ {generator.name} started")
        self._terminal.box(self._where_to_look())
        self._open_browser()
        self._watch(supervisor, signals, generator)

    def stop(self, supervisor: Supervisor, signals: StopSignals) -> None:
        """Stop all children (another Ctrl-C kills them at once); say what is kept and that the ports are free."""
        began, asked = time.monotonic(), signals.count
        self._terminal.line("Stopping …")
        supervisor.stop(hurry=lambda: signals.count > asked, before=self._note_totals)
        took_s = time.monotonic() - began
        journal = self._options.events_file
        if journal is not None and (self._kept is not None or journal.is_file()):
            self._terminal.line(f"{self._what_is_kept(journal)} kept in {journal}.")
        if held := [port_problem(s, reason) for s in self._services if (reason := ports.why_not(s.host, s.port))]:
            raise DemoError("\n".join(["Stopped, but:", *held]))
        numbers = " and ".join(str(service.port) for service in self._services)
        self._terminal.line(f"Stopped in {took_s:.1f} s: nothing is left running, ports {numbers} are free.")

    def _tell_damage(self) -> None:
        damaged = ((self._stats() or {}).get("ingest") or {}).get("damaged_records", 0)
        if damaged:
            lines = "1 line" if damaged == 1 else f"{damaged:,} lines"
            self._terminal.line(f"  ! {lines} of the journal damaged: taken out and kept among the rejected events")

    def _note_totals(self, child: Child) -> None:
        # Between the end of the generator and the end of the API: final unless somebody else still sends.
        if child.name == self._dashboard.name:
            time.sleep(_STATS_AGE_S)
            stats = self._stats(timeout_s=0.5)
            self._kept = stats["total_events"] if stats else None
            self._kept_bytes = ((stats or {}).get("ingest") or {}).get("journal_bytes", 0)

    def _what_is_kept(self, journal: Path) -> str:
        if self._kept is None:
            return "What was acknowledged is"
        if journal.is_file() and journal.stat().st_size > self._kept_bytes:  # somebody else went on sending
            return f"More than {self._kept:,} event{'' if self._kept == 1 else 's'} are"
        return "1 event is" if self._kept == 1 else f"{self._kept:,} events are"

    def _wait_until_healthy(self, service: Service, supervisor: Supervisor, signals: StopSignals) -> bool:
        deadline = time.monotonic() + _HEALTHY_WITHIN_S
        while not signals.wait(0.05):
            self._fail_if_ended(supervisor)
            status, body = service.get(service.health)
            if status == 200:
                self._terminal.clear_live()
                return True
            if body.get("status") == "replaying":
                deadline = time.monotonic() + _HEALTHY_WITHIN_S
                if self._terminal.interactive:
                    self._terminal.live([f"  … {service.name} reads its journal: {body.get('progress', 0):.0%}"])
            elif time.monotonic() > deadline:
                raise DemoError(f"The {service.name} did not answer {service.health} within {_HEALTHY_WITHIN_S:g} s.")
        return False

    def _start_generator(self, supervisor: Supervisor) -> Child | None:
        choice = self._options.generator
        if choice is None:
            choice = "advanced" if Path(GENERATORS["advanced"][0]).is_file() else "simple"
        if choice == "none":
            return None
        script, *options = GENERATORS[choice]
        target = [f"--endpoint={self._api.url}/events", f"--duration={_UNTIL_STOPPED}"]
        return supervisor.start(f"generator ({script})", [sys.executable, "-u", script, *target, *options])

    def _where_to_look(self) -> list[str]:
        password = "  (password: your READ_TOKEN; any user name)" if self._options.read_token else ""
        return [
            f"Dashboard      {self._dashboard.url}{password}",
            f"API            {self._api.url}/docs",
            f"In a terminal  {self._options.view_prefix}{command('visualize.py', '--watch')}",
            "Stop           Ctrl-C",
        ]

    def _open_browser(self) -> None:
        if not self._options.browser:
            return
        # A process of its own: a text browser would take this terminal, a graphical one prints to it and may block.
        subprocess.Popen(  # noqa: S603 - a fixed command
            [sys.executable, "-m", "webbrowser", self._dashboard.url],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _watch(self, supervisor: Supervisor, signals: StopSignals, generator: Child | None) -> None:
        began = shown = time.monotonic()
        refresh_s = _REFRESH_S if self._terminal.interactive else _REFRESH_PIPED_S
        duration = self._options.duration_s
        end = began + duration if duration is not None else float("inf")
        while time.monotonic() < end and not signals.wait(0.1):
            if generator is not None and generator.exit_code() == 0:
                self._terminal.line("The generator has finished; API and dashboard go on.")
                supervisor.drop(generator)
                generator = None
            self._fail_if_ended(supervisor)
            if time.monotonic() >= shown + refresh_s:
                shown = time.monotonic()
                self._show_totals(shown - began)

    def _show_totals(self, elapsed_s: float) -> None:
        stats = self._stats()
        clock = f"{int(elapsed_s) // 60:02d}:{int(elapsed_s) % 60:02d}"
        parts = [clock, *(_totals(stats) if stats else ["the API did not answer /stats"])]
        if self._terminal.interactive:
            self._terminal.live(parts)
        else:
            self._terminal.line(SEPARATOR.join(parts))

    def _stats(self, *, timeout_s: float = 1.0) -> dict[str, Any] | None:
        status, body = self._api.get("/stats?window=all", token=self._options.read_token, timeout_s=timeout_s)
        return body if status == 200 else None

    def _fail_if_ended(self, supervisor: Supervisor) -> None:
        child = supervisor.ended()
        if child is not None:
            ending = _ending(child.exit_code() or 0)
            log = "\n".join(f"  | {line}" for line in child.log_end(_LOG_LINES)) or "  | (it printed nothing)"
            raise DemoError(f"The {child.name} has ended ({ending}). The end of its log:\n{log}")


def _is_written(journal: Path) -> bool:
    try:
        return is_in_use(journal)
    except OSError:  # the API will say what is wrong with it
        return False


def _ending(exit_code: int) -> str:
    return signal.Signals(-exit_code).name if exit_code < 0 else f"exit code {exit_code}"


def _totals(stats: dict[str, Any]) -> list[str]:
    revenue, ingest = stats["revenue"], stats["ingest"]
    return [
        f"{stats['total_events']:,} events",
        f"{ingest['events_per_second']:,.1f}/s",
        f"{stats['sessions']['total']:,} sessions",
        f"{revenue['orders']:,} order{'' if revenue['orders'] == 1 else 's'}",
        f"{Decimal(revenue['total']):,} {revenue['currency']}",
        f"{stats['accounting']['rejected']:,} rejected",
    ]
