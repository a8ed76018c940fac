"""The order of the tests, a loud list of what was not run, and no skipping in continuous integration."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections import defaultdict
from collections.abc import Generator, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SLOW_MARKERS = ("aws", "sdk", "e2e", "browser", "crash")
# Files that take long are begun first, what computes beside what waits: nobody shall wait for one of them at the end.
LONGEST = (
    "tests/browser/test_states.py",
    "tests/browser/test_questions_states.py",
    "tests/browser/test_questions.py",
    "tests/browser/test_questions_visits.py",
    "tests/test_crash.py",
    "tests/test_mutants.py",
    "tests/test_advanced_generator.py",
    "tests/test_analytics_api.py",
    "tests/browser/test_live_page.py",
    "tests/test_erasure.py",
    "tests/test_demo.py",
    "tests/browser/test_soak.py",
    "tests/test_stop.py",
    "tests/test_openapi.py",
    "tests/browser/test_questions_properties.py",
    "tests/test_tracker.py",
    "tests/test_sdk_servers.py",
    "tests/test_http_hostile.py",
    "tests/test_benchmarks.py",
    "tests/test_sdk_browsers.py",
    "tests/aws/test_aws_stop.py",
    "tests/test_any_order.py",
)
SDK_PACKAGES = Path(__file__).parent / "sdk" / "node_modules"


def pytest_configure() -> None:
    """Take signals that shells and nohup have background jobs ignore: the programs under test would inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # go on without the terminal, but let them be ended by it
        signal.signal(signal.SIGHUP, lambda *_: None)
    if find_spec("hypothesis") is not None:  # an environment of the product alone does not have it
        from hypothesis import HealthCheck, Phase, settings

        # How fast examples are drawn says how busy the machine is.
        settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
        # Where it matters only that a test fails, nobody reads the smallest example that makes it fail.
        unread = (Phase.shrink, Phase.explain)
        kept = [phase for phase in Phase if phase not in unread]
        settings.register_profile("whether it fails", settings.get_profile("busy"), phases=kept)
        settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "busy"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium for the tests of a file.

    It ends with the file: the event loop of synchronous Playwright counts as running for as long as there is one, and
    beside it the tests of another file could run none of their own.
    """
    from playwright.sync_api import sync_playwright  # an environment of the product alone does not have it

    from tests.support.chromium import launch

    with sync_playwright() as playwright:
        running = launch(playwright)
        yield running
        running.close()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer --external: PyFlink (844 MB, Java) and ministack pin other packages and need environments of their own.

    And --measuring: what says how long something takes says it of the whole machine, so it is run by itself.
    """
    parser.addoption("--external", action="store_true", help="run the tests marked external too")
    parser.addoption("--measuring", choices=["no", "only"], help="leave out the tests marked measures, or all others")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Where all files are asked for what measures, those that do not name the marker need not be imported."""
    if config.getoption("measuring") != "only" or config.args_source is not pytest.Config.ArgsSource.TESTPATHS:
        return None
    return (collection_path.match("test_*.py") and "mark.measures" not in collection_path.read_text()) or None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Fast tests first, so that a plain mistake shows within seconds; skip what this machine lacks the means for."""
    if not config.getoption("external"):
        _keep(config, items, marked="external", wanted=False)
    if config.getoption("measuring"):
        _keep(config, items, marked="measures", wanted=config.getoption("measuring") == "only")
    items.sort(key=_turn)
    lacking = _lacking()
    for item in items:
        for marker, reason in lacking.items():
            if item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=reason))


def _keep(config: pytest.Config, items: list[pytest.Item], *, marked: str, wanted: bool) -> None:
    left_out = [item for item in items if bool(item.get_closest_marker(marked)) is not wanted]
    items[:] = [item for item in items if bool(item.get_closest_marker(marked)) is wanted]
    config.hook.pytest_deselected(items=left_out)


def _turn(item: pytest.Item) -> tuple[bool, int]:
    file = item.nodeid.partition("::")[0]
    is_slow = any(item.get_closest_marker(marker) for marker in SLOW_MARKERS)
    return is_slow or file in LONGEST, LONGEST.index(file) if file in LONGEST else len(LONGEST)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Twice as many workers as processors: a test waits for half of its time, for a disk, a poll or a timeout."""
    return (os.cpu_count() or 1) * 2


def _lacking() -> dict[str, str]:
    lacking = {}
    if not Path("/usr/bin/chromium").exists():
        lacking["browser"] = "there is no /usr/bin/chromium"
    if _node_version() < 20:
        lacking["sdk"] = "node 20 or newer is not installed"
    elif not SDK_PACKAGES.is_dir():
        lacking["sdk"] = "the SDKs are not installed: npm ci --ignore-scripts in tests/sdk"
    return lacking


def _node_version() -> int:
    node = shutil.which("node")
    if node is None:
        return 0
    version = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
    return int(version.removeprefix("v").partition(".")[0] or 0)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In continuous integration a test that cannot run is a failure: what is not proved there is proved nowhere."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} may not be skipped in CI: {_reason(report)}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a whole module that skips itself."""
    report = yield
    if report.skipped and os.environ.get("CI"):
        report.outcome = "failed"
        report.longrepr = f"{collector.nodeid} may not be skipped in CI: {_reason(report)}"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was not run and why, above the closing line."""
    reasons: dict[str, int] = defaultdict(int)
    for report in terminalreporter.stats.get("skipped", []):
        reasons[_reason(report)] += 1
    if reasons:
        terminalreporter.section("NOT RUN", sep="!", yellow=True, bold=True)
        for reason, count in sorted(reasons.items(), key=lambda row: -row[1]):
            terminalreporter.line(f"{count:4} test{'s' if count > 1 else ' '}  {reason}", yellow=True)
    if failed := os.environ.get("FAILED_BEFORE"):
        terminalreporter.section(f"{failed.upper()} FAILED (see above)", sep="!", red=True, bold=True)


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    longrepr = report.longrepr
    text = longrepr[2] if isinstance(longrepr, tuple) else str(longrepr)
    return text.removeprefix("Skipped: ")
