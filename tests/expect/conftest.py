"""One platform for the tests of a file, of which each begins with nothing that has come."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from tests.support.platform import Platform, platform


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with platform(tmp_path_factory.mktemp("expect")) as running:
        yield running


@pytest.fixture(autouse=True)
def empty(api: Platform) -> None:
    assert requests.delete(f"{api.url}/expect", timeout=5).status_code == 200
