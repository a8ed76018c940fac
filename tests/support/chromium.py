"""How tests and the picture command start Chromium: nothing of it may reach the network."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, Playwright

PATH: Final = "/usr/bin/chromium"
# The same engine without the windows, bars and profiles of the whole browser: a page costs a quarter less.
_SHELL: Final = "/usr/bin/chromium-headless-shell"
FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--renderer-process-limit=1",  # no spare process beside each page for a next one, a sixth of what a page costs
)


def launch(playwright: Playwright) -> Browser:
    """A headless Chromium of the system: its shell where that is installed."""
    path = _SHELL if Path(_SHELL).exists() else PATH
    return playwright.chromium.launch(executable_path=path, args=list(FLAGS))
