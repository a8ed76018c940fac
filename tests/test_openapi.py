"""The OpenAPI description is valid, complete, true to the running API, and its examples are what it says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import openapi_spec_validator
import pytest
import requests

from clickstream.analytics.dimensions import wrong_with_name
from clickstream.csv_rows import COLUMNS, columns_of
from clickstream.errors import RECORD_CODES, REQUEST_CODES
from clickstream.export import MEDIA_TYPES
from clickstream.query import PROPERTY
from clickstream.stats import WINDOWS
from tests.support.platform import ROOT, Platform, platform

SPEC: dict[str, Any] = json.loads((ROOT / "static" / "openapi.json").read_text())
SCHEMAS = SPEC["components"]["schemas"]
METHODS = ("get", "post", "delete", "options")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with platform(tmp_path_factory.mktemp("openapi")) as started:
        yield started


def resolved(node: Any) -> Any:  # noqa: ANN401 - any part of the description
    """The node itself, or what it points to."""
    while isinstance(node, dict) and "$ref" in node and node["$ref"].startswith("#/"):
        target: Any = SPEC
        for part in node["$ref"][2:].split("/"):
            target = target[part]
        node = target
    return node


def operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in SPEC["paths"].items():
        for method in METHODS:
            if method in resolved(item):
                yield f"{method.upper()} {path}", resolved(item)[method]


def contents() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Place, media type and content of every body of a request or an answer."""
    for name, operation in operations():
        for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
            yield f"{name} request", media_type, content
        for status, response in operation["responses"].items():
            for media_type, content in resolved(response).get("content", {}).items():
                yield f"{name} {status}", media_type, content


def examples_of(content: dict[str, Any]) -> list[Any]:
    named = [example["value"] for example in content.get("examples", {}).values()]
    return named + ([content["example"]] if "example" in content else [])


def problems_of(value: object, schema: dict[str, Any]) -> list[str]:
    whole = {**schema, "components": SPEC["components"]}
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    validator = jsonschema.Draft202012Validator(whole, format_checker=checker)
    return [f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(value)]


def test_the_description_is_valid_openapi_3_1() -> None:
    openapi_spec_validator.validate(SPEC)

    assert SPEC["openapi"].startswith("3.1")


def test_every_example_is_what_its_schema_says() -> None:
    found = {
        f"{place} {media_type}": problems_of(example, content["schema"])
        for place, media_type, content in contents()
        for example in examples_of(content)
    }

    assert len(found) > 20
    assert {place: problems for place, problems in found.items() if problems} == {}


def test_every_operation_says_what_it_does_and_names_its_tag() -> None:
    tags = {tag["name"] for tag in SPEC["tags"]}

    assert [name for name, one in operations() if not one["summary"] or not one["description"]] == []
    assert [name for name, one in operations() if not set(one["tags"]) <= tags] == []


def test_the_codes_in_it_are_the_closed_list() -> None:
    assert SCHEMAS["RequestCode"]["enum"] == list(REQUEST_CODES)
    assert SCHEMAS["RecordCode"]["enum"] == sorted(RECORD_CODES)


def test_each_code_stands_under_its_own_status() -> None:
    everywhere = {"method_not_allowed"}  # the answer of methods that are not described
    described: dict[str, set[str]] = {}
    for _, operation in operations():
        for status, response in operation["responses"].items():
            text = json.dumps(resolved(response)).replace(
                '"$ref": "#/components/schemas/Refused"', str(SCHEMAS["Refused"])
            )
            described.setdefault(status, set()).update(re.findall(r"[a-z_]+", text))

    missing = [
        f"{code} {status}" for code, status in REQUEST_CODES.items() if code not in described.get(str(status), ())
    ]

    assert {line.split()[0] for line in missing} == everywhere


def test_windows_and_formats_are_those_of_the_code() -> None:
    windows = SPEC["paths"]["/stats"]["get"]["parameters"][0]["schema"]["enum"]
    formats = SPEC["paths"]["/export"]["get"]["parameters"][0]["schema"]["enum"]

    assert windows == [*WINDOWS, "all"]
    assert formats == list(MEDIA_TYPES)


def test_the_columns_of_csv_are_those_of_the_code() -> None:
    _, columns, *_ = SPEC["paths"]["/export"]["get"]["parameters"]

    pattern = re.compile(columns["schema"]["pattern"])

    assert columns_of(columns["example"])
    assert all(pattern.search(name) for name in (*COLUMNS, "property.a b", " event_id , property.x", ",".join(COLUMNS)))
    assert not any(pattern.search(name) for name in ("plan", "", "property.", "event_id,", ",".join(["other"] * 101)))


@pytest.mark.e2e
def test_every_route_is_in_it_and_nothing_else(running: Platform) -> None:
    routes = set(running.get("/")["endpoints"])

    assert routes == set(SPEC["paths"])


@pytest.mark.e2e
def test_the_documented_bodies_are_accepted(running: Platform) -> None:
    bodies = SPEC["paths"]["/events"]["post"]["requestBody"]["content"]
    for media_type, content in bodies.items():
        for example in examples_of(content):
            body = example if isinstance(example, str) else json.dumps(example)
            answer = requests.post(
                f"{running.url}/events", body.encode(), headers={"Content-Type": media_type}, timeout=5
            )

            assert answer.status_code == 202, answer.text
            assert problems_of(answer.json(), SCHEMAS["Accepted"]) == []


@pytest.mark.e2e
@pytest.mark.parametrize("window", [*WINDOWS, "all"])
def test_stats_are_what_their_schema_says(running: Platform, window: str) -> None:
    requests.post(f"{running.url}/events", json={"event_type": "page_view", "user_id": "u"}, timeout=5)

    assert problems_of(running.get("/stats", window=window), SCHEMAS["Stats"]) == []


@pytest.mark.e2e
def test_the_example_of_the_readme_gives_the_documented_answer(tmp_path: Path) -> None:
    with platform(tmp_path) as fresh:
        command = re.search(r"^curl [^\n]*/events[^`]*?'$", (ROOT / "docs" / "api.md").read_text(), re.MULTILINE)
        assert command is not None
        done = subprocess.run(
            ["bash", "-c", command[0].replace("http://localhost:3000", fresh.url)],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )

        assert json.loads(done.stdout) == {"status": "accepted", "processed": 1}
        assert len(fresh.events()) == 1


@pytest.mark.e2e
def test_schemathesis_finds_nothing_that_the_description_does_not_say(running: Platform, tmp_path: Path) -> None:
    examples = os.environ.get("SCHEMATHESIS_EXAMPLES")  # set: that many of each, and every alias of the SDK routes
    scope = ["--max-examples", examples] if examples else ["--max-examples", "5", "--exclude-tag", "SDKs"]
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        *("--config-file", str(ROOT / "tests" / "support" / "schemathesis.toml")),
        *("run", f"{running.url}/openapi.json", "--checks", "all", "--no-color", *scope),
        *("--phases", "examples,coverage,fuzzing"),
    ]
    environ = {
        **os.environ,
        "SCHEMATHESIS_HOOKS": "tests.support.schemathesis_hooks",
        "PYTHONPATH": str(ROOT),
        "HYPOTHESIS_STORAGE_DIRECTORY": str(ROOT / ".hypothesis"),  # its tables of Unicode take seconds to make
    }

    done = subprocess.run(command, capture_output=True, text=True, env=environ, cwd=tmp_path, timeout=900, check=False)

    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    accounting = running.accounting()
    assert running.get("/stats")["total_events"] == len(running.events()) <= accounting["accepted"]  # some were erased
    assert accounting["received"] == accounting["accepted"] + accounting["duplicates"] + accounting["rejected"]


def test_every_operation_has_a_label_of_its_own() -> None:
    items = {item.get("$ref", path): item for path, item in SPEC["paths"].items()}
    shared = SPEC["components"]["pathItems"]
    resolved = [shared[item["$ref"].rpartition("/")[2]] if "$ref" in item else item for item in items.values()]
    labels = [operation["summary"] for item in resolved for operation in item.values() if isinstance(operation, dict)]

    assert [label for label in labels if labels.count(label) > 1] == []


@pytest.mark.parametrize("path", ["/analytics/funnel", "/analytics/breakdown"])
def test_names_of_properties_are_described_as_they_are_taken(path: str) -> None:
    (by,) = (one for one in SPEC["paths"][path]["get"]["parameters"] if one["name"] == "by")
    pattern = by["schema"]["anyOf"][1]["pattern"]

    for code in range(0x180):
        name = f"{PROPERTY}a{chr(code)}b"
        assert bool(re.search(pattern, name)) is (not wrong_with_name(name)), (code, name)
