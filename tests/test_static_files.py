"""What the API serves of its own files: compressed for who takes that, and only asked for again when it changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.support.platform import Platform, platform

ROOT = Path(__file__).parents[1]
FILES = {
    "/tracker.js": "tracker.js",
    "/openapi.json": "openapi.json",
    "/static/api_docs.js": "api_docs.js",
    "/static/api_docs.css": "api_docs.css",
}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with platform(tmp_path_factory.mktemp("static")) as running:
        yield running


def raw(url: str, **headers: str) -> tuple[requests.Response, bytes]:
    """The answer, and its body as it came over the wire."""
    with requests.get(url, headers=headers, stream=True, timeout=5) as answer:
        return answer, answer.raw.read(decode_content=False)


@pytest.mark.parametrize(("path", "name"), FILES.items())
def test_a_client_that_unpacks_gzip_gets_the_same_file_smaller(api: Platform, path: str, name: str) -> None:
    content = (ROOT / "static" / name).read_bytes()

    zipped, sent = raw(api.url + path, **{"Accept-Encoding": "gzip"})
    plain, sent_plain = raw(api.url + path, **{"Accept-Encoding": "identity"})

    assert zipped.headers["Content-Encoding"] == "gzip"
    assert len(sent) < len(content) / 2
    assert requests.get(api.url + path, timeout=5).content == content
    assert "Content-Encoding" not in plain.headers
    assert sent_plain == content
    assert "Accept-Encoding" in zipped.headers["Vary"] and "Accept-Encoding" in plain.headers["Vary"]
    assert zipped.headers["Content-Type"] == plain.headers["Content-Type"]


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
@pytest.mark.parametrize("path", FILES)
def test_a_file_that_has_not_changed_is_not_sent_again(api: Platform, path: str, encoding: str) -> None:
    first, _ = raw(api.url + path, **{"Accept-Encoding": encoding})

    again, sent = raw(api.url + path, **{"Accept-Encoding": encoding, "If-None-Match": first.headers["ETag"]})
    other, _ = raw(api.url + path, **{"Accept-Encoding": encoding, "If-None-Match": '"other"'})

    assert (again.status_code, sent) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]
    assert other.status_code == 200


@pytest.mark.parametrize("path", FILES)
def test_an_answer_says_once_when_it_was_made(api: Platform, path: str) -> None:
    fresh, _ = raw(api.url + path)
    known, _ = raw(api.url + path, **{"If-None-Match": fresh.headers["ETag"]})

    assert known.status_code == 304
    assert [len(answer.raw.headers.getlist("Date")) for answer in (fresh, known)] == [1, 1]


def test_the_tracker_is_3_kb_over_the_wire_and_may_be_used_by_pages_of_any_origin(api: Platform) -> None:
    answer, sent = raw(f"{api.url}/tracker.js", **{"Accept-Encoding": "gzip"})

    assert len(sent) <= 3 * 1024
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"


@pytest.mark.parametrize("path", ["nothing.js", "../config.py", "%2e%2e/config.py", "vendor/README.md"])
def test_nothing_else_can_be_read(api: Platform, path: str) -> None:
    request = requests.Request("GET", api.url).prepare()
    request.url = f"{api.url}/static/{path}"
    with requests.Session() as session:
        answer = session.send(request, timeout=5, allow_redirects=False)

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
