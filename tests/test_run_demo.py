"""`run_demo.sh` finds a Python, installs only when it must, and says what is missing; Python here is a stand-in."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import ROOT

# Does what run_demo.sh asks of a Python, notes each installation, and breaks where a test wants it to.
PYTHON = """#!/bin/sh
case "$*" in
  *version_info*) [ ! -e "$0.old" ] ;;
  *ensurepip*) [ ! -e without-venv ] ;;
  "-m venv .venv") mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
  "-m pip"*) echo "$*" >>installations; [ ! -e without-network ] ;;
  "-m clickstream.demo.arguments"*) shift 2; echo "arguments $*" ;;
  "-m clickstream.demo"*) shift 2; echo "demo $*" ;;
  "-m clickstream.aws.local"*) shift 2; echo "aws $*" ;;
  -V) echo "Python 3.11.2" ;;
esac
"""
TOOLS = ("bash", "env", "dirname", "cksum", "cat", "rm", "uname", "mkdir", "cp", "sh")


class Project:
    """A checkout of which only run_demo.sh matters, and a machine that has few programs."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "project"
        self.programs = directory / "bin"
        self.programs.mkdir()
        for tool in TOOLS:
            where = shutil.which(tool)
            assert where is not None, tool
            (self.programs / tool).symlink_to(where)
        (self.directory / "scripts").mkdir(parents=True)
        for file in ("run_demo.sh", "scripts/venv.sh", "requirements.txt", "requirements-dev.txt"):
            shutil.copy(ROOT / file, self.directory / file)

    def add_python(self, name: str = "python3") -> Path:
        python = self.programs / name
        python.write_text(PYTHON)
        python.chmod(0o755)
        return python

    def touch(self, name: str) -> None:
        (self.directory / name).touch()

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.directory / "run_demo.sh", *arguments],
            env={"PATH": str(self.programs), "DISPLAY": ":0", **variables},
            cwd=self.directory.parent,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )

    def installations(self) -> int:
        noted = self.directory / "installations"
        return len(noted.read_text().splitlines()) if noted.exists() else 0


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_without_python_it_says_how_to_get_one(project: Project) -> None:
    done = project.run()

    assert done.returncode == 1
    assert done.stderr.startswith("Python 3.10 or newer is needed, and none was found.\n")
    assert "apt install python3" in done.stderr


def test_a_too_old_python_is_passed_over_for_a_newer_one(project: Project) -> None:
    old = project.add_python("python3")
    Path(f"{old}.old").touch()
    project.add_python("python3.12")

    assert project.run().stdout.endswith("demo \n")


def test_without_the_venv_module_it_says_what_to_install(project: Project) -> None:
    project.add_python()
    project.touch("without-venv")

    done = project.run()

    assert done.returncode == 1
    assert done.stderr.startswith("Python 3.11.2 is here, but not its venv module.\n")
    assert "apt install python3-venv" in done.stderr


def test_the_first_start_installs_and_the_second_does_not(project: Project) -> None:
    project.add_python()

    first, second = project.run(), project.run()

    assert first.stdout.startswith("First start: installing packages into .venv")
    assert first.stdout.endswith("demo \n")
    assert second.stdout == "demo \n"
    assert project.installations() == 1


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["--aws-local", "--help"]])
def test_help_is_there_before_anything_is_installed(project: Project, arguments: list[str]) -> None:
    project.add_python()

    assert project.run(*arguments).stdout == "arguments --help\n"
    assert project.installations() == 0
    assert not (project.directory / ".venv").exists()


def test_help_needs_no_package() -> None:
    command = [sys.executable, "-S", "-m", "clickstream.demo.arguments", "--help"]  # -S: nothing that was installed
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20, check=True)

    assert done.stdout.startswith("usage: ./run_demo.sh")
    assert "--aws-local" in done.stdout


def test_changed_requirements_are_installed(project: Project) -> None:
    project.add_python()
    project.run()
    with (project.directory / "requirements.txt").open("a") as file:
        file.write("another==1.0\n")

    project.run()

    assert project.installations() == 2


def test_an_installation_that_failed_is_tried_again(project: Project) -> None:
    project.add_python()
    project.touch("without-network")

    failed = project.run()
    (project.directory / "without-network").unlink()
    repeated = project.run()

    assert failed.returncode == 1
    assert "The packages could not be installed" in failed.stderr
    assert repeated.returncode == 0
    assert project.installations() == 2


def test_the_environment_of_another_python_is_made_again(project: Project) -> None:
    project.add_python()
    project.run()
    (project.directory / ".venv/bin/python.old").touch()

    project.run()

    assert project.installations() == 2


def test_options_reach_the_demo(project: Project) -> None:
    project.add_python()
    project.run()

    assert project.run("--duration", "20").stdout == "demo --duration 20\n"


def test_no_browser_is_opened_in_continuous_integration(project: Project) -> None:
    project.add_python()
    project.run()

    assert project.run("--duration", "20", CI="true").stdout == "demo --no-browser --duration 20\n"


def test_a_named_python_is_taken_first(project: Project) -> None:
    broken = project.add_python("python3")
    Path(f"{broken}.old").touch()
    named = project.add_python("my-python")

    assert project.run(PYTHON=str(named)).returncode == 0


@pytest.mark.parametrize("arguments", [("--aws-local", "--duration", "20"), ("--duration", "20", "--aws-local")])
def test_the_emulator_is_asked_for_anywhere_and_said_to_be_what_is_installed(
    project: Project, arguments: tuple[str, ...]
) -> None:
    project.add_python()
    project.run()

    done = project.run(*arguments)

    assert done.stdout.startswith("Installing the AWS emulator and its packages into .venv, once;")
    assert done.stdout.endswith("aws --duration 20\n")


def test_the_packages_are_installed_without_a_demo(project: Project) -> None:
    project.add_python()
    shutil.copy(ROOT / "Makefile", project.directory)
    command = ["/usr/bin/make", "--silent", "venv"]

    done = subprocess.run(
        command, env={"PATH": str(project.programs)}, cwd=project.directory, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert "Installing packages into .venv" in done.stdout
    assert (project.directory / "installations").read_text().count("-r requirements.txt") == 1
    assert "requirements-dev" not in (project.directory / "installations").read_text()
    assert project.run().stdout == "demo \n"  # which has nothing left to install
