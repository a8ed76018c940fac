"""The Kinesis sink against limits and faults: what Kinesis confirmed is in the stream, the rest is given back."""

from __future__ import annotations

import hashlib
import hmac
import json
import random
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.awsrequest import AWSPreparedRequest

from clickstream.aws import packing, sink
from clickstream.aws.clients import client, producer
from clickstream.aws.local.emulator import Emulator
from clickstream.aws.local.resources import Names
from clickstream.aws.sink import KinesisSink, Outcome
from tests.support.event_sample import sample_events
from tests.support.stream_reader import events_in, shard_records
from tests.support.strict_kinesis import StrictKinesis

pytestmark = [pytest.mark.aws, pytest.mark.usefixtures("aws_environment")]

Build = Callable[..., Any]


def encoded(count: int, seed: int = 1) -> list[bytes]:
    return [
        json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode() for event in sample_events(count, seed)
    ]


def signature(request: AWSPreparedRequest, *, secret: str) -> str:
    """What AWS computes over a request to compare with the signature in it (Signature Version 4)."""
    authorization = text_of(request.headers["Authorization"])
    scope = authorization.partition("Credential=")[2].partition(",")[0].partition("/")[2]
    names = authorization.partition("SignedHeaders=")[2].partition(",")[0]
    values = {"host": urlsplit(request.url).netloc, **{k.lower(): text_of(v) for k, v in request.headers.items()}}
    headers = "".join(f"{name}:{values[name]}\n" for name in names.split(";"))
    canonical = "\n".join(["POST", "/", "", headers, names, hashlib.sha256(request.body).hexdigest()])
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = "\n".join(["AWS4-HMAC-SHA256", values["x-amz-date"], scope, digest])
    key = f"AWS4{secret}".encode()
    for part in (*scope.split("/"), to_sign):
        key = hmac.digest(key, part.encode(), "sha256")
    return key.hex()


def text_of(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


class Setting:
    """A stream behind the strict proxy, and a sink that writes into it."""

    def __init__(self, proxy: StrictKinesis, stream: str) -> None:
        self.proxy, self.stream = proxy, stream
        self.direct = client("kinesis", "us-east-1")
        self.sink = KinesisSink(producer("us-east-1").put_records, stream, chance=random.Random(5))

    def ids(self) -> Counter[str]:
        return Counter(event["event_id"] for event in events_in(self.direct, self.stream))


@pytest.fixture
def setting(emulator: Emulator, names: Names, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    @contextmanager
    def make(shards: int = 4, **limits: float) -> Iterator[Setting]:
        direct = client("kinesis", "us-east-1")
        direct.create_stream(StreamName=names.stream, ShardCount=shards)
        with StrictKinesis(emulator.url, shards=shards, **limits) as proxy:
            monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
            made = Setting(proxy, names.stream)
            monkeypatch.setenv("AWS_ENDPOINT_URL", emulator.url)
            made.direct = client("kinesis", "us-east-1")
            yield made
            made.sink.close()
            assert proxy.problems == []

    yield make


def test_fifty_thousand_events_arrive_once_although_three_in_ten_records_fail(setting: Build) -> None:
    records = encoded(50_000)
    with setting() as at:
        at.proxy.faults.record_failure_rate = 0.3

        outcome = at.sink.put(records, deadline_s=60)

        assert outcome == Outcome()
        assert at.proxy.counts["failed"] > 100
        assert at.ids() == Counter(f"event-{index}" for index in range(50_000))
        assert set(at.proxy.shards_used) == {0, 1, 2, 3}


def test_no_call_breaks_a_limit_of_the_service(setting: Build) -> None:
    big = [record[:-1] + b',"padding":"' + b"x" * 24_000 + b'"}' for record in encoded(600)]
    with setting() as at:
        assert at.sink.put(encoded(1), deadline_s=10) == Outcome()
        assert at.sink.put(big, deadline_s=60) == Outcome()

        assert max(count for count, _ in at.proxy.calls) <= 500
        assert max(size for _, size in at.proxy.calls) <= 4.5 * 1024 * 1024
        assert at.proxy.calls[0][0] == 1


def test_requests_hold_at_most_500_records_and_4_5_mib() -> None:
    small = [packing.Pack(b"x", 0, (index,)) for index in range(1201)]
    large = [packing.Pack(b"x" * 1_000_000, 0, (index,)) for index in range(9)]

    assert [len(request) for request in sink.requests(small)] == [500, 500, 201]
    assert [len(request) for request in sink.requests(large)] == [4, 4, 1]


def test_a_request_says_what_boto3_would_have_written_and_is_signed(setting: Build) -> None:
    entries = [
        {"Data": bytes(range(256)) * size, "PartitionKey": "lane-é", "ExplicitHashKey": str(2**128 - 2)}
        for size in (0, 1, 2, 100)
    ]
    sent: list[AWSPreparedRequest] = []
    with setting() as at:
        for kinesis in (client("kinesis", "us-east-1"), producer("us-east-1")):
            kinesis.meta.events.register("before-send.kinesis.PutRecords", lambda request, **_: sent.append(request))
            assert kinesis.put_records(StreamName=at.stream, Records=entries)["FailedRecordCount"] == 0

    expected, found = sent
    assert json.loads(found.body) == json.loads(expected.body)
    assert found.headers["X-Amz-Target"] == expected.headers["X-Amz-Target"]
    assert found.headers["Content-Length"] == str(len(found.body))
    assert signature(found, secret="local") in text_of(found.headers["Authorization"])


def test_full_shards_are_waited_out_and_never_count_towards_giving_up(setting: Build) -> None:
    with setting(records_per_second=40, bytes_per_second=1e9) as at:
        outcome = at.sink.put(encoded(20_000), deadline_s=60)

        assert outcome == Outcome()
        assert at.proxy.counts["throttled"] > 20
        assert sum(at.ids().values()) == 20_000


def test_throttling_beyond_the_deadline_gives_the_events_back(setting: Build) -> None:
    records = encoded(500)
    with setting() as at:
        at.proxy.faults.is_throttled = True

        outcome = at.sink.put(records, deadline_s=0.5)

        assert outcome.unsent == list(range(500))
        assert "ProvisionedThroughputExceededException" in outcome.reason
        assert not outcome.is_permanent
        assert at.ids() == Counter()


def test_a_lost_answer_repeats_one_call_and_loses_nothing(setting: Build) -> None:
    with setting(shards=1) as at:
        at.proxy.faults.lose_answers = 1

        outcome = at.sink.put(encoded(2000), deadline_s=30)

        copies = at.ids()
        assert outcome == Outcome()
        assert set(copies) == {f"event-{index}" for index in range(2000)}
        assert max(copies.values()) == 2
        assert at.proxy.counts["accepted"] - len(packing.pack(encoded(2000))) == at.proxy.calls[0][0]  # that one call


def test_expired_credentials_are_retried(setting: Build) -> None:
    with setting() as at:
        at.proxy.faults.expired = 5

        assert at.sink.put(encoded(100), deadline_s=30) == Outcome()
        assert sum(at.ids().values()) == 100


def test_an_outage_gives_the_events_back_and_its_end_lets_them_through(setting: Build) -> None:
    records = encoded(300)
    with setting() as at:
        at.proxy.faults.is_down = True
        outcome = at.sink.put(records, deadline_s=0.5)
        assert outcome.unsent == list(range(300))
        at.proxy.faults.is_down = False

        assert at.sink.put([records[index] for index in outcome.unsent], deadline_s=30) == Outcome()
        assert sum(at.ids().values()) == 300


@pytest.mark.parametrize(
    ("code", "status"),
    [("ResourceNotFoundException", 400), ("AccessDeniedException", 400), ("ValidationException", 400)],
)
def test_what_only_the_operator_can_mend_is_given_back_at_once(setting: Build, code: str, status: int) -> None:
    with setting() as at:
        at.proxy.faults.error = (code, status)

        outcome = at.sink.put(encoded(10), deadline_s=60)

        assert outcome.is_permanent
        assert outcome.unsent == list(range(10))
        assert code in outcome.reason


@pytest.mark.parametrize("code", ["KMSThrottlingException", "LimitExceededException", "InternalFailure"])
def test_what_passes_by_itself_is_retried(setting: Build, code: str) -> None:
    with setting() as at:
        at.proxy.faults.error = (code, 400)
        timer = threading.Timer(0.4, setattr, (at.proxy.faults, "error", None))
        timer.start()

        assert at.sink.put(encoded(10), deadline_s=30) == Outcome()
        timer.join()


def test_without_faults_a_persons_events_stand_in_one_shard_in_the_order_they_came(setting: Build) -> None:
    events = sample_events(3000, seed=4)
    with setting() as at:
        for begin in range(0, 3000, 100):
            part = [json.dumps(event).encode() for event in events[begin : begin + 100]]
            assert at.sink.put(part, deadline_s=30) == Outcome()

        found: dict[str, list[int]] = defaultdict(list)
        shards: dict[str, set[str]] = defaultdict(set)
        for shard, records in shard_records(at.direct, at.stream).items():
            for record in records:
                for _, line, _ in packing.unpack(record["Data"]):
                    assert isinstance(line, packing.Line)
                    key = line.user_id or line.anonymous_id or line.session_id or ""
                    found[key].append(int(line.event_id.removeprefix("event-")))
                    shards[key].add(shard)
        assert sum(map(len, found.values())) == 3000
        assert all(len(used) == 1 for used in shards.values())
        assert all(order == sorted(order) for order in found.values())


def test_a_lane_that_stays_throttled_may_go_to_any_shard() -> None:
    placed: list[str] = []

    def full_shard(*, Records: list[dict[str, str]], **_: str) -> dict[str, Any]:  # noqa: N803 (boto3's names)
        placed.extend(record["ExplicitHashKey"] for record in Records)
        is_home = placed[-1] == placed[0]
        return {"Records": [{"ErrorCode": "ProvisionedThroughputExceededException"} if is_home else {}]}

    stuck = KinesisSink(full_shard, "stream", wait=lambda _: None, chance=random.Random(1))

    assert stuck.put(encoded(1), deadline_s=60) == Outcome()
    assert 5 < len(placed) < 10
    stuck.close()


@pytest.mark.parametrize(("taken", "is_moved"), [("none", False), ("one lane", True)])
def test_a_lane_stays_in_its_shard_while_no_shard_takes_anything(taken: str, is_moved: bool) -> None:
    records = encoded(200)
    homes = {packing.hash_key(lane.number) for lane in packing.lanes_of(records)}
    lucky = min(homes) if taken == "one lane" else ""
    placed: list[set[str]] = []

    def throttled(*, Records: list[dict[str, str]], **_: str) -> dict[str, Any]:  # noqa: N803 (boto3's names)
        keys = [record["ExplicitHashKey"] for record in Records]
        placed.append(set(keys))
        full = {"ErrorCode": "ProvisionedThroughputExceededException"}
        return {"Records": [{} if key == lucky or len(placed) > 20 else full for key in keys]}

    one = KinesisSink(throttled, "stream", wait=lambda _: None, chance=random.Random(1))

    assert one.put(records, deadline_s=60) == Outcome()
    assert len(placed) == 21
    assert placed[0] == homes
    assert any(keys - homes for keys in placed) == is_moved
    one.close()


def test_waits_grow_to_five_seconds_with_full_jitter() -> None:
    now, waits = [0.0], []

    def wait(pause_s: float) -> None:
        waits.append(pause_s)
        now[0] += pause_s

    def always_full(*, Records: list[dict[str, str]], **_: str) -> dict[str, Any]:  # noqa: N803 (boto3's names)
        return {"Records": [{"ErrorCode": "InternalFailure"} for _ in Records]}

    refused = KinesisSink(always_full, "stream", clock_s=lambda: now[0], wait=wait, chance=random.Random(2))

    outcome = refused.put(encoded(1), deadline_s=120)

    assert outcome.unsent == [0]
    assert waits[0] <= 0.05
    assert 3 < max(waits) <= 5
    assert min(waits[8:]) < 2.5  # full jitter: also short ones
    assert sum(waits) <= 120
    refused.close()
