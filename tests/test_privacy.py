"""No raw address and no secret in an address is kept anywhere; bots are marked, never dropped."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from clickstream.privacy import Privacy, truncated
from tests.support.platform import Platform, platform
from tests.support.waiting import until

NOW_MS = 1_795_511_940_000


def privacy(client_ip: str = "off", *, strip_secrets: bool = True, now_ms: int = NOW_MS) -> Privacy:
    return Privacy(client_ip=client_ip, strip_secrets=strip_secrets, clock_ms=lambda: now_ms)


def cleaned(event: dict[str, Any], rules: Privacy, *, user_agent: str = "", address: str | None = None) -> Any:  # noqa: ANN401
    (record,) = rules.cleaned([json.dumps(event).encode()], user_agent=user_agent, address=address)
    return json.loads(record)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("https://a.test/?token=abc&x=1", "https://a.test/?token=***&x=1"),
        ("https://a.test/?x=1&PASSWORD=a%20b#top", "https://a.test/?x=1&PASSWORD=***#top"),
        ("https://a.test/#access_token=abc&expires=9", "https://a.test/#access_token=***&expires=9"),
        ("https://anna:secret@a.test/x", "https://***@a.test/x"),
        ("https://a.test/?email=anna@b.test", "https://a.test/?email=***"),
        ("https://a.test/?tokens=3&monkey=1", "https://a.test/?tokens=3&monkey=1"),
        ("a = b, c@d", "a = b, c@d"),
    ],
)
def test_secrets_in_addresses_are_taken_out_wherever_they_stand(sent: str, kept: str) -> None:
    event = {"properties": {"page": sent, "deep": [{"url": sent}]}, "sdk": {"fields": {"context": {"url": sent}}}}

    found = cleaned(event, privacy())

    assert found["properties"] == {"page": kept, "deep": [{"url": kept}]}
    assert found["sdk"]["fields"]["context"]["url"] == kept
    assert cleaned(event, privacy(strip_secrets=False)) == event


@pytest.mark.parametrize("key", ["ip", "$ip", "ip_address", "ipAddress", "client_ip", "user_ipaddress", "remote_addr"])
def test_an_address_inside_an_event_is_never_kept_raw(key: str) -> None:
    event = {"a": 1, "properties": {key: "203.0.113.77"}}

    assert cleaned(event, privacy())["properties"] == {key: None}
    assert cleaned(event, privacy("truncated"))["properties"] == {key: "203.0.113.0"}
    assert "203.0.113" not in json.dumps(cleaned(event, privacy("hashed")))


def test_the_address_of_the_sender_is_kept_only_as_asked() -> None:
    event = {"a": 1}

    assert cleaned(event, privacy(), address="203.0.113.77") == {"a": 1}
    assert cleaned(event, privacy("truncated"), address="203.0.113.77") == {"a": 1, "client_ip": "203.0.113.0"}
    assert cleaned(event, privacy("truncated"), address="2001:db8:1:2::3") == {"a": 1, "client_ip": "2001:db8:1::"}


def test_a_hashed_address_is_equal_within_a_day_and_different_on_the_next() -> None:
    now = [NOW_MS]
    rules = Privacy(client_ip="hashed", strip_secrets=True, clock_ms=lambda: now[0])

    first, same = (cleaned({"a": 1}, rules, address="203.0.113.77")["client_ip"] for _ in range(2))
    other = cleaned({"a": 1}, rules, address="203.0.113.78")["client_ip"]
    now[0] += 86_400_000
    tomorrow = cleaned({"a": 1}, rules, address="203.0.113.77")["client_ip"]

    assert first == same
    assert len({first, other, tomorrow, cleaned({"a": 1}, privacy("hashed"), address="203.0.113.77")["client_ip"]}) == 4


def test_what_is_no_address_has_no_network() -> None:
    assert truncated("999.1.1.1") is None


BOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"


def test_bots_are_marked_and_people_and_programs_are_not() -> None:
    chrome = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/130.0 Safari/537.36"

    assert cleaned({"a": 1}, privacy(), user_agent=BOT) == {"a": 1, "is_bot": True}
    says_no = {"properties": {"is_bot": False, "page": 'is it a "client_ip"?'}}
    assert cleaned(says_no, privacy(), user_agent=BOT) == {**says_no, "is_bot": True}
    assert cleaned(says_no, privacy("truncated"), address="203.0.113.7") == {**says_no, "client_ip": "203.0.113.0"}
    assert cleaned({"is_bot": "maybe"}, privacy(), user_agent=BOT) == {"is_bot": "maybe"}
    for user_agent in (chrome, "python-requests/2.34", "curl/8.5", "analytics-python/2.4.0", ""):
        assert cleaned({"a": 1}, privacy(), user_agent=user_agent) == {"a": 1}


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Platform]:
    with platform(tmp_path, CLIENT_IP="truncated") as running:
        yield running


def test_neither_the_journal_nor_the_quarantine_holds_what_was_taken_out(api: Platform, tmp_path: Path) -> None:
    url = "https://shop.test/?token=topsecret"
    good = {"type": "page", "userId": "u", "context": {"ip": "203.0.113.77"}, "properties": {"url": url}}
    bad = {**good, "userId": None}
    requests.post(f"{api.url}/v1/batch", json={"batch": [good, bad]}, headers={"User-Agent": BOT}, timeout=5)
    requests.post(f"{api.url}/events", f'{{"page": "{url}", ', timeout=5)

    until(lambda: api.accounting() == {"received": 3, "accepted": 1, "duplicates": 0, "rejected": 2})
    (event,) = api.events()

    assert (event["client_ip"], event["is_bot"]) == ("127.0.0.0", True)
    assert event["properties"]["url"] == "https://shop.test/?token=***"
    assert event["sdk"]["fields"]["context"]["ip"] == "203.0.113.0"
    for file in tmp_path.iterdir():
        content = file.read_bytes()
        assert b"topsecret" not in content, file
        assert b"203.0.113.77" not in content, file
