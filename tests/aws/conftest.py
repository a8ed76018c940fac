from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from clickstream.aws.local.emulator import Emulator
from clickstream.aws.local.resources import Names


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
