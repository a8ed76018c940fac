"""The platform's numbers in Prometheus form, read from the pipeline at scrape time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_1_0_0

from clickstream.errors import Unavailable
from clickstream.pipeline import Pipeline

MEDIA_TYPE: Final = CONTENT_TYPE_PLAIN_1_0_0


class MetricsPage:
    """The text of `/metrics`."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_PipelineCollector(pipeline))
        ProcessCollector(registry=self._registry)

    def text(self) -> bytes:
        """All metrics, Prometheus text format 1.0.0."""
        return _NUMBER_AT_END.sub(_integer, generate_latest(self._registry))


class _PipelineCollector:
    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    def describe(self) -> Iterator[Metric]:
        """Nothing in advance: the names depend on the backend."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """The metrics now."""
        yield from self._verdicts()
        try:
            numbers = self._pipeline.statistics("all")
        except Unavailable:
            yield GaugeMetricFamily("clickstream_ready", "1 once the journal has been replayed", value=0)
            return
        yield GaugeMetricFamily("clickstream_ready", "1 once the journal has been replayed", value=1)
        by_type = CounterMetricFamily(
            "clickstream_events", "Events kept since the journal began", labels=["event_type"]
        )
        for event_type, count in list(numbers["events_by_type"].items())[:_TYPES_SHOWN]:
            by_type.add_metric([event_type], count)
        yield by_type
        ingest = numbers["ingest"]
        for name, value in _numbers(ingest):
            yield GaugeMetricFamily(f"clickstream_{name}", MEANINGS.get(name, name.replace("_", " ")), value=value)

    def _verdicts(self) -> Iterator[Metric]:
        meter = self._pipeline.meter
        received = CounterMetricFamily(
            "clickstream_records", "Records received since the start, by verdict", labels=["verdict"]
        )
        for verdict in ("accepted", "duplicates", "rejected"):
            received.add_metric([verdict], meter.accounting()[verdict])
        yield received
        rejected = CounterMetricFamily("clickstream_rejected", "Records refused since the start", labels=["code"])
        for code, count in meter.rejected.items():
            rejected.add_metric([code], count)
        yield rejected
        denied = CounterMetricFamily(
            "clickstream_denied_requests", "Requests of senders denied since the start, by error code", labels=["code"]
        )
        for code in _DENIALS:
            denied.add_metric([code], meter.denied[code])
        yield denied
        yield CounterMetricFamily("clickstream_failed_commits", "Groups that were not kept", value=meter.failed_commits)
        latency = GaugeMetricFamily("clickstream_commit_latency_seconds", "Verdict to commit", labels=["quantile"])
        for quantile, ms in meter.latency_ms().items():
            if ms is not None:
                latency.add_metric([f"0.{quantile[1:]}"], ms / 1000)
        yield latency


_DENIALS: Final = ("unauthorized", "forbidden", "rate_limited")  # from the first scrape on: an increase needs a before
_TYPES_SHOWN: Final = 100  # a sender that invents types must not fill the monitoring system
MEANINGS: Final = {
    "events_per_second": "Events accepted per second, mean of the last ten whole seconds",
    "dedupe_window": "Event ids that are remembered at most to recognise duplicates",
    "dedupe_ids": "Event ids that are remembered now to recognise duplicates",
    "journal_bytes": "Size of the journal in bytes",
    "journal_records": "Events in the journal",
    "damaged_records": "Damaged lines found in the journal at the last start",
    "spill_bytes": "Size of the events that wait for Kinesis in the spill journal, in bytes",
    "spill_cap_bytes": "Size of waiting events beyond which no more are taken in, in bytes",
    "spill_age_s": "Age of the oldest event that waits for Kinesis, in seconds",
    "kinesis_calls": "PutRecords calls since the start",
    "kinesis_records": "Records that Kinesis has confirmed since the start",
    "kinesis_resent": "Records sent to Kinesis again since the start",
    "kinesis_throttled": "Records that Kinesis turned away for its limits since the start",
    "kinesis_failed_calls": "PutRecords calls that failed as a whole since the start",
}
# The client library writes every value as a float: 5.0, and 4.8260387e+07 for the size of a journal.
_NUMBER_AT_END: Final = re.compile(rb"(?m)^([^#\n].* )(\d[\d.]*(?:e\+\d+)?)$")


def _integer(line: re.Match[bytes]) -> bytes:
    value = float(line[2])
    return line[1] + b"%d" % value if value.is_integer() else line[0]


def _numbers(ingest: dict[str, object]) -> Iterator[tuple[str, float]]:
    for name, value in ingest.items():
        if isinstance(value, bool) or name == "failed_commits":
            continue
        if isinstance(value, (int, float)):
            yield name, value
        elif isinstance(value, dict) and name != "commit_latency_ms":
            for inner, number in value.items():
                if isinstance(number, (int, float)) and not isinstance(number, bool):
                    yield f"{name}_{inner}", number
