"""Events per second of the SDK routes against the native one, batches of 100: python -m benchmarks.sdk_routes."""

from __future__ import annotations

import http.client
import json
import os
import statistics
import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.support.platform import platform

BATCH = 100
ROUNDS = 15
PATHS = {
    "native": "/events",
    "segment": "/v1/batch",
    "posthog": "/batch/",
    "snowplow": "/com.snowplowanalytics.snowplow/tp2",
    "aws_clickstream": "/collect?appId=shop",
}


def body(family: str) -> bytes:
    """One batch of fresh page views, as that family's SDK writes them."""
    now = time.strftime("%Y-%m-%dT%H:%M:%S.123Z", time.gmtime())
    url, ids = "https://shop.test/products/1", [str(uuid.uuid4()) for _ in range(BATCH)]
    documents: dict[str, Any] = {
        "native": {"records": [_native(one, now) for one in ids]},
        "segment": {"batch": [_segment(one, now, url) for one in ids], "sentAt": now, "writeKey": "k"},
        "posthog": {"batch": [_posthog(one, now, url) for one in ids], "sent_at": now, "api_key": "k"},
        "snowplow": {"schema": "iglu:x/payload_data/jsonschema/1-0-4", "data": [_snowplow(one, url) for one in ids]},
        "aws_clickstream": [_aws(one, url) for one in ids],
    }
    return json.dumps(documents[family]).encode()


def _native(event_id: str, now: str) -> dict[str, Any]:
    properties = {"page": "/products/1", "title": "Shoe", "product_id": "SKU-1", "price": 9.99}
    event = {"event_id": event_id, "event_type": "page_view", "user_id": "user_1", "session_id": "s-1"}
    return {**event, "timestamp": now, "properties": properties}


def _segment(event_id: str, now: str, url: str) -> dict[str, Any]:
    context = {"library": {"name": "analytics-python", "version": "2.4.0"}}
    event = {"type": "page", "name": "Shoe", "messageId": event_id, "userId": "user_1", "timestamp": now}
    return {
        **event,
        "integrations": {},
        "context": context,
        "properties": {"url": url, "product_id": "SKU-1", "price": 9.99},
    }


def _posthog(event_id: str, now: str, url: str) -> dict[str, Any]:
    properties = {"$current_url": url, "$lib": "posthog-python", "$lib_version": "7", "$os": "Linux", "price": 9.99}
    return {"event": "$pageview", "uuid": event_id, "distinct_id": "user_1", "timestamp": now, "properties": properties}


def _snowplow(event_id: str, url: str) -> dict[str, Any]:
    now = str(time.time_ns() // 1_000_000)
    event = {"e": "pv", "eid": event_id, "uid": "user_1", "url": url, "page": "Shoe", "p": "web", "aid": "shop"}
    return {**event, "tna": "sp", "tv": "py-1.1.0", "dtm": now, "stm": now}


def _aws(event_id: str, url: str) -> dict[str, Any]:
    attributes = {"_session_id": "s-1", "_page_url": url, "_page_title": "Shoe", "price": 9.99}
    event = {"event_type": "_page_view", "event_id": event_id, "device_id": "d-1", "platform": "Web", "locale": "en"}
    return {**event, "timestamp": time.time_ns() // 1_000_000, "attributes": attributes, "user": {}}


def measure(url: str, path: str, bodies: list[bytes], connections: int = 8) -> float:
    """Acknowledged events per second."""
    queue = list(bodies)
    lock = threading.Lock()

    def send() -> None:
        connection = http.client.HTTPConnection(urlsplit(url).netloc)
        while True:
            with lock:
                if not queue:
                    return
                one = queue.pop()
            connection.request("POST", path, one, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            assert answer.status in (200, 202), answer.status

    threads = [threading.Thread(target=send) for _ in range(connections)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(bodies) * BATCH / (time.perf_counter() - started)


def cpu_s(pid: int) -> float:
    """Seconds of processor time that the process has used; unlike the rate it hardly depends on what else runs."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Print the table; medians of many short rounds in turn, because the machine may be shared."""
    requests = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    rates: dict[str, list[float]] = {family: [] for family in PATHS}
    costs: dict[str, list[float]] = {family: [] for family in PATHS}
    with tempfile.TemporaryDirectory() as directory, platform(Path(directory)) as api:
        for _ in range(ROUNDS):
            for family, path in PATHS.items():
                bodies = [body(family) for _ in range(requests)]
                before = cpu_s(api.process.pid)
                rates[family].append(measure(api.url, path, bodies))
                costs[family].append((cpu_s(api.process.pid) - before) / (requests * BATCH) * 1e6)
    rate = {family: statistics.median(found) for family, found in rates.items()}
    cost = {family: statistics.median(found) for family, found in costs.items()}
    for family in PATHS:
        print(
            f"{family:16} {rate[family]:8,.0f} events/s {rate[family] / rate['native']:5.2f} x native   "
            f"{cost[family]:5.1f} us of processor an event, {cost['native'] / cost[family]:4.2f} x native"
        )


if __name__ == "__main__":
    main()
