"""What CloudWatch's alarms watch of an API host: its spill journal, its commits, its answers. One call a minute."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from typing import Any, Final

from clickstream.aws.clients import client
from clickstream.aws.consumer.consumer import NAMESPACE
from clickstream.pipeline import Pipeline

METRICS: Final = {
    "SpillAge": "Seconds",
    "SpillPercent": "Percent",
    "FailedCommits": "Count",
    "CommitLatencyP99": "Milliseconds",
    "ServerErrors": "Count",
    "PostLatencyP99": "Milliseconds",
}

_INTERVAL_S: Final = 60.0
_LOOK_S: Final = 0.2
_LAST_CALL_S: Final = 1.0

_log: Final = logging.getLogger(__name__)


class Emitter:
    """Sends the metrics of `pipeline` once it is ready, then every minute, and a last time at the stop."""

    def __init__(self, pipeline: Pipeline, cloudwatch: Any, stream: str) -> None:  # noqa: ANN401 (boto3 makes its classes at run time)
        self._pipeline = pipeline
        self._cloudwatch = cloudwatch
        self._stream = stream
        self._sent: Counter[str] = Counter()  # of what is counted since the start
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._emit_until_stopped, name="metrics", daemon=True)

    def start(self) -> None:
        """Begin; nothing is sent before the pipeline is ready."""
        self._thread.start()

    def stop(self) -> None:
        """Send what has happened since the last time, and end; CloudWatch has a second to take it."""
        self._stopping.set()
        self._thread.join(_LAST_CALL_S)

    def _emit_until_stopped(self) -> None:
        while self._pipeline.readiness()["status"] != "ready":
            if self._stopping.wait(_LOOK_S):
                return
        self._emit()
        while not self._stopping.wait(_INTERVAL_S):
            self._emit()
        self._emit()

    def _emit(self) -> None:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 (only with ENV=aws)

        values = self._values()
        dimensions = [{"Name": "StreamName", "Value": self._stream}]
        data = [
            {"MetricName": name, "Dimensions": dimensions, "Value": value, "Unit": METRICS[name]}
            for name, value in values.items()
        ]
        try:
            self._cloudwatch.put_metric_data(Namespace=NAMESPACE, MetricData=data)
        except (BotoCoreError, ClientError) as problem:
            _log.warning("metrics not sent error=%s", problem)
        else:
            self._sent.update({name: int(values[name]) for name in ("FailedCommits", "ServerErrors")})

    def _values(self) -> dict[str, float]:
        spill, meter = self._pipeline.backend.condition()["spill"], self._pipeline.meter
        values: dict[str, float] = {
            "SpillAge": spill["age_s"],
            "SpillPercent": 100 * spill["bytes"] / spill["cap_bytes"],
            "FailedCommits": meter.failed_commits - self._sent["FailedCommits"],
            "ServerErrors": meter.server_errors - self._sent["ServerErrors"],
        }
        latencies = {
            "CommitLatencyP99": meter.latency_ms()["p99"],
            "PostLatencyP99": meter.take_post_latencies_ms()["p99"],
        }
        return values | {name: p99 for name, p99 in latencies.items() if p99 is not None}


def open_emitter(pipeline: Pipeline, *, region: str, stream: str) -> Emitter:
    """The emitter of this process, with a client of its own."""
    return Emitter(pipeline, client("cloudwatch", region), stream)
