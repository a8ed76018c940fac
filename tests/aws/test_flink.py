"""The same windows from three programs: Flink SQL, clickstream/windows.py and DuckDB."""

from __future__ import annotations

import json
import os
import random
import subprocess
from pathlib import Path

import pytest

from clickstream.analytics import engine, sources, views
from clickstream.analytics.scope import EVERYTHING
from clickstream.aws.packing import line_of
from clickstream.timestamps import parse, text
from clickstream.windows import Occurrence, WindowRules, WindowState, advance, finish
from tests.support.event_sample import START_MS, write_ndjson
from tests.support.processes import ROOT

FLINK_PYTHON = Path(os.environ.get("FLINK_PYTHON", ROOT / ".venv-flink" / "bin" / "python"))

pytestmark = [
    pytest.mark.aws,
    pytest.mark.external,
    pytest.mark.skipif(not FLINK_PYTHON.exists(), reason="PyFlink is not installed: see infra/flink/README.md"),
]


def sample() -> list[dict[str, object]]:
    """Forty minutes of events, up to four seconds out of order, one in ten a copy."""
    chance = random.Random(9)
    events: list[dict[str, object]] = []
    for index in range(2000):
        ms = START_MS + index * 1200 - chance.randrange(4000)
        event = {
            "event_id": f"e{index}",
            "event_type": chance.choice(["page_view", "click", "purchase"]),
            "session_id": "s",
            "timestamp": text(max(ms, START_MS)),
            "properties": {},
            "received_at": text(START_MS + index * 1200),
        }
        events.append(event)
        if chance.random() < 0.1:
            events.append(event)
    return events


def test_flink_python_and_duckdb_count_the_same_windows(tmp_path: Path) -> None:
    events = sample()
    lines, plain = tmp_path / "lines.ndjson", tmp_path / "events.ndjson"
    lines.write_bytes(b"".join(line_of(json.dumps(event).encode()) + b"\n" for event in events))
    write_ndjson(plain, events)

    done = subprocess.run(
        [str(FLINK_PYTHON), str(ROOT / "infra/flink/run_on_file.py"), str(lines)],
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    by_flink = {
        (parse(start + "Z"), event_type): count
        for start, event_type, count in map(json.loads, done.stdout.splitlines())
    }

    occurrences = [Occurrence(str(e["event_id"]), str(e["event_type"]), parse(str(e["timestamp"]))) for e in events]
    state, fired = advance(WindowState(), occurrences, WindowRules(allowed_lateness_ms=0))
    by_python = {
        (window.start_ms, event_type): count
        for window in [*(one for one in fired if one.is_final), *finish(state)]
        for event_type, count in window.by_type.items()
    }
    with engine.connect() as connection:
        view = views.events_view(sources.ndjson(plain), EVERYTHING)
        rows = connection.execute(
            "SELECT epoch_ms(date_trunc('minute', event_time)), event_type, count(DISTINCT event_id) "
            f"FROM ({view}) GROUP BY ALL"
        ).fetchall()

    assert state.late == 0
    assert len(by_python) > 100
    assert by_flink == by_python == {(ms, event_type): count for ms, event_type, count in rows}
