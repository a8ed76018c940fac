"""What ENV=aws costs in a month: quantities that follow from the traffic, times list prices."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from clickstream.aws import prices
from clickstream.aws.packing import MAX_PACK_BYTES

SECONDS: Final = 730 * 3600  # of a month
_GB: Final = 1024**3
_WIRE_OVERHEAD: Final = 1.1  # wire form 1 against the stored event
_PARQUET_SHARE: Final = 0.25  # Snappy against JSON; measured on simulated shoppers it is 0.15 to 0.3
_RECONCILED_SHARE: Final = 0.3  # of the bytes of an event in Parquet are its id and time; a guess
_LANES_BUSY: Final = 64
_LEAST_SHARDS: Final = 4  # of a stream on demand
_READ_UNIT: Final = 4096  # bytes, read consistently
_REFRESHES: Final = SECONDS  # an API host reads the counters each second
# Measured on simulated shoppers: 0.8 KB at 30 events a minute, 2.7 KB at 100, 4.9 KB at 750, 6.3 KB at most.
_MINUTE_BYTES: Final = 5000
_MINUTE_BYTES_PER_EVENT: Final = 25
_STATE_BYTES: Final = 9000  # totals of a shard, its top lists and digests
_GROUPS_PER_SECOND: Final = 20.0  # group commits under load; at low rates each event is its own


@dataclass(frozen=True, slots=True)
class Traffic:
    """What comes in."""

    events_per_second: float
    event_bytes: float
    events_per_session: float
    queries_per_day: float
    has_flink: bool = False

    @property
    def events(self) -> float:
        """Events a month."""
        return self.events_per_second * SECONDS

    @property
    def packs(self) -> float:
        """Records of the stream a month: packs fill up only as far as a group commit has events for their lane."""
        by_group = self.events_per_second / min(self.events_per_second, _GROUPS_PER_SECOND * _LANES_BUSY)
        full = MAX_PACK_BYTES / (self.event_bytes * _WIRE_OVERHEAD)
        return self.events / min(max(by_group, 1.0), full)

    @property
    def shards(self) -> float:
        """A stream on demand has room for twice the traffic; a shard takes 1 MiB and 1,000 records a second."""
        bytes_per_second = self.events_per_second * self.event_bytes * _WIRE_OVERHEAD
        busiest = max(bytes_per_second / 1024**2, self.packs / SECONDS / 1000)
        return min(max(_LEAST_SHARDS, 2 * busiest), _LANES_BUSY)


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the bill."""

    name: str
    quantity: float
    unit: str
    price: prices.Price

    @property
    def usd(self) -> float:
        """Quantity times price."""
        return self.quantity * self.price.usd


def estimate(traffic: Traffic) -> list[Item]:
    """The bill, largest first."""
    items = [*_stream(traffic), *_lake(traffic), *_counters(traffic), *_rest(traffic)]
    return sorted(items, key=lambda item: -item.usd)


def _stream(traffic: Traffic) -> list[Item]:
    gigabytes = traffic.events * traffic.event_bytes * _WIRE_OVERHEAD / _GB
    # Kinesis and Firehose bill each record as a multiple of 1 KB and 5 KB.
    record_bytes = traffic.events * traffic.event_bytes * _WIRE_OVERHEAD / traffic.packs
    kinesis_gb = traffic.packs * max(1.0, record_bytes / 1024) * 1024 / _GB
    firehose_gb = traffic.packs * max(1.0, record_bytes / 5120) * 5120 / _GB
    return [
        Item("Kinesis on-demand, stream hours", 730, "h", prices.STREAM_HOUR),
        Item("Kinesis on-demand, in", kinesis_gb, "GB", prices.STREAM_IN_GB),
        Item("Kinesis on-demand, out (2 readers)", 2 * gigabytes, "GB", prices.STREAM_OUT_GB),
        Item("Kinesis retention beyond 24 h", gigabytes / 730 * 48, "GB-month", prices.STREAM_RETENTION_GB),
        Item("Firehose, in", firehose_gb, "GB", prices.FIREHOSE_IN_GB),
        Item("Firehose, Parquet conversion", firehose_gb, "GB", prices.FIREHOSE_CONVERSION_GB),
    ]


def _lake(traffic: Traffic) -> list[Item]:
    stored = traffic.events * traffic.event_bytes * _PARQUET_SHARE / _GB
    objects = max(730 * 12.0, stored * 8)  # one every 5 minutes or 128 MB
    scanned_tb = stored / 30 * traffic.queries_per_day * 30 / 1024
    # Every hour the reconciliation reads two of ten columns, of two days.
    reconciled_tb = stored / 30 * 2 * _RECONCILED_SHARE * 730 / 1024
    return [
        Item("S3, the first month's events", stored, "GB", prices.S3_GB),
        Item("S3, objects written", objects / 1000, "k", prices.S3_THOUSAND_PUTS),
        Item("Athena, scanned", scanned_tb, "TB", prices.ATHENA_TB),
        Item("Athena, scanned by the reconciliation", reconciled_tb, "TB", prices.ATHENA_TB),
    ]


def _counters(traffic: Traffic) -> list[Item]:
    sessions = traffic.events / traffic.events_per_session
    # A session and its person are written about once a minute while it lasts, some six times in all; every
    # write in a transaction counts twice. Each transaction adds the shard's totals and a minute, about 12 KB.
    entity_writes = sessions * 6 * 2 * 2
    transactions = (
        min(traffic.events / 80, SECONDS / 2 * max(1.0, traffic.events_per_second / 1000)) + entity_writes / 320
    )
    invocations = min(traffic.packs, SECONDS / 2 * max(1.0, traffic.events_per_second / 1000))
    # Each delivery leaves the position from which it went on.
    writes = entity_writes + transactions * 12 * 2 + invocations * 2
    return [
        Item("DynamoDB, write units", writes / 1e6, "M", prices.DYNAMODB_MILLION_WRITES),
        Item("DynamoDB, read units", writes / 2 / 1e6, "M", prices.DYNAMODB_MILLION_READS),
        Item("DynamoDB, read units of one API host", _units_shown(traffic) / 1e6, "M", prices.DYNAMODB_MILLION_READS),
        Item("Lambda, requests", invocations / 1e6, "M", prices.LAMBDA_MILLION_REQUESTS),
        Item("Lambda, 512 MB for 0.3 s", invocations * 0.3 * 0.5, "GB-s", prices.LAMBDA_GB_SECOND),
    ]


def _units_shown(traffic: Traffic) -> float:
    """What /stats costs, asked for or not: each second the shards' totals, and all minutes of an hour that changed."""
    totals = 1 + traffic.shards * math.ceil(_STATE_BYTES / _READ_UNIT)
    events = traffic.events_per_second * 60 / traffic.shards  # a minute in a shard
    minute = min(_MINUTE_BYTES, 100 + _MINUTE_BYTES_PER_EVENT * events)
    hour = 30 * traffic.shards * minute / _READ_UNIT  # on average half of it has happened
    has_changed = min(1.0, traffic.events_per_second)
    return _REFRESHES * (totals + has_changed * hour)


def _rest(traffic: Traffic) -> list[Item]:
    items = [
        Item("CloudWatch, alarms", 21, "alarms", prices.ALARM),
        Item("CloudWatch, own metrics", 12, "metrics", prices.METRIC),
        Item("CloudWatch, calls of one API host", 730 * 60 / 1000, "k", prices.THOUSAND_METRIC_CALLS),
        Item("CloudWatch, dashboard", 1, "", prices.DASHBOARD),
        Item("KMS key", 1, "", prices.KMS_KEY),
    ]
    if traffic.has_flink:
        # One for the application and one that AWS adds; only the first has storage.
        items.append(Item("Managed Flink, 2 KPU", 730 * 2, "KPU-h", prices.FLINK_KPU_HOUR))
        items.append(Item("Managed Flink, running storage", 50, "GB-month", prices.FLINK_STORAGE_GB))
    return items
