"""POST /events to counters and lake with ENV=aws, all on this machine.

`python -m benchmarks.aws_local [events [sessions at once]]`: a session has eight events. One after the other is the
best case, because a transaction of DynamoDB then counts some 400 events; with thousands at once it counts 50.

The emulator and the API are processes of their own; consumer, delivery and the load share this one, as consumer and
delivery do in `./run_demo.sh --aws-local`. The clock says little when other work runs; processor time says what an
event costs.
"""

from __future__ import annotations

import http.client
import json
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.aws_sink import make_groups
from benchmarks.processes import Server, api
from clickstream.aws.local.cloud import LocalCloud
from clickstream.aws.local.emulator import Emulator
from clickstream.aws.local.resources import Names

_BATCH = 500
_CONNECTIONS = 4
_SHARDS = 4


def main(events: int = 100_000, sessions_at_once: int = 1) -> int:
    names = Names()
    bodies = make_bodies(events, sessions_at_once)
    with tempfile.TemporaryDirectory(prefix="clickstream-bench-") as directory, Emulator() as emulator:
        cloud = LocalCloud(emulator.connect, names, shards=_SHARDS)
        spill = Path(directory) / "spill.json"
        settings = {**emulator.environment, **names.environment(), "SPILL_FILE": str(spill)}
        with api(Path(directory), settings=settings) as server:
            cloud.start()
            before = processor_s(emulator, server)
            began = time.perf_counter()
            send_all(bodies, server.port)
            acknowledged_s = time.perf_counter() - began
            cloud.finish()
            counted_s = time.perf_counter() - began
            costs = [after - earlier for after, earlier in zip(processor_s(emulator, server), before, strict=True)]
        accounts = cloud.accounts(set(spill.with_name("spill.json.ids").read_text().splitlines()))
    print(f"acknowledged         {events / acknowledged_s:>9,.0f} events/s")
    print(f"counted and in lake  {events / counted_s:>9,.0f} events/s")
    for name, cost_s in zip(("emulator", "API", "consumer, delivery, load"), costs, strict=True):
        print(f"{name:<24} {cost_s / events * 1e6:>5.0f} µs of processor time an event")
    print(f"{'together':<24} {sum(costs) / events * 1e6:>5.0f} µs")
    print("\n".join(accounts.lines()))
    return 0 if accounts.is_balanced else 1


def make_bodies(events: int, sessions_at_once: int) -> list[bytes]:
    """Requests of 500 events each, eight to a session and sixteen to a person."""
    bodies = []
    for group in make_groups(events, _BATCH, sessions_at_once):
        records = [json.loads(record) for record in group]
        for record in records:
            del record["received_at"]
        bodies.append(json.dumps({"records": records}, separators=(",", ":")).encode())
    return bodies


def send_all(bodies: list[bytes], port: int) -> None:
    waiting, lock = iter(bodies), threading.Lock()

    def take() -> Iterator[bytes]:
        while True:
            with lock:
                body = next(waiting, None)
            if body is None:
                return
            yield body

    def send() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        for body in take():
            connection.request("POST", "/events", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            assert answer.status == http.client.ACCEPTED, answer.read()
            answer.read()
        connection.close()

    threads = [threading.Thread(target=send) for _ in range(_CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def processor_s(emulator: Emulator, server: Server) -> tuple[float, float, float]:
    return Server(emulator.port, emulator.pid).cpu_s(), server.cpu_s(), time.process_time()


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
