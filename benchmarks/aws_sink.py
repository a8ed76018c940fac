"""The Kinesis sink against bare boto3 on the same emulator: `python -m benchmarks.aws_sink`.

Interleaved and repeated, because the emulator and this program share the machine. Bare boto3 runs twice: as most
programs use it, one event a record; and with the sink's packs ready made, which shows what packing and checking cost.
"""

from __future__ import annotations

import json
import statistics
import time
from collections import Counter
from collections.abc import Callable

from clickstream.aws.clients import Emulated, producer
from clickstream.aws.consumer.consumer import Consumer, delivered
from clickstream.aws.consumer.table import CounterTable
from clickstream.aws.local.emulator import REGION, Emulator
from clickstream.aws.local.resources import Names, create
from clickstream.aws.local.shards import ShardReader
from clickstream.aws.packing import hash_key, pack
from clickstream.aws.sink import KinesisSink, requests
from clickstream.timestamps import text

# Few events: the emulator takes a time for each record that grows with the records it holds.
EVENTS, GROUP, REPEATS = 8_000, 4_000, 9


def main() -> None:
    with Emulator() as emulator:
        names = Names()
        create(names, emulator.connect, shards=4)
        kinesis = emulator.connect("kinesis")
        groups = make_groups()
        sink = KinesisSink(producer(REGION, emulated=Emulated(emulator.url)).put_records, names.stream)

        def by_sink() -> None:
            for group in groups:
                assert not sink.put(group, deadline_s=60).unsent

        ready = [list(requests(pack(group))) for group in groups]

        def bare() -> None:
            for calls in ready:
                for call in calls:
                    entries = [
                        {"Data": one.data, "PartitionKey": one.partition_key, "ExplicitHashKey": hash_key(one.lane)}
                        for one in call
                    ]
                    assert kinesis.put_records(StreamName=names.stream, Records=entries)["FailedRecordCount"] == 0

        plain = Names(stream="plain", bucket="plain", table="plain")
        create(plain, emulator.connect, shards=4)

        def one_by_one() -> None:
            for group in groups:
                for begin in range(0, len(group), 500):
                    entries = [
                        {"Data": record, "PartitionKey": f"user_{begin + index}"}
                        for index, record in enumerate(group[begin : begin + 500])
                    ]
                    assert kinesis.put_records(StreamName=plain.stream, Records=entries)["FailedRecordCount"] == 0

        runs = {"one event a record": one_by_one, "packs ready made": bare, "sink": by_sink}
        rates: dict[str, list[float]] = {name: [] for name in runs}
        processor_s: Counter[str] = Counter()
        for _ in range(REPEATS):
            for name, run in runs.items():
                began_s = time.process_time()
                rates[name].append(rate(run))
                processor_s[name] += time.process_time() - began_s
        sink.close()
        for name, found in rates.items():
            ours_us = processor_s[name] / REPEATS / EVENTS * 1e6
            print(
                f"{name:<20} {statistics.median(found):>9,.0f} events/s  ({min(found):,.0f} to {max(found):,.0f}); "
                f"{ours_us:.1f} us of this process for an event"
            )
        for name, goal in (("packs ready made", "  (goal 0.8)"), ("one event a record", "")):
            # Round by round: what else the machine does changes faster than the whole takes.
            ratios = [sink_rate / bare_rate for sink_rate, bare_rate in zip(rates["sink"], rates[name], strict=True)]
            print(f"sink / {name:<19} {statistics.median(ratios):.2f}{goal}")
        print(f"consumer     {consumer_rate(emulator, names):>9,.0f} events/s on the emulator's DynamoDB")


def make_groups(events: int = EVENTS, group: int = GROUP, sessions_at_once: int = 1) -> list[list[bytes]]:
    now_ms = time.time_ns() // 1_000_000
    types = ["page_view", "page_view", "page_view", "click", "search", "page_view", "add_to_cart", "page_view"]
    records = [
        json.dumps(
            {
                "event_id": f"0190b6c0-0000-7000-8000-{index:012x}",
                "event_type": types[index % 8],
                "user_id": f"user_{session // 2}",
                "session_id": f"session_{session}",
                "timestamp": text(now_ms + index),
                "properties": {
                    "page": f"/products/{index % 40}",
                    "device": "mobile",
                    "referrer": "google.com",
                    "title": "Shop",
                },
                "received_at": text(now_ms + index),
            }
        ).encode()
        for index in range(events)
        for session in (index // (8 * sessions_at_once) * sessions_at_once + index % sessions_at_once,)
    ]
    return [records[begin : begin + group] for begin in range(0, events, group)]


def rate(run: Callable[[], None]) -> float:
    began = time.perf_counter()
    run()
    return EVENTS / (time.perf_counter() - began)


def consumer_rate(emulator: Emulator, names: Names) -> float:
    """One shard's batches of 500 records for a few seconds."""
    table = CounterTable(emulator.connect("dynamodb"), names.table)
    consumer = Consumer(
        table, emulator.connect("s3").put_object, names.bucket, clock_ms=lambda: time.time_ns() // 10**6
    )
    reader = ShardReader(emulator.connect("kinesis"), names.stream)
    shard = reader.shards()[0]
    began = time.perf_counter()
    counted = 0
    while time.perf_counter() - began < 8 and (batch := reader.read(shard, 100)):
        assert consumer.consume(delivered(shard, batch)) == {"batchItemFailures": []}
        counted += consumer.metrics["CountedEvents"] + consumer.metrics["SkippedEvents"]
    return counted / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
