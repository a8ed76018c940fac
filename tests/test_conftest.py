"""What cannot run is listed with its reason, and is a failure in continuous integration."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import LONGEST
from tests.support.processes import ROOT, environment, python

SKIPPING = """
import pytest
def test_that_needs_a_browser():
    pytest.skip("no Chromium found")
@pytest.mark.skip(reason="needs root")
def test_that_needs_root():
    raise AssertionError
def test_that_runs():
    assert True
"""
BROWSING = """
def test_with_a_page(browser):
    browser.new_page().close()
"""
OWN_LOOP = """
import asyncio
def test_with_a_loop_of_its_own():
    asyncio.run(asyncio.sleep(0))
"""
MEASURING = """
import pytest
@pytest.mark.measures
def test_that_measures():
    assert True
def test_that_does_not():
    assert True
"""
SKIPPING_MODULE = """
import pytest
pytest.importorskip("a_module_that_nobody_has")
"""


def run_pytest(directory: Path, source: str, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    shutil.copy(ROOT / "tests" / "conftest.py", directory)
    (directory / "test_sample.py").write_text(source)
    (directory / "pytest.ini").write_text("[pytest]\ntestpaths = .\nmarkers = measures\n")
    command = python("-m", "pytest", "-q", "-p", "no:cacheprovider", *options)
    env = environment(PYTEST_DISABLE_PLUGIN_AUTOLOAD="1", **variables)  # none is needed, and they cost half of a start
    return subprocess.run(command, cwd=directory, env=env, capture_output=True, text=True, timeout=60, check=False)


def test_what_was_not_run_is_listed_with_its_reason(tmp_path: Path) -> None:
    done = run_pytest(tmp_path, SKIPPING)

    assert done.returncode == 0
    assert "NOT RUN" in done.stdout
    assert "   1 test   no Chromium found" in done.stdout
    assert "   1 test   needs root" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("1 passed, 2 skipped")


@pytest.mark.parametrize("source", [SKIPPING, SKIPPING_MODULE])
def test_in_continuous_integration_nothing_may_be_skipped(tmp_path: Path, source: str) -> None:
    done = run_pytest(tmp_path, source, CI="true")

    assert done.returncode != 0
    assert "may not be skipped in CI" in done.stdout


@pytest.mark.browser
def test_the_browser_of_a_file_leaves_no_event_loop_to_the_next(tmp_path: Path) -> None:
    (tmp_path / "test_browsing.py").write_text(BROWSING)

    done = run_pytest(tmp_path, OWN_LOOP, PYTHONPATH=str(ROOT))

    assert done.stdout.splitlines()[-1].startswith("2 passed"), done.stdout


def test_of_all_files_only_those_that_measure_are_imported_for_what_measures(tmp_path: Path) -> None:
    (tmp_path / "test_other.py").write_text("raise AssertionError('imported')")

    alone = run_pytest(tmp_path, MEASURING, "--measuring", "only")
    named = run_pytest(tmp_path, MEASURING, "--measuring", "only", "test_other.py")

    assert alone.stdout.splitlines()[-1].startswith("1 passed, 1 deselected"), alone.stdout
    assert "AssertionError: imported" in named.stdout


def test_failed_static_checks_are_repeated_above_the_closing_line(tmp_path: Path) -> None:
    done = run_pytest(tmp_path, "def test_that_runs(): assert True", FAILED_BEFORE="static checks")

    assert "STATIC CHECKS FAILED (see above)" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("1 passed")


def test_the_files_that_begin_early_exist() -> None:
    assert [file for file in LONGEST if not (ROOT / file).is_file()] == []


def test_quick_files_come_first_and_then_those_that_take_longest() -> None:
    some = [LONGEST[1], "tests/test_restart.py", "tests/test_bodies.py", LONGEST[0]]
    command = python("-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *some)
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=60, check=True)

    files = dict.fromkeys(line.partition("::")[0] for line in done.stdout.splitlines() if "::" in line)

    assert list(files) == ["tests/test_bodies.py", LONGEST[0], LONGEST[1], "tests/test_restart.py"]
