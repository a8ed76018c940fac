"""A proxy in front of a Kinesis emulator that is as strict as AWS: limits, full shards, and faults on demand.

No emulator throttles or fails single records, so without this the sink's retries would never run.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import random
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

_HASH_KEYS = 2**128
_MIB = 1024 * 1024


class Faults:
    """What goes wrong from now on; tests set the attributes while traffic runs."""

    def __init__(self) -> None:
        self.record_failure_rate = 0.0  # share of records answered with InternalFailure
        self.odd_lanes_fail = False  # their records are answered with InternalFailure
        self.is_throttled = False  # every record is refused for throughput
        self.is_down = False  # connections are cut before anything happens
        self.hangs = False  # calls are taken and neither answered nor cut, until the proxy ends
        self.expired = 0  # this many calls are answered with ExpiredTokenException
        self.error: tuple[str, int] | None = None  # every call is answered with this code and status
        self.lose_answers = 0  # this many calls are accepted, then the connection is cut


class StrictKinesis:
    """The proxy; `url` is what AWS_ENDPOINT_URL shall be. `calls` holds the sizes of every PutRecords call."""

    def __init__(
        self,
        upstream: str,
        *,
        shards: int,
        records_per_second: float = 1e9,
        bytes_per_second: float = 1e12,
        seed: int = 1,
    ) -> None:
        self.faults = Faults()
        self.counts: Counter[str] = Counter()
        self.problems: list[str] = []  # broken limits; a test asserts that there are none
        self.calls: list[tuple[int, int]] = []
        self.lost: list[str] = []  # the data, in base64, of accepted records whose answer was cut off
        self.shards_used: Counter[int] = Counter()
        self._upstream = urlsplit(upstream)
        self._chance = random.Random(seed)
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._buckets = [_Bucket(records_per_second, bytes_per_second) for _ in range(shards)]
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> StrictKinesis:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                answer = proxy.answer(self.path, dict(self.headers.items()), body)
                if answer is None:
                    self.close_connection = True
                    return
                status, payload = answer
                self.send_response(status)
                self.send_header("Content-Type", "application/x-amz-json-1.1")
                self.send_header("Content-Length", str(len(payload)))
                with contextlib.suppress(ConnectionError):  # a client that stops does not wait for its answer
                    self.end_headers()
                    self.wfile.write(payload)

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def answer(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes] | None:
        """Status and body, or None to cut the connection."""
        with self._lock:
            self.counts["asked"] += 1
        if self.faults.hangs:
            self._ending.wait(60)
        if self.faults.is_down or self.faults.hangs:
            return None
        if not headers.get("X-Amz-Target", "").endswith(".PutRecords"):
            return self._forward(path, headers, body)
        with self._lock:
            refusal = self._refusal_of_call()
            if refusal is not None:
                return refusal
            request = json.loads(body)
            broken = self._broken_limit(request["Records"])
            if broken:
                self.problems.append(broken)
                return _error("ValidationException" if "MiB" not in broken else "InvalidArgumentException", 400, broken)
            verdicts = [self._verdict(record) for record in request["Records"]]
        return self._pass_on(path, headers, request, verdicts)

    def _refusal_of_call(self) -> tuple[int, bytes] | None:
        if self.faults.error is not None:
            return _error(*self.faults.error, "planted")
        if self.faults.expired > 0:
            self.faults.expired -= 1
            return _error("ExpiredTokenException", 400, "The security token included in the request is expired")
        return None

    def _broken_limit(self, records: list[dict[str, Any]]) -> str | None:
        sizes = [len(base64.b64decode(record["Data"])) + len(record["PartitionKey"].encode()) for record in records]
        self.calls.append((len(records), sum(sizes)))
        if not 1 <= len(records) <= 500:
            return f"{len(records)} records in one call"
        if max(sizes) > _MIB:
            return f"a record of {max(sizes)} bytes is above 1 MiB"
        if sum(sizes) > 5 * _MIB:
            return f"a request of {sum(sizes)} bytes is above 5 MiB"
        if not all(1 <= len(record["PartitionKey"]) <= 256 for record in records):
            return "a partition key has not 1 to 256 characters"
        return None

    def _verdict(self, record: dict[str, Any]) -> str | None:
        shard = int(record["ExplicitHashKey"]) * len(self._buckets) // _HASH_KEYS
        size = len(base64.b64decode(record["Data"])) + len(record["PartitionKey"])
        if self.faults.is_throttled or not self._buckets[shard].take(size):
            self.counts["throttled"] += 1
            return "ProvisionedThroughputExceededException"
        is_odd = int(record["PartitionKey"].rpartition("-")[2]) % 2 == 1
        if (is_odd and self.faults.odd_lanes_fail) or self._chance.random() < self.faults.record_failure_rate:
            self.counts["failed"] += 1
            return "InternalFailure"
        self.shards_used[shard] += 1
        return None

    def _pass_on(
        self, path: str, headers: dict[str, str], request: dict[str, Any], verdicts: list[str | None]
    ) -> tuple[int, bytes] | None:
        accepted = [record for record, verdict in zip(request["Records"], verdicts, strict=True) if verdict is None]
        answers: list[dict[str, str]] = []
        if accepted:
            status, payload = self._forward(path, headers, json.dumps({**request, "Records": accepted}).encode())
            if status != 200:
                return status, payload
            answers = json.loads(payload)["Records"]
        with self._lock:
            self.counts["accepted"] += len(accepted)
            if self.faults.lose_answers > 0:
                self.faults.lose_answers -= 1
                self.counts["answers lost"] += 1
                self.lost += [record["Data"] for record in accepted]
                return None
        waiting = iter(answers)
        merged = [
            next(waiting) if verdict is None else {"ErrorCode": verdict, "ErrorMessage": "planted"}
            for verdict in verdicts
        ]
        failed = len(verdicts) - len(accepted)
        return 200, json.dumps({"FailedRecordCount": failed, "Records": merged}).encode()

    def _forward(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(self._upstream.hostname or "", self._upstream.port, timeout=30)
        try:
            kept = {name: value for name, value in headers.items() if name.lower() not in ("host", "content-length")}
            connection.request("POST", path, body, kept)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()


class _Bucket:
    """1 MiB and 1,000 records a second for each shard, or what a test sets."""

    def __init__(self, records_per_second: float, bytes_per_second: float) -> None:
        self._rates = (records_per_second, bytes_per_second)
        self._left = list(self._rates)
        self._at = time.monotonic()

    def take(self, size: int) -> bool:
        now = time.monotonic()
        elapsed, self._at = now - self._at, now
        self._left = [min(rate, left + rate * elapsed) for rate, left in zip(self._rates, self._left, strict=True)]
        if self._left[0] < 1 or self._left[1] < size:
            return False
        self._left = [self._left[0] - 1, self._left[1] - size]
        return True


def _error(code: str, status: int, message: str) -> tuple[int, bytes]:
    return status, json.dumps({"__type": code, "message": message}).encode()
