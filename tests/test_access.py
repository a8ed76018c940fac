"""Who may read events, and who may send them from a browser."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests

from tests.support.platform import platform

PRIVATE = ["/stats", "/events", "/export", "/rejected", "/metrics"]
OPEN = ["/", "/health", "/ready", "/docs", "/openapi.json", "/tracker.js"]


@pytest.mark.e2e
def test_with_a_read_token_everything_that_shows_events_asks_for_it(tmp_path: Path) -> None:
    with platform(tmp_path, READ_TOKEN="secret") as running:
        for path in PRIVATE:
            without = requests.get(running.url + path, timeout=5)
            wrong = requests.get(running.url + path, headers={"Authorization": "Bearer other"}, timeout=5)
            right = requests.get(running.url + path, headers=running.headers, timeout=5)

            assert (without.status_code, wrong.status_code, right.status_code) == (401, 401, 200), path
            assert without.json()["error"]["code"] == "unauthorized"
            assert without.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.e2e
def test_sending_and_the_pages_about_the_api_need_no_token(tmp_path: Path) -> None:
    with platform(tmp_path, READ_TOKEN="secret") as running:
        sent = requests.post(running.url + "/events", json={"event_type": "click", "user_id": "u"}, timeout=5)

        assert sent.status_code == 202
        assert [path for path in OPEN if requests.get(running.url + path, timeout=5).status_code != 200] == []


@pytest.mark.e2e
def test_a_name_that_somebody_pointed_at_this_machine_reads_nothing(tmp_path: Path) -> None:
    with platform(tmp_path) as running:
        foreign = {"Host": "pages.example:3000"}

        answers = [requests.get(running.url + path, headers=foreign, timeout=5) for path in PRIVATE]

        assert [answer.status_code for answer in answers] == [403] * len(PRIVATE)
        assert answers[0].json()["error"]["code"] == "forbidden"
        assert requests.get(running.url + "/stats", headers={"Host": "localhost:3000"}, timeout=5).status_code == 200


@pytest.mark.e2e
def test_a_page_of_another_origin_may_send_json_but_not_read(tmp_path: Path) -> None:
    with platform(tmp_path) as running:
        asked = requests.options(running.url + "/events", headers={"Origin": "https://shop.example"}, timeout=5)
        read = requests.get(running.url + "/events", headers={"Origin": "https://shop.example"}, timeout=5)

        assert asked.status_code == 204
        assert asked.headers["Access-Control-Allow-Origin"] == "*"
        assert asked.headers["Access-Control-Allow-Headers"] == "Content-Type, Content-Encoding"
        assert "Access-Control-Allow-Origin" not in read.headers
