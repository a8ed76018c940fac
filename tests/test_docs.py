"""The documents say what the code does: settings, routes, error codes, links and commands."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shlex
import subprocess
import urllib.request
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import cast

import pytest

import config
from clickstream.errors import RECORD_CODES, REQUEST_CODES
from clickstream.ports import free_port
from tests.support.processes import ROOT, environment, python, running

README = ROOT / "README.md"
API_PAGE = ROOT / "docs" / "api.md"
OPERATIONS = ROOT / "docs" / "operations.md"
IGNORED = {".venv", "node_modules", ".git"}


def documents() -> Iterator[Path]:
    for directory, below, files in os.walk(ROOT):
        below[:] = [name for name in below if name not in IGNORED]  # whose thousands of files nobody need look through
        yield from (Path(directory, name) for name in files if name.endswith(".md"))


DOCUMENTS = sorted(documents())
LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(?:bash|sh|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_every_setting_is_described() -> None:
    text = README.read_text() + OPERATIONS.read_text()
    settings = [field.name.upper() for field in dataclasses.fields(config.Settings)]

    assert [setting for setting in settings if f"`{setting}`" not in text] == []


def test_every_error_code_is_explained() -> None:
    text = API_PAGE.read_text()

    assert [code for code in sorted({*REQUEST_CODES, *RECORD_CODES}) if f"`{code}`" not in text] == []


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    directory = tmp_path_factory.mktemp("api")
    port = free_port()
    env = environment(API_PORT=str(port), EVENTS_FILE=str(directory / "events_backup.json"))
    with running(python("local_api.py"), directory / "log", env=env) as process:
        process.wait_for_http(f"http://127.0.0.1:{port}/ready")
        yield f"http://127.0.0.1:{port}"


def get(url: str) -> dict[str, list[str]]:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return cast("dict[str, list[str]]", json.load(answer))


@pytest.mark.e2e
def test_every_route_is_in_the_api_page_and_in_the_openapi_description(api: str) -> None:
    routes = get(f"{api}/")["endpoints"]
    described = get(f"{api}/openapi.json")["paths"]
    page = API_PAGE.read_text()

    assert len(routes) >= 8
    assert [route for route in routes if route not in described] == []
    assert [route for route in routes if not re.search(rf"`(?:[A-Z]+ )?{re.escape(route)}[`?]", page)] == []
    assert [path for path in described if path not in routes] == []


@pytest.mark.e2e
def test_an_event_takes_on_disk_what_the_documents_say(api: str) -> None:
    command = python("advanced_generator.py", "--backfill", "30d", "--events", "20000", "--seed", "1")
    subprocess.run(command, env=environment(API_URL=api), cwd=ROOT, check=True, capture_output=True, timeout=60)

    with urllib.request.urlopen(f"{api}/metrics", timeout=5) as answer:
        page = answer.read().decode()
    size, records = (
        re.search(rf"^clickstream_journal_{name} (\S+)$", page, re.MULTILINE) for name in ("bytes", "records")
    )
    assert size and records
    said = [*re.findall(r"about (\d+) bytes an event", README.read_text())]
    said += re.findall(r"`advanced_generator.py` takes (\d+) bytes", OPERATIONS.read_text())
    assert [int(one) for one in said] == [pytest.approx(float(size[1]) / float(records[1]), rel=0.02)] * 2


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_inside_the_project_lead_somewhere(document: Path) -> None:
    assert [link for link in LINK.findall(document.read_text()) if not _leads_somewhere(document, link)] == []


def _leads_somewhere(document: Path, link: str) -> bool:
    if re.match(r"[a-z]+:", link):
        return True  # another site: not ours to check, and tests stay on this machine
    file, _, anchor = link.partition("#")
    target = (document.parent / file).resolve() if file else document
    if not target.exists():
        return False
    return not anchor or target.suffix != ".md" or anchor in _anchors(target.read_text())


def _anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ +(.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def commands_in(text: str) -> list[list[str]]:
    """The words of every command in the shell blocks of a document, without prompts, variables and what is printed."""
    commands = []
    for block in FENCE.findall(text):
        joined = block.replace("\\\n", " ")
        prompted = "\n$ " in f"\n{joined}"
        for line in joined.splitlines():
            if prompted and not line.startswith("$ "):
                continue
            words = shlex.split(line.removeprefix("$ "), comments=True)
            while words and re.match(r"[A-Z_]+=", words[0]):
                words.pop(0)
            if words:
                commands.append(words)
    return commands


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_in_shell_blocks_exist_with_their_options(document: Path) -> None:
    assert [problem for words in commands_in(document.read_text()) if (problem := _problem(words))] == []


def _problem(words: list[str]) -> str:
    program, *rest = words
    if program in {"python", "python3", "pytest"} and rest[:2] != ["-m", "venv"]:
        return f"{program}: a fresh machine has none, or one without the packages; write .venv/bin/{program}"
    if program.startswith("./"):
        return "" if os.access(ROOT / program, os.X_OK) else f"{program} is not executable"
    if program == "make":
        targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        return "" if set(rest) <= {*targets} else f"make {rest}: no such target"
    if Path(program).name.startswith("python") and rest:
        return _python_problem(rest)
    return ""


def _python_problem(words: list[str]) -> str:
    if words[0] == "-m" and words[1] == "clickstream":
        target, options = ["-m", "clickstream", *words[2:3]], words[3:]
    elif words[0].endswith(".py"):
        target, options = words[:1], words[1:]
    else:
        return ""
    flags = [option.partition("=")[0] for option in options if option.startswith("--")]
    status, text = _help(tuple(target))
    if status:
        return f"python {' '.join(target)} --help fails"
    unknown = [flag for flag in flags if not re.search(rf"{re.escape(flag)}\b", text)]
    return f"python {' '.join(target)} does not know {unknown}" if unknown else ""


@cache
def _help(target: tuple[str, ...]) -> tuple[int, str]:
    env = environment(COLUMNS="200")
    done = subprocess.run(
        python(*target, "--help"), capture_output=True, text=True, env=env, cwd=ROOT, timeout=30, check=False
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_within_sentences_name_the_python_that_has_the_packages(document: Path) -> None:
    assert re.findall(r"(?<!`)`(?:[A-Z_]+=\S+ )*python3? (?!-m venv)[^`\n]*`", document.read_text()) == []


def test_commands_are_found_in_blocks_with_and_without_prompts() -> None:
    plain = "```bash\nAPI_PORT=1 ./run_demo.sh  # start\n```\n"
    prompted = "```console\n$ make bench\nprinted 1\n$ python a.py \\\n  --x\n```\n"

    assert commands_in(plain + prompted) == [["./run_demo.sh"], ["make", "bench"], ["python", "a.py", "--x"]]


@pytest.mark.parametrize(
    "words",
    [
        ["./nothing.sh"],
        ["make", "nonsense"],
        [".venv/bin/python", "nothing.py"],
        [".venv/bin/python", "-m", "clickstream", "nonsense"],
        [".venv/bin/python", "visualize.py", "--nonsense"],
        ["python", "visualize.py"],
    ],
)
def test_a_command_that_does_not_exist_is_noticed(words: list[str]) -> None:
    assert _problem(words)
