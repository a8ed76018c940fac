"""What a User-Agent header tells: device, browser, system, and whether a bot wrote it."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

# The order decides: Edge and Opera also say Chrome, Chrome also says Safari.
_BROWSERS: Final = (
    ("Edge", re.compile(r"Edg(?:e|A|iOS)?/")),
    ("Opera", re.compile(r"OP[RTX]/|Opera")),
    ("Samsung Internet", re.compile(r"SamsungBrowser/")),
    ("Firefox", re.compile(r"Firefox/|FxiOS/")),
    ("Chrome", re.compile(r"Chrome/|CriOS/|Chromium/")),
    ("Safari", re.compile(r"Safari/")),
)
_SYSTEMS: Final = (
    ("iOS", re.compile(r"iPhone|iPad|iPod")),
    ("Android", re.compile(r"Android")),
    ("Windows", re.compile(r"Windows")),
    ("Chrome OS", re.compile(r"CrOS")),
    ("macOS", re.compile(r"Mac OS X|Macintosh")),
    ("Linux", re.compile(r"Linux")),
)
_TABLET: Final = re.compile(r"iPad|Tablet|Android(?!.*Mobile)")
_MOBILE: Final = re.compile(r"Mobi|iPhone|iPod")
_BOT: Final = re.compile(
    r"bot\b|bot/|crawl|spider|slurp|facebookexternalhit|headlesschrome|phantomjs|lighthouse|pingdom|"
    r"monitor|preview|archiver|scrapy",
    re.IGNORECASE,
)


class Agent(NamedTuple):
    """The words of a User-Agent in the standard property names; None is unknown."""

    device: str | None
    browser: str | None
    os: str | None
    is_bot: bool


@lru_cache(maxsize=4096)
def describe(user_agent: str) -> Agent:
    """Read `user_agent`; anything but a browser has no device."""
    is_bot = _BOT.search(user_agent) is not None
    if not user_agent.startswith("Mozilla/"):
        return Agent(None, None, None, is_bot)
    device = "tablet" if _TABLET.search(user_agent) else "mobile" if _MOBILE.search(user_agent) else "desktop"
    return Agent(device, _first(_BROWSERS, user_agent), _first(_SYSTEMS, user_agent), is_bot)


def _first(patterns: tuple[tuple[str, re.Pattern[str]], ...], user_agent: str) -> str | None:
    return next((name for name, pattern in patterns if pattern.search(user_agent)), None)
