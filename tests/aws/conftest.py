from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from clickstream.aws.local.emulator import Emulator
from clickstream.aws.local.resources import Names, create
from tests.support.aws_cloud import Cloud
from tests.support.strict_kinesis import StrictKinesis


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    with Emulator() as running:
        yield running


@pytest.fixture
def aws_environment(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in emulator.environment.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def names() -> Names:
    suffix = uuid.uuid4().hex[:8]
    return Names(stream=f"stream-{suffix}", bucket=f"lake-{suffix}", table=f"counters-{suffix}")


@pytest.fixture
def cloud(emulator: Emulator, names: Names, tmp_path: Path) -> Iterator[Cloud]:
    create(names, emulator.connect, shards=2)
    with StrictKinesis(emulator.url, shards=2) as proxy:
        yield Cloud(emulator.url, proxy, names, tmp_path)
        assert proxy.problems == []
