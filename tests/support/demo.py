"""A demo with stand-in services: the real supervisor, ports and signals, but children that a test can shape."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from clickstream.ports import free_port
from tests.support.processes import RunningProcess, environment, python, wait_until

# Every stand-in leaves its process id; a stubborn one ignores TERM and INT and has a child that does too.
_PREAMBLE = """
import os, pathlib, signal, subprocess, sys, time
NAME = pathlib.Path(__file__).stem
def leave_pid(name, pid):
    part = pathlib.Path(f"{name}.part"); part.write_text(str(pid)); part.rename(f"{name}.pid")
if STUBBORN:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the grandchild inherits it
    leave_pid(NAME + "-grandchild", subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"]).pid)
else:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
leave_pid(NAME, os.getpid())
"""
_SERVER = """
import http.server, json
STATS = {"total_events": 1234, "revenue": {"total": "33481.20", "currency": "USD", "orders": 7},
         "ingest": {"events_per_second": 4.5}, "sessions": {"total": 56}, "accounting": {"rejected": 0}}
class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps(STATS if self.path.startswith("/stats") else {"status": "ok"}).encode()
        self.send_response(200); self.end_headers(); self.wfile.write(body)
    def log_message(self, *_):
        pass
port = int(os.environ["API_PORT" if NAME == "local_api" else "DASHBOARD_PORT"])
http.server.ThreadingHTTPServer(("127.0.0.1", port), Answers).serve_forever()
"""
_GENERATOR = """
while True:
    time.sleep(0.1)
"""
SCRIPTS = ("local_api", "dashboard", "data_generator")


@dataclass
class StandIns:
    """A directory that looks like the project to the demo, with two free ports of its own."""

    directory: Path
    api_port: int = field(default_factory=free_port)
    dashboard_port: int = field(default_factory=free_port)

    def __post_init__(self) -> None:
        self.temporary.mkdir()
        for script in SCRIPTS:
            self.write(script)

    def write(self, script: str, body: str | None = None, *, stubborn: bool = False) -> None:
        """(Re)place one script; `body` is what it does after leaving its process id."""
        usual = _GENERATOR if script == "data_generator" else _SERVER
        text = f"STUBBORN = {stubborn}\n{_PREAMBLE}{usual if body is None else body}\n"
        (self.directory / f"{script}.py").write_text(text)

    @property
    def temporary(self) -> Path:
        """The directory where the demo makes its temporary files."""
        return self.directory / "tmp"

    @property
    def env(self) -> dict[str, str]:
        """What the demo is started with."""
        ports = {"API_PORT": str(self.api_port), "DASHBOARD_PORT": str(self.dashboard_port)}
        return environment(TMPDIR=str(self.temporary), **ports)

    def command(self, *options: str) -> Sequence[str]:
        """How the demo is started."""
        return python("-m", "clickstream.demo", "--no-browser", *options)

    def start(self, *options: str, **settings: str) -> RunningProcess:
        """A running demo, not necessarily ready."""
        env = {**self.env, **settings}
        return RunningProcess(self.command(*options), self.directory / "demo.log", env=env, cwd=self.directory)

    def pids(self) -> dict[str, int]:
        """Process ids that the stand-ins have left so far."""
        return {file.stem: int(file.read_text()) for file in self.directory.glob("*.pid")}

    def wait_for_children(self, *names: str) -> None:
        """Return once all named stand-ins have left their process ids."""
        wait_until(lambda: set(names or SCRIPTS) <= self.pids().keys(), "all children are up")

    def leftovers(self) -> list[str]:
        """Processes that still live and files that are still there; empty after a clean ending."""
        alive = [f"{name} ({pid})" for name, pid in self.pids().items() if _lives(pid)]
        return alive + [file.name for file in self.temporary.iterdir()]


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # An orphan that nobody has reaped yet is dead too.
    stat = Path(f"/proc/{pid}/stat")
    return not (stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z")
