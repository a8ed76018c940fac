"""The platform's numbers in Prometheus form, read from the pipeline at scrape time."""

from __future__ import annotations

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
        return generate_latest(self._registry)


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
            yield GaugeMetricFamily(f"clickstream_{name}", f"{name} of /stats, ingest", value=value)

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
        yield CounterMetricFamily("clickstream_failed_commits", "Groups that were not kept", value=meter.failed_commits)
        latency = GaugeMetricFamily("clickstream_commit_latency_seconds", "Verdict to commit", labels=["quantile"])
        for quantile, ms in meter.latency_ms().items():
            if ms is not None:
                latency.add_metric([f"0.{quantile[1:]}"], ms / 1000)
        yield latency


_TYPES_SHOWN: Final = 100  # a sender that invents types must not fill the monitoring system


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
