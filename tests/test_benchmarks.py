"""The benchmarks run to their table; what the figures are is nobody's test."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.report import Figure, table
from clickstream.analytics.catalog import QUESTIONS

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.e2e
def test_the_short_form_runs_and_prints_every_line_of_the_table(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "--short", "--directory", str(tmp_path)]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)

    assert done.returncode == 0, done.stderr
    for line in (
        "single events ÷ null endpoint",
        "single events ÷ old design",
        "500-event batches ÷ null endpoint",
        "peak resident memory",
        "/stats p99 under batches",
        "acknowledged → visible under single events",
        "replay at start, per 1M events",
        "export ndjson ÷ the same bytes",
        "memory growth of an export",
    ):
        assert f"| {line}" in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.e2e
def test_the_questions_in_sql_are_measured_one_by_one(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.analytics", "--days", "2", "--events-a-day", "3000", "--rounds", "1"]

    done = subprocess.run(
        [*command, "--directory", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )

    assert done.returncode == 0, done.stderr
    assert "| making the Parquet copy" in done.stdout
    assert [name for name in QUESTIONS if f"| {name}" not in done.stdout] == []
    assert "6,000 events" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_the_table_says_which_goals_are_met() -> None:
    figures = [Figure("a", 0.6, at_least=0.5), Figure("b", 301, " MB", at_most=300), Figure("c", 1.0, note="no goal")]

    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table(figures).splitlines()[2:]]

    assert rows == [
        ["a", "≥ 0.50", "0.60", "met", ""],
        ["b", "≤ 300 MB", "301 MB", "missed", ""],
        ["c", "", "1.00", "", "no goal"],
    ]
