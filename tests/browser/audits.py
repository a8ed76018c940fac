"""Audits by axe-core and lighthouse from npm; they are installed by `npm ci --ignore-scripts` in this folder."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.support.chromium import FLAGS, PATH
from tests.support.processes import environment

MODULES = Path(__file__).parent / "node_modules"
needed = pytest.mark.skipif(
    not MODULES.is_dir(), reason="axe-core and lighthouse are not installed: npm ci --ignore-scripts in tests/browser"
)


def axe_violations(tab: Page) -> list[str]:
    """What axe finds wrong in the page as it stands, one line each."""
    # The page's policy allows no foreign script: axe is evaluated by the debugger, as playwright does all the time.
    tab.evaluate((MODULES / "axe-core" / "axe.min.js").read_text())
    found: dict[str, Any] = tab.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{violation['id']}: {violation['help']}: {[node['html'][:120] for node in violation['nodes'][:3]]}"
        for violation in found["violations"]
    ]


class AuditBrokeOff(Exception):
    """Lighthouse ended without a report of its own; the text is what it printed."""


def lighthouse(url: str, report: Path, *, phone: bool) -> dict[str, Any]:
    """Lighthouse's report on `url`; raises `AuditBrokeOff`."""
    command = [
        "node",
        str(MODULES / "lighthouse" / "cli" / "index.js"),
        url,
        "--quiet",
        "--output=json",
        f"--output-path={report}",
        "--only-categories=performance,accessibility,best-practices,seo",
        f"--chrome-flags=--headless=new {' '.join(FLAGS)}",
        *([] if phone else ["--preset=desktop"]),
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
