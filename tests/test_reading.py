"""The reading client: every way an API can fail to answer has a name, and none takes longer than allowed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from werkzeug.wrappers import Request, Response

from clickstream.client.reading import ApiProblem, ApiReader
from clickstream.ports import free_port
from tests.support.scripted_api import Answer, numbers, says, scripted_api

FIFTY_MB = 50_000_000


def problem_with(answer: Answer, **limits: float) -> ApiProblem:
    with scripted_api(answer) as api, pytest.raises(ApiProblem) as caught:
        ApiReader(api.url, **limits).stats()  # type: ignore[arg-type]
    return caught.value


def test_statistics_are_returned_as_the_api_gave_them() -> None:
    with scripted_api(says(numbers(total_events=7))) as api:
        assert ApiReader(api.url).stats("15m") == numbers(total_events=7)
        assert api.asked == ["/stats?window=15m"]


def test_nobody_listening_is_unreachable_and_names_the_address() -> None:
    url = f"http://127.0.0.1:{free_port()}"

    with pytest.raises(ApiProblem) as caught:
        ApiReader(url).stats()

    assert caught.value.kind == "unreachable"
    assert str(caught.value) == f"nothing answers at {url}: connection refused"


def test_a_name_that_does_not_resolve_is_unreachable() -> None:
    with pytest.raises(ApiProblem) as caught:
        ApiReader("http://nowhere.invalid:3000").stats()

    assert caught.value.kind == "unreachable"
    assert "its name is not known" in str(caught.value)


def test_a_slow_api_is_a_timeout() -> None:
    def slow(_: Request) -> Response:
        time.sleep(0.6)
        return Response(b"{}")

    problem = problem_with(slow, read_timeout_s=0.2)

    assert problem.kind == "timeout"
    assert "did not answer within 0.2 s" in str(problem)


def test_an_answer_that_trickles_in_ends_at_the_deadline_too() -> None:
    over = threading.Event()

    def trickle(_: Request) -> Response:
        def drops() -> Iterator[bytes]:
            for _ in range(200):
                if over.wait(0.05):
                    return
                yield b" "

        return Response(drops())

    with scripted_api(trickle) as api:
        started = time.monotonic()
        with pytest.raises(ApiProblem) as caught:
            ApiReader(api.url, read_timeout_s=0.3).stats()
        took_s = time.monotonic() - started
        over.set()

    assert caught.value.kind == "timeout"
    assert took_s < 3


def test_a_huge_answer_is_cut_off() -> None:
    def huge(_: Request) -> Response:
        return Response(b" " * 1_000_000 for _ in range(FIFTY_MB // 1_000_000))

    assert problem_with(huge).kind == "too_large"


def test_a_compressed_bomb_is_cut_off_at_its_real_size() -> None:
    import gzip

    bomb = gzip.compress(b" " * FIFTY_MB)

    assert problem_with(says(bomb, **{"Content-Encoding": "gzip"})).kind == "too_large"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"null",
        b'{"total_events": NaN, "events_by_type": {}}',
        b"[" * 100_000,
        b'{"a":"\\ud800"}',
    ],
)
def test_anything_but_a_json_object_is_garbage(body: bytes) -> None:
    assert problem_with(says(body)).kind == "garbage"


def test_json_of_something_else_is_garbage() -> None:
    problem = problem_with(says({"status": "ok"}))

    assert problem.kind == "garbage"
    assert "is it this platform?" in str(problem)


def test_a_broken_compressed_answer_is_garbage() -> None:
    assert problem_with(says(b"no gzip", **{"Content-Encoding": "gzip"})).kind == "garbage"


def test_a_redirect_is_not_followed() -> None:
    with scripted_api(says(numbers())) as elsewhere:
        problem = problem_with(says(b"", 302, Location=elsewhere.url + "/stats"))

        assert problem.kind == "redirect"
        assert elsewhere.asked == []


def test_an_error_status_keeps_the_code_and_words_of_the_api() -> None:
    problem = problem_with(says({"error": {"code": "internal", "message": "it broke"}}, 500))

    assert (problem.kind, problem.status, problem.code) == ("http", 500, "internal")
    assert str(problem).endswith("answered 500: it broke")


def test_a_replaying_api_says_how_far_it_is() -> None:
    def replaying(request: Request) -> Response:
        if request.path == "/ready":
            return says({"status": "replaying", "progress": 0.64, "records": 1}, 503)(request)
        return says({"error": {"code": "replaying", "message": "reading the journal"}}, 503)(request)

    problem = problem_with(replaying)

    assert (problem.kind, problem.progress) == ("replaying", 0.64)


def test_a_replaying_api_without_progress_is_still_replaying() -> None:
    problem = problem_with(says({"error": {"code": "replaying", "message": "reading the journal"}}, 503))

    assert (problem.kind, problem.progress) == ("replaying", None)


def test_the_token_is_sent_and_a_proxy_of_the_shell_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    seen: list[str | None] = []

    def note(request: Request) -> Response:
        seen.append(request.headers.get("Authorization"))
        return says(numbers())(request)

    with scripted_api(note) as api:
        ApiReader(api.url, read_token="secret").stats()

    assert seen == ["Bearer secret"]
