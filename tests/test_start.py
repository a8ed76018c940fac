"""How programs begin: with closed streams, and when they are interrupted before they have begun."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.demo import StandIns
from tests.support.processes import ROOT, environment, python
from tests.support.scripted_api import numbers, says, scripted_api

# Stands before the one of the standard library, and is the first thing that every program imports after its beginning.
INTERRUPTING = """
import signal
signal.raise_signal(signal.SIGINT)
print("went on")
"""


def closed(*command: str, cwd: Path = ROOT, **settings: str) -> tuple[int, str]:
    """Exit code and complaints of a program whose standard output is closed."""
    words = ["bash", "-c", 'exec "$@" >&-', "bash", *command]
    done = subprocess.run(
        words, stderr=subprocess.PIPE, text=True, timeout=60, cwd=cwd, env=environment(**settings), check=False
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("option", [[], ["--json"]], ids=["report", "json"])
def test_a_closed_output_is_no_fault_of_the_terminal_view(option: list[str]) -> None:
    with scripted_api(says(numbers(total_events=1))) as api:
        assert closed(*python("visualize.py", "--api", api.url, *option)) == (0, "")


def test_a_closed_output_is_no_fault_of_a_generator() -> None:
    assert closed(*python("advanced_generator.py", "--output", "-", "--duration", "1")) == (0, "")


@pytest.mark.e2e
def test_a_closed_output_is_no_fault_of_the_demo(tmp_path: Path) -> None:
    demo = StandIns(tmp_path)

    ports = {"API_PORT": str(demo.api_port), "DASHBOARD_PORT": str(demo.dashboard_port)}
    assert closed(*demo.command("--duration", "0.1"), cwd=tmp_path, **ports) == (0, "")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["visualize.py"], 0),
        (["data_generator.py"], 0),
        (["advanced_generator.py"], 0),
        (["-m", "clickstream.demo"], 0),
        (["-m", "clickstream", "verify", "events_backup.json"], 130),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_ctrl_c_during_the_imports_ends_a_program_quietly(words: list[str], code: int, tmp_path: Path) -> None:
    (tmp_path / "argparse.py").write_text(INTERRUPTING)
    env = environment()
    env["PYTHONPATH"] = f"{tmp_path}:{env['PYTHONPATH']}"

    done = subprocess.run(python(*words), capture_output=True, text=True, timeout=30, cwd=ROOT, env=env, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (code, "", "")


def test_who_only_imports_this_project_keeps_its_own_way_to_end() -> None:
    program = "import signal, clickstream.packages as _; print(signal.getsignal(signal.SIGINT).__name__)"

    done = subprocess.run(python("-c", program), capture_output=True, text=True, timeout=30, cwd=ROOT, check=True)

    assert done.stdout == "default_int_handler\n"


WHILE_DUCKDB_WORKS = """
import os, signal, threading
from clickstream.analytics import engine

with engine.connect() as connection, engine.readable():
    threading.Timer(0.1, os.kill, [os.getpid(), signal.SIGINT]).start()
    connection.execute(" UNION ALL ".join(["SELECT count(*) FROM range(10000000) AS a(n) WHERE n % 7 = 3"] * 1000))
"""


def test_ctrl_c_while_duckdb_works_is_ctrl_c() -> None:
    done = subprocess.run(python("-c", WHILE_DUCKDB_WORKS), cwd=ROOT, capture_output=True, timeout=60, check=False)

    assert done.returncode == -signal.SIGINT
