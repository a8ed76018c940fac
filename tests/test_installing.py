"""`pip install PATH`: the package, its command and its pytest plugin work in a project that is not this one."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import ROOT, environment, python

pytestmark = pytest.mark.e2e

TEST = """
import requests

def test_an_order_is_tracked(clickstream_api):
    requests.post(clickstream_api.url + "/events", json={"event_type": "purchase", "user_id": "u"})
    clickstream_api.expect(event_type="purchase")
    for path in ("/docs", "/tracker.js", "/openapi.json"):
        assert requests.get(clickstream_api.url + path).status_code == 200, path
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("installed")
    # What it depends on is here already: only the build and what comes out of it are looked at, without a network.
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check", "--target", directory]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, ROOT], check=True, timeout=120)
    return directory


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project that has modules of its own under the names of ours."""
    (tmp_path / "config.py").write_text("raise SystemExit('config.py of the shop')")
    (tmp_path / "api.py").write_text("raise SystemExit('api.py of the shop')")
    (tmp_path / "test_shop.py").write_text(TEST)
    return tmp_path


def run(project: Path, installed: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = environment(PYTHONPATH=str(installed))
    command = python("-m", *words)
    return subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=project, env=env, check=False)


@pytest.mark.parametrize("options", [[], ["-p", "clickstream.testing"]], ids=["found", "named"])
def test_the_plugin_works_in_another_project(project: Path, installed: Path, options: list[str]) -> None:
    done = run(project, installed, "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", ".", *options)

    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_the_command_works_in_another_project(project: Path, installed: Path) -> None:
    done = run(project, installed, "clickstream", "expect", "--api-url", "http://127.0.0.1:9", "event_type=click")

    assert done.returncode == 2
    assert "nothing answers at http://127.0.0.1:9" in done.stderr


def test_only_one_name_is_installed(installed: Path) -> None:
    names = {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")}

    assert names - {"bin"} == {"clickstream"}


def test_what_it_needs_is_what_requirements_in_names(installed: Path) -> None:
    (metadata,) = installed.glob("clickstream-*.dist-info/METADATA")
    needed = re.findall(r"^Requires-Dist: (\S+)$", metadata.read_text(), re.MULTILINE)
    named = re.findall(r"^[a-z][a-z0-9-]*$", (ROOT / "requirements.in").read_text(), re.MULTILINE)

    assert sorted(needed) == sorted(named)


def test_pytest_says_its_options_in_an_environment_of_the_product_alone() -> None:
    without = "import sys; sys.modules['playwright'] = None; import pytest; sys.exit(pytest.main(['--help']))"
    command = python("-c", without)
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT, env=environment(), check=False)

    assert done.returncode == 0, done.stderr
    assert "--external" in done.stdout
