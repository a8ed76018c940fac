"""A Python without the packages, and what programs say about how to start them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from clickstream import packages, place
from tests.support.processes import ROOT, environment

PROGRAMS = [
    ["local_api.py"],
    ["dashboard.py"],
    ["data_generator.py", "--rate", "5"],
    ["advanced_generator.py"],
    ["visualize.py", "--watch"],
    ["-m", "clickstream", "verify", "events_backup.json"],
    ["-m", "clickstream.demo"],
]


@pytest.mark.parametrize("words", PROGRAMS, ids=" ".join)
def test_a_program_started_by_a_python_without_the_packages_says_in_a_sentence_what_to_do(words: list[str]) -> None:
    # -S leaves site-packages out: the standard library and this directory are all that such a Python has.
    command = [sys.executable, "-S", *words]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), cwd=ROOT, timeout=20, check=False)

    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "does not have the packages that this needs (flask, msgspec, httptools and 6 more)" in done.stderr
    assert done.stderr.endswith(f"start it as .venv/bin/python -S {' '.join(words)}\n")


def test_without_an_environment_it_is_said_how_to_make_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop").mkdir()

    here = packages.remedy(["flask"], ["local_api.py"], tmp_path)
    below = packages.remedy(["flask"], ["local_api.py"], tmp_path / "shop")

    assert here.endswith("(flask): install them with `make venv`, then start it as .venv/bin/python local_api.py")
    assert "`make -C shop venv`, then start it as shop/.venv/bin/python local_api.py" in below


def test_every_package_of_the_product_is_looked_for() -> None:
    named = re.findall(r"^([a-z][a-z0-9-]*)", (ROOT / "requirements.in").read_text(), re.MULTILINE)

    assert {name.replace("-", "_") for name in named} == {*packages.NEEDED, "boto3", "pytest", "tzdata"}


def test_a_remedy_names_the_python_that_runs_as_it_can_be_typed_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(ROOT / ".venv" / "bin" / "python"))

    monkeypatch.chdir(ROOT)
    assert place.command("local_api.py") == ".venv/bin/python local_api.py"
    assert place.module("clickstream", "verify", "my file") == ".venv/bin/python -m clickstream verify 'my file'"
    monkeypatch.chdir(tmp_path)
    assert place.command("local_api.py") == f"{ROOT}/.venv/bin/python {ROOT}/local_api.py"
