"""/metrics: what a monitoring system reads, and what a person who looks at it sees."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families as families

from clickstream.metrics import MEANINGS
from tests.support.platform import Platform, platform


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with platform(tmp_path_factory.mktemp("metrics")) as running:
        view = {"event_type": "page_view", "user_id": "u", "properties": {"padding": "x" * 1500}}
        requests.post(f"{running.url}/events", json=[view] * 1000, timeout=10).raise_for_status()
        requests.post(f"{running.url}/events", json=[{"event_type": "No"}] * 3, timeout=10)
        yield running


def page(api: Platform) -> str:
    return requests.get(f"{api.url}/metrics", timeout=5).text


def test_the_numbers_are_those_of_the_statistics(api: Platform) -> None:
    samples = {
        (sample.name, *sample.labels.values()): sample.value for one in families(page(api)) for sample in one.samples
    }

    assert samples["clickstream_records_total", "accepted"] == 1000
    assert samples["clickstream_rejected_total", "invalid_value"] == 3
    assert samples["clickstream_events_total", "page_view"] == 1000
    assert samples["clickstream_journal_bytes",] == api.get("/stats")["ingest"]["journal_bytes"] > 1_000_000
    assert 0 < samples["clickstream_commit_latency_seconds", "0.50"] < 5


def test_whole_numbers_are_written_as_such(api: Platform) -> None:
    text = page(api)

    assert f"clickstream_journal_bytes {api.get('/stats')['ingest']['journal_bytes']}\n" in text
    assert 'clickstream_events_total{event_type="page_view"} 1000\n' in text
    assert re.search(r"^clickstream_commit_latency_seconds\{.*\} 0\.\d+$|e-\d+$", text, re.MULTILINE)
    assert not re.search(r"^[^#].* \d+\.0$", text, re.MULTILINE)


def test_every_number_says_in_words_what_it_is(api: Platform) -> None:
    helps = dict(re.findall(r"^# HELP (\S+) (.*)$", page(api), re.MULTILINE))

    assert helps["clickstream_dedupe_window"] == "Event ids that are remembered at most to recognise duplicates"
    gauges = {name.removeprefix("clickstream_") for name in helps} & MEANINGS.keys()
    assert {"events_per_second", "journal_bytes", "journal_records", "damaged_records", "dedupe_ids"} <= gauges
    assert [name for name, text in helps.items() if not name.startswith("process_") and "_" in text] == []
