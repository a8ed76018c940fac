"""What infra/README.md says about erasing a person, done by its own words on the local stand-ins."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import msgspec
import pytest

from clickstream.aws.clients import client
from clickstream.aws.consumer.table import person_key, session_key, visits_key
from clickstream.aws.lake import Lake
from clickstream.aws.local.delivery import Delivery
from clickstream.aws.sink import KinesisSink
from clickstream.erasure import Person
from tests.support.aws_cloud import Cloud
from tests.support.processes import ROOT

pytestmark = [pytest.mark.aws, pytest.mark.usefixtures("aws_environment")]

README = (ROOT / "infra" / "README.md").read_text()


def event(number: int, **who: str) -> bytes:
    stamp = "2026-01-15T10:30:00.000Z"
    ids = {"event_id": f"e{number}", "event_type": "click", "timestamp": stamp, "received_at": stamp}
    return msgspec.json.encode({**ids, **who})


KEPT = [
    event(0, user_id="u2", anonymous_id="phone"),  # another person on the same device, who says so
    event(1, session_id="nobody"),
    event(2, anonymous_id="laptop"),
]
THEIRS = [
    event(10, user_id="o'neil", anonymous_id="phone", session_id="s1"),
    event(11, anonymous_id="phone", session_id="s1"),
    event(12, user_id="o'neil"),
    event(13, anonymous_id="o'neil", user_id="u3"),
]


def statements() -> tuple[str, str]:
    """What is asked of Athena, and what DuckDB writes anew, for the person and device of this test."""
    find, erase = (
        block.replace("PERSON", "o''neil").replace("DEVICE", "phone")
        for block in re.findall(r"```sql\n(.*?)```", README, re.DOTALL)
    )
    return find, erase


def test_by_the_statements_of_the_readme_a_person_leaves_the_lake_and_nobody_else_does(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3, bucket = client("s3", "us-east-1"), cloud.names.bucket
    assert KinesisSink(cloud.kinesis.put_records, cloud.names.stream).put(KEPT + THEIRS, deadline_s=30).unsent == []
    delivery = Delivery(cloud.kinesis, s3, cloud.names.stream, bucket)
    delivery.take()
    delivery.flush()
    person = Person.seen_in("o'neil", THEIRS)
    assert [person.owns(record) for record in KEPT + THEIRS] == [False] * 3 + [True] * 4
    find, erase = statements()
    monkeypatch.chdir(tmp_path)
    lake = Lake(s3, bucket)

    (key,) = lake.keys()
    s3.download_file(bucket, key, "old.parquet")
    table = "read_parquet('old.parquet', filename = true)"
    asked = find.replace('"$path"', "filename").replace("FROM events", f"FROM {table}")
    found = duckdb.sql(asked).fetchall()
    assert {row[2] for row in found} == {"phone", "o'neil", None}
    assert {row[3] for row in found} == {"s1", None}
    assert sum(row[4] for row in found) == 4

    duckdb.execute(erase)
    s3.upload_file("new.parquet", bucket, key.replace(".parquet", "-erased.parquet"))
    s3.delete_object(Bucket=bucket, Key=key)

    assert sorted(map(msgspec.json.decode, lake.records()), key=str) == sorted(
        ({**msgspec.json.decode(record), "properties": {}} for record in KEPT), key=str
    )


def test_the_items_that_the_readme_names_are_those_of_the_counters() -> None:
    assert "`person#ID`, `visits#ID`, `session#SESSION`" in README
    assert '{"pk":{"S":"person#PERSON"},"sk":{"S":"state"}}' in README
    assert (person_key("ID"), visits_key("ID"), session_key("SESSION")) == (
        ("person#ID", "state"),
        ("visits#ID", "state"),
        ("session#SESSION", "state"),
    )
