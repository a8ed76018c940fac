"""One person's events can be given to them and erased, whatever happens on the way; nobody else's are touched."""

from __future__ import annotations

import gzip
import json
import resource
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests

from clickstream.erasure import PendingErasures
from tests.support.platform import Platform, platform
from tests.support.waiting import until

OTHERS = 20_000


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Platform]:
    with platform(tmp_path) as running:
        yield running


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lasting")


@pytest.fixture(scope="module")
def lasting(directory: Path) -> Iterator[Platform]:
    with platform(directory) as running:
        yield running


@pytest.fixture
def emptied(lasting: Platform) -> Platform:
    """The one platform of tests that neither stop nor break it; nothing is left in it of what the last one has sent."""
    left = {one.get("user_id") or one["anonymous_id"] for one in lasting.events()}
    for person in {"anna", "ben", "carl"} | left:
        assert requests.delete(f"{lasting.url}/users", params={"id": person}, timeout=20).ok
    assert (lasting.events(), lasting.get("/rejected")["total"]) == ([], 0)
    return lasting


def send(api: Platform, *events: object) -> None:
    assert requests.post(f"{api.url}/events", json=list(events), timeout=10).status_code in (202, 400)


def event(number: int, event_type: str = "page_view", **ids: str) -> dict[str, Any]:
    return {"event_id": f"e-{number}", "event_type": event_type, "timestamp": "2026-01-01T00:00:00Z", **ids}


def fill(api: Platform) -> None:
    """Anna first looks around unknown, then logs in; her device is also used by Ben; Carl has nothing to do with it."""
    send(api, event(1, anonymous_id="device"), event(2, "purchase", user_id="anna", anonymous_id="device"))
    send(api, event(3, user_id="ben", anonymous_id="device"), event(4, user_id="carl"))
    send(api, event(5, "NOT A TYPE", user_id="anna"), event(6, "NOT A TYPE", user_id="carl"))


def numbers(api: Platform) -> dict[str, Any]:
    stats = api.get("/stats")
    return {name: stats[name] for name in ("total_events", "events_by_type", "sessions", "users", "funnel", "revenue")}


def test_a_person_gets_everything_that_is_kept_about_them(api: Platform) -> None:
    fill(api)

    found = api.get("/users/anna")

    assert found["user_id"] == "anna"
    assert [one["event_id"] for one in found["events"]] == ["e-1", "e-2"]
    assert [json.loads(one["raw"])["event_id"] for one in found["rejected"]] == ["e-5"]
    assert api.get("/users/nobody") == {"user_id": "nobody", "events": [], "rejected": []}


def test_an_erased_person_is_nowhere_and_everybody_else_is_as_before(api: Platform, tmp_path: Path) -> None:
    fill(api)
    before = (tmp_path / "events_backup.json").read_bytes().splitlines()

    answer = requests.delete(f"{api.url}/users/anna", timeout=20)

    assert answer.json() == {"status": "erased", "events": 2, "rejected": 1}
    assert [one["event_id"] for one in api.events()] == ["e-3", "e-4"]
    assert [one["event_id"] for one in api.get("/stats")["recent_events"]] == ["e-4", "e-3"]
    assert api.get("/rejected")["total"] == 1
    after = (tmp_path / "events_backup.json").read_bytes()
    assert json.loads(after) == api.events()
    assert {line.rstrip(b",") for line in after.splitlines()} <= {line.rstrip(b",") for line in before}
    shown = numbers(api)
    _stop(api)
    for file in tmp_path.glob("events_*"):
        assert b"anna" not in file.read_bytes(), file
    with platform(tmp_path) as again:
        assert numbers(again) == shown


def test_erasing_somebody_of_whom_nothing_is_kept_rewrites_nothing_and_stops_nobody(
    api: Platform, tmp_path: Path
) -> None:
    fill(api)
    (tmp_path / "events_backup.json.torn-20260101T000000Z-9").write_text('{"user_id": "nobody"')
    journal = tmp_path / "events_backup.json"
    before = journal.stat()

    answer = requests.delete(f"{api.url}/users/nobody", timeout=20)

    message = answer.json().pop("message")
    expected = {
        "status": "erased",
        "events": 0,
        "rejected": 0,
        "mentioned_in": [f"{journal.name}.torn-20260101T000000Z-9"],
    }
    assert answer.json() == {**expected, "message": message}
    assert message.startswith("neither journal nor quarantine holds anything under this id, so nothing was taken out;")
    assert requests.delete(f"{api.url}/users/Carl", timeout=20).json() == {
        "status": "erased",
        "events": 0,
        "rejected": 0,
        "message": message,
    }
    assert (journal.stat().st_ino, journal.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert api.get("/stats")["accounting"]["accepted"] == 4


def test_two_erasures_at_once_are_both_done_or_one_is_asked_to_come_again(api: Platform) -> None:
    fill(api)
    with ThreadPoolExecutor(2) as threads:
        answers = list(threads.map(lambda who: requests.delete(f"{api.url}/users/{who}", timeout=20), ("anna", "carl")))

    assert {answer.status_code for answer in answers} <= {200, 503}
    assert 200 in {answer.status_code for answer in answers}
    assert all(answer.headers["Retry-After"] for answer in answers if answer.status_code == 503)


def test_collecting_goes_on_and_ids_of_the_others_are_still_known(api: Platform) -> None:
    fill(api)
    requests.delete(f"{api.url}/users/anna", timeout=20)

    send(api, event(4, user_id="carl"), event(7, user_id="anna"))

    assert [one["event_id"] for one in api.events()] == ["e-3", "e-4", "e-7"]


def test_a_file_set_aside_earlier_that_still_mentions_the_person_is_named(api: Platform, tmp_path: Path) -> None:
    fill(api)
    (tmp_path / "events_backup.json.torn-20260101T000000Z-9").write_text('{"user_id": "anna"')

    answer = requests.delete(f"{api.url}/users/anna", timeout=20)

    assert answer.json()["mentioned_in"] == ["events_backup.json.torn-20260101T000000Z-9"]


@pytest.mark.parametrize(
    ("person", "body"),
    [
        ("12345", b'{"event_type":"purchase","user_id":12345}'),
        ("jos\u00e9", rb'{"event_type":"Bad","user_id":"jos\u00e9"}'),
        ("bob/1", rb'{"event_type":"Bad","user_id":"bob\/1"}'),
        ("carol", b'{"event_type":"a","user_id":"carol","properties":{"name":"\xff"}}'),
        ("erin", gzip.compress(b'{"event_type":"a","user_id":"erin"', mtime=0)),
    ],
)
def test_what_was_refused_goes_in_whatever_form_the_person_stands_in_it(
    emptied: Platform, directory: Path, person: str, body: bytes
) -> None:
    assert requests.post(f"{emptied.url}/events", body, timeout=10).status_code == 400
    send(emptied, event(1, "NOT A TYPE", user_id="ben"))
    path = f"/users/{quote(person, safe='')}"

    assert len(emptied.get(path)["rejected"]) == 1
    assert requests.delete(emptied.url + path, timeout=20).json() == {"status": "erased", "events": 0, "rejected": 1}
    (left,) = (directory / "events_rejected.ndjson").read_text().splitlines()
    assert json.loads(json.loads(left)["raw"])["user_id"] == "ben"


def test_a_refused_body_of_a_form_goes_too(api: Platform) -> None:
    body = "data=" + quote('{"event":"x","distinct_id":"gina"')
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert requests.post(f"{api.url}/e/", body, headers=headers, timeout=10).status_code == 400

    assert requests.delete(f"{api.url}/users/gina", timeout=20).json()["rejected"] == 1
    assert api.get("/rejected")["total"] == 0


def test_a_line_of_the_quarantine_that_a_kill_has_cut_goes_too(api: Platform, tmp_path: Path) -> None:
    quarantine = tmp_path / "events_rejected.ndjson"
    quarantine.write_bytes(rb'{"received_at":"2026-01-01T00:00:00.000Z","raw":"{\"user_id\":\"anna\",\"email\":\"an')

    (cut,) = api.get("/users/anna")["rejected"]
    assert (cut["received_at"], cut["code"]) == ("2026-01-01T00:00:00.000Z", "damaged_record")
    assert "anna" in cut["raw"]
    assert requests.delete(f"{api.url}/users/anna", timeout=20).json()["rejected"] == 1
    assert quarantine.read_bytes() == b""


def test_half_a_copy_of_the_quarantine_outlives_neither_an_erasure_nor_a_start(api: Platform, tmp_path: Path) -> None:
    left = tmp_path / "events_rejected.ndjson.shrinking"
    left.write_text('{"received_at":"2026-01-01T00:00:00.000Z","raw":"{\\"user_id\\":\\"anna\\"}"}\n')
    fill(api)

    assert "mentioned_in" not in requests.delete(f"{api.url}/users/anna", timeout=20).json()
    assert not left.exists()
    left.write_text("{}")
    _stop(api)
    with platform(tmp_path):
        assert not left.exists()


def test_a_quarantine_that_was_set_aside_is_named_and_so_is_an_id_behind_escapes(api: Platform, tmp_path: Path) -> None:
    (tmp_path / "events_rejected.ndjson.old").write_bytes(rb'{"raw":"{\"user_id\":\"jos\\u00e9\"}"}')
    (tmp_path / "events_backup.json.torn-1").write_bytes(rb'{"event_type":"click","user_id":"jos\u00e9","prop')

    answer = requests.delete(f"{api.url}/users/jos%C3%A9", timeout=20).json()

    assert answer["mentioned_in"] == ["events_backup.json.torn-1", "events_rejected.ndjson.old"]


def test_what_is_kept_no_more_is_forgotten_also_where_there_is_nothing_to_erase(api: Platform, tmp_path: Path) -> None:
    send(api, event(1, "NOT A TYPE", user_id="anna"))
    (tmp_path / "events_rejected.ndjson").write_bytes(b"")  # as when the older half of it has been dropped
    path = f"{api.url}/expect?event_type=purchase&timeout=0s"
    assert "anna" in requests.get(path, timeout=5).text

    assert requests.delete(f"{api.url}/users/anna", timeout=20).json()["rejected"] == 0

    assert "anna" not in requests.get(path, timeout=5).text


@pytest.mark.parametrize("person", ["/x", "a\nb", ".", "..", "../y", "a//b", "x/", "jos\u00e9", " ", "a&b=c?#%2F"])
def test_whatever_an_id_is_made_of_its_person_can_be_found_and_erased(emptied: Platform, person: str) -> None:
    send(emptied, event(1, user_id=person), event(2, user_id="ben"))

    found = requests.get(f"{emptied.url}/users", params={"id": person}, timeout=10)
    answer = requests.delete(f"{emptied.url}/users", params={"id": person}, timeout=20)

    assert [one["event_id"] for one in found.json()["events"]] == ["e-1"]
    assert answer.json() == {"status": "erased", "events": 1, "rejected": 0}
    assert [one["event_id"] for one in emptied.events()] == ["e-2"]


@pytest.mark.parametrize("query", ["", "?id=", "?user=anna", "?id=anna&id=ben", "?id=anna&timeout=1s"])
def test_who_is_to_be_erased_must_be_said_in_one_way(emptied: Platform, query: str) -> None:
    fill(emptied)

    for method in ("GET", "DELETE"):
        refused = requests.request(method, f"{emptied.url}/users{query}", timeout=10)
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_parameter")
    assert len(emptied.events()) == 4


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_parameter_does_not_pass_for_a_part_of_what_is_kept_about_a_person(emptied: Platform, method: str) -> None:
    fill(emptied)

    refused = requests.request(method, f"{emptied.url}/users/anna?since=2026-01-01T00:00:00Z", timeout=10)

    assert (refused.status_code, refused.json()["error"]["field"]) == (400, "since")
    assert refused.json()["error"]["message"] == "since is not a parameter here; known: none"
    assert len(emptied.events()) == 4


@pytest.mark.crash
def test_killed_at_any_moment_of_an_erasure_nothing_is_lost_and_nothing_is_forgotten(tmp_path: Path) -> None:
    lines = [
        json.dumps({**event(n, user_id="anna" if n % 100 == 0 else f"u-{n}"), "properties": {}}) for n in range(OTHERS)
    ]
    others = [f"e-{n}" for n in range(OTHERS) if n % 100]
    wishes = 0
    for cycle in range(8):
        directory = tmp_path / str(cycle)
        directory.mkdir()
        journal = directory / "events_backup.json"
        journal.write_text("[\n" + ",\n".join(lines) + "\n]\n")
        with platform(directory) as api:
            asking = threading.Thread(target=_erase_whatever_happens, args=(api.url,))
            asking.start()
            time.sleep(0.01 + 0.02 * cycle)  # the moment of the kill is what this test varies
            api.process.send_signal(signal.SIGKILL)
            asking.join()
        wished = (directory / "events_backup.json.erasing").exists()
        wishes += wished

        with platform(directory) as api:
            ids = [one["event_id"] for one in api.events()]
        erased = "e-0" not in ids

        assert [one for one in ids if int(one[2:]) % 100] == others
        assert len(ids) in (len(others), OTHERS)
        assert erased or not wished
        assert not (directory / "events_backup.json.erasing").exists()
        assert not erased or b"anna" not in journal.read_bytes()
    assert wishes > 0


def test_ids_of_an_erasure_that_a_start_finishes_are_forgotten_too(tmp_path: Path) -> None:
    with platform(tmp_path) as api:
        fill(api)
    (tmp_path / "events_backup.json.erasing").write_text('["anna"]')

    with platform(tmp_path) as api:
        send(api, event(4, user_id="carl"), event(2, user_id="anna"))

        assert [one["event_id"] for one in api.events()] == ["e-3", "e-4", "e-2"]


def test_behind_a_symbolic_link_the_file_that_it_leads_to_is_rewritten(tmp_path: Path) -> None:
    real, link = tmp_path / "disk" / "events.json", tmp_path / "events_backup.json"
    real.parent.mkdir()
    link.symlink_to(real)
    with platform(tmp_path) as api:
        fill(api)
        assert requests.delete(f"{api.url}/users/anna", timeout=10).json()["events"] == 2
        send(api, event(7, user_id="dora"))

    assert link.is_symlink()
    assert [one["event_id"] for one in json.loads(real.read_bytes())] == ["e-3", "e-4", "e-7"]
    beside = {file.name for file in real.parent.iterdir()}
    assert beside == {"events.json", "events.json.checkpoint", "events_rejected.ndjson"}


def test_an_erasure_that_the_disk_refuses_is_a_503_that_stops_nobody_and_can_be_asked_for_again(
    api: Platform, tmp_path: Path
) -> None:
    fill(api)
    in_the_way = tmp_path / "events_backup.json.compacting"
    in_the_way.mkdir()

    refused = requests.delete(f"{api.url}/users/anna", timeout=20)
    send(api, event(7, user_id="carl"))

    assert refused.status_code == 503
    assert "could not be rewritten: Is a directory; make room" in refused.json()["error"]["message"]
    assert [one["event_id"] for one in api.events()] == ["e-1", "e-2", "e-3", "e-4", "e-7"]
    in_the_way.rmdir()
    assert requests.delete(f"{api.url}/users/nobody", timeout=20).ok  # whoever asks next, the wish is fulfilled
    assert [one["event_id"] for one in api.events()] == ["e-3", "e-4", "e-7"]


def test_a_wish_that_the_disk_does_not_take_leaves_nothing_behind(tmp_path: Path) -> None:
    pending = PendingErasures(tmp_path / "events_backup.json.erasing")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            pending.add("anna")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert list(tmp_path.iterdir()) == []


def test_a_line_damaged_since_the_start_does_not_end_the_collecting_when_somebody_is_erased(
    api: Platform, tmp_path: Path
) -> None:
    fill(api)
    with (tmp_path / "events_backup.json").open("r+b") as file:
        file.seek(file.read().index(b'"e-1"'))
        file.write(b"}")

    refused = requests.delete(f"{api.url}/users/anna", timeout=20)
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
    assert "a line of the journal is damaged" in refused.json()["error"]["message"]
    assert requests.delete(f"{api.url}/users/anna", timeout=20).ok

    send(api, event(7, user_id="carl"))
    assert [one["event_id"] for one in api.events()] == ["e-3", "e-4", "e-7"]


def test_events_past_their_time_are_dropped_soon_after_the_start(tmp_path: Path) -> None:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    old, new = event(1, user_id="u"), {**event(2, user_id="u"), "timestamp": now}
    lines = [json.dumps({**old, "received_at": old["timestamp"]}), json.dumps({**new, "received_at": now})]
    (tmp_path / "events_backup.json").write_text("[\n" + ",\n".join(lines) + "\n]\n")

    with platform(tmp_path, RETENTION_DAYS="30") as api:
        until(lambda: len(json.loads((tmp_path / "events_backup.json").read_bytes())) == 1)
        until(lambda: requests.get(f"{api.url}/ready", timeout=5).status_code == 200)

        assert [one["event_id"] for one in api.events()] == ["e-2"]
        assert api.get("/stats")["total_events"] == 1


def test_an_event_past_its_time_is_dropped_wherever_it_stands(tmp_path: Path) -> None:
    """The first has no times, the second came while the clock was ahead, the third has a time of the first version."""
    lines = [
        json.dumps({"event_type": "click", "user_id": "u", "event_id": "e-1"}),
        json.dumps({**event(2, user_id="u"), "received_at": "2099-01-01T00:00:00.000Z"}),
        json.dumps({"event_type": "click", "user_id": "u", "event_id": "e-3", "timestamp": "2025-01-15T10:30:00.123"}),
        json.dumps({**event(4, user_id="u"), "received_at": "2025-01-15T00:00:00.000Z"}),
    ]
    (tmp_path / "events_backup.json").write_text("[\n" + ",\n".join(lines) + "\n]\n")

    with platform(tmp_path, RETENTION_DAYS="30") as api:
        until(lambda: len(json.loads((tmp_path / "events_backup.json").read_bytes())) == 2)
        until(lambda: requests.get(f"{api.url}/ready", timeout=5).status_code == 200)

        assert [one["event_id"] for one in api.events()] == ["e-1", "e-2"]


def _erase_whatever_happens(url: str) -> None:
    try:
        requests.delete(f"{url}/users/anna", timeout=20)
    except requests.RequestException:
        return


def _stop(api: Platform) -> None:
    api.process.terminate()
    api.process.wait(10)
