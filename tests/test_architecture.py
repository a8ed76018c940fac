"""Imports point one way, the environment is read in one place, and importing a module does nothing."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import ROOT, environment, python

SCRIPTS = {"local_api", "dashboard", "data_generator", "advanced_generator", "visualize"}
PACKAGES = ("api", "web", "clickstream")
PRODUCT = sorted([*ROOT.glob("*.py"), *(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))])
# Processes that live in the package so that `python -m` finds them: as scripts they may read the settings.
MAY_IMPORT_CONFIG = {"clickstream/demo/__main__.py", "clickstream/__main__.py"}
AWS = ("boto3", "botocore", "aiobotocore")


def broken_rules(name: str, source: str) -> list[str]:
    """What the file called `name` (relative to the project) does against the rules, each with its line."""
    tree = ast.parse(source)
    return [f"{name}:{line}: {what}" for line, what in [*_imports(name, tree), *_environment(name, tree)]]


def _imports(name: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    in_package = name.startswith("clickstream/")
    lazily = {id(node) for part in ast.walk(tree) if _defers(part) for node in ast.walk(part)}
    for node in ast.walk(tree):
        for module in _imported(node):
            top = module.partition(".")[0]
            line = getattr(node, "lineno", 0)
            if top in SCRIPTS and top != Path(name).stem:
                yield line, f"imports the script {top}"
            if in_package and top in {"flask", "werkzeug"}:
                yield line, "imports Flask in the package"
            if in_package and top == "config" and name not in MAY_IMPORT_CONFIG:
                yield line, "imports config in the package"
            if top in AWS and not name.startswith("clickstream/aws/"):
                yield line, f"imports {top} outside clickstream/aws"
            if top in AWS and id(node) not in lazily:
                yield line, f"imports {top} when it is imported itself"


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [node.module or ""]
    return []


def _defers(node: ast.AST) -> bool:
    only_for_types = isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
    return only_for_types or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))


def _environment(name: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    if name == "config.py":
        return
    for node in ast.walk(tree):
        reads = isinstance(node, ast.Attribute) and ast.unparse(node) in {"os.environ", "os.getenv", "os.environb"}
        names = (
            {alias.name for alias in node.names} if isinstance(node, ast.ImportFrom) and node.module == "os" else set()
        )
        if reads or names & {"environ", "getenv"}:
            yield getattr(node, "lineno", 0), "reads the environment outside config.py"


@pytest.mark.parametrize("path", PRODUCT, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_keeps_the_rules_of_the_architecture(path: Path) -> None:
    assert broken_rules(path.relative_to(ROOT).as_posix(), path.read_text()) == []


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("clickstream/pipeline.py", "import flask"),
        ("clickstream/wire/segment.py", "from flask import request"),
        ("clickstream/pipeline.py", "from config import Settings"),
        ("clickstream/pipeline.py", "def late():\n    import config"),
        ("clickstream/pipeline.py", "import os\nlevel = os.environ['LOG_LEVEL']"),
        ("clickstream/pipeline.py", "from os import getenv"),
        ("local_api.py", "import os\nport = os.getenv('API_PORT')"),
        ("local_api.py", "def late():\n    import boto3"),
        ("dashboard.py", "from local_api import create_app"),
        ("clickstream/backends/local.py", "import botocore.exceptions"),
        ("clickstream/aws/kinesis.py", "import boto3"),
    ],
)
def test_a_breach_is_noticed(name: str, source: str) -> None:
    assert len(broken_rules(name, source)) >= 1


def test_what_is_allowed_is_not_reported() -> None:
    lazy = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import botocore\ndef client():\n    import boto3"

    assert broken_rules("clickstream/aws/kinesis.py", lazy) == []
    assert broken_rules("local_api.py", "import flask\nimport config\nfrom clickstream import pipeline") == []


# Runs in a process of its own, because this one has imported the modules already.
WATCH_IMPORTS = """
import importlib, logging, sys, threading
happened = []
def watch(event, args):
    writes = event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+")
    changes = ("socket.", "subprocess.", "os.mkdir", "os.rename", "os.remove", "os.fork", "os.kill")
    if writes or event.startswith(changes):
        happened.append((event, args))
sys.dont_write_bytecode = True
flags_before = logging.root.handlers[:], logging.root.level
for third_party in ("flask", "httptools", "uvloop", "requests", "rich.live", "faker", "duckdb", "msgspec"):
    importlib.import_module(third_party)  # what they do when they are imported is theirs
sys.addaudithook(watch)
for module in sys.argv[1:]:
    happened.clear()
    importlib.import_module(module)
    assert not happened, f"importing {module} does {happened}"
    assert (logging.root.handlers, logging.root.level) == flags_before, f"importing {module} sets up logging"
    assert threading.active_count() == 1, f"importing {module} starts a thread"
"""


def test_nothing_happens_on_import() -> None:
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in PRODUCT
        if path.name != "__main__.py"
    ]

    done = subprocess.run(
        python("-c", WATCH_IMPORTS, *modules), capture_output=True, text=True, env=environment(), cwd=ROOT, check=False
    )

    assert done.returncode == 0, done.stderr
