"""What a User-Agent header tells of device, browser and system."""

from __future__ import annotations

import pytest

from clickstream.user_agents import describe
from tests.support.user_agents import USER_AGENTS, Told


@pytest.mark.parametrize(("user_agent", "told"), USER_AGENTS.items())
def test_a_browser_is_known_by_its_user_agent(user_agent: str, told: Told) -> None:
    assert describe(user_agent) == (*told, False)
