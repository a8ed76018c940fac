"""Audits by axe-core and lighthouse from npm; they are installed by `npm ci --ignore-scripts` in this folder."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.support.chromium import FLAGS, PATH
from tests.support.processes import environment

DEFAULT_SLOWDOWN = 4.0
PHONE_INDEX = 400  # "mid-tier mobile" is 125 to 800
MODULES = Path(__file__).parent / "node_modules"
needed = pytest.mark.skipif(
    not MODULES.is_dir(), reason="axe-core and lighthouse are not installed: npm ci --ignore-scripts in tests/browser"
)


def axe_violations(tab: Page) -> list[str]:
    """What axe finds wrong in the page as it stands, one line each."""
    # The page's policy allows no foreign script: axe is evaluated by the debugger, as playwright does all the time.
    if tab.evaluate("typeof axe == 'undefined'"):
        tab.evaluate((MODULES / "axe-core" / "axe.min.js").read_text())
    found: dict[str, Any] = tab.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{violation['id']}: {violation['help']}: {[node['html'][:120] for node in violation['nodes'][:3]]}"
        for violation in found["violations"]
    ]


class AuditBrokeOff(Exception):
    """Lighthouse ended without a report of its own; the text is what it printed."""


def slowdown(report: Mapping[str, Any]) -> float:
    """How many times the machine of `report`, as fast as it was then, is faster than the phone that is meant.

    Lighthouse's default of four takes a machine of 1,600 or more for granted, and asks those that are slower to use a
    smaller one: https://github.com/GoogleChrome/lighthouse/blob/main/docs/throttling.md#calibrating-the-cpu-slowdown
    """
    index: float = report["environment"]["benchmarkIndex"]
    return max(1.0, min(DEFAULT_SLOWDOWN, index / PHONE_INDEX))


def lighthouse(url: str, report: Path, *, phone: bool, slowdown: float = DEFAULT_SLOWDOWN) -> dict[str, Any]:
    """Lighthouse's report on `url`, as a desktop or a phone has it; raises `AuditBrokeOff`."""
    command = [
        "node",
        str(MODULES / "lighthouse" / "cli" / "index.js"),
        url,
        "--quiet",
        "--output=json",
        f"--output-path={report}",
        "--only-categories=performance,accessibility,best-practices,seo",
        "--disable-full-page-screenshot",  # a picture for readers of the report, of which there are none
        f"--chrome-flags=--headless=new {' '.join(FLAGS)}",
        *([f"--throttling.cpuSlowdownMultiplier={slowdown:.2f}"] if phone else ["--preset=desktop"]),
    ]
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        timeout=180,
        env=environment(CHROME_PATH=PATH, HOME=str(report.parent)),
    )
    if done.returncode != 0:
        raise AuditBrokeOff(f"lighthouse ended with {done.returncode}: {done.stdout}{done.stderr}")
    found: dict[str, Any] = json.loads(report.read_text())
    return found
