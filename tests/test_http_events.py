"""POST /events on the real server: every form of body, every limit, one verdict for each record."""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clickstream.timestamps import parse
from tests.support.http_client import Client, error_code, fresh, new_id, open_socket, said
from tests.support.journals import array_in
from tests.support.native import encoded, good_events, native_event, without_additions, written
from tests.support.platform import Platform, platform

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with platform(tmp_path_factory.mktemp("http")) as running:
        yield running


@pytest.fixture(scope="module")
def client(api: Platform) -> Iterator[Client]:
    client = Client(api.url)
    yield client
    client.close()


def test_the_example_of_the_readme_is_accepted(client: Client) -> None:
    body = {
        "records": [
            {
                "event_type": "page_view",
                "user_id": "user_123",
                "session_id": "session_abc",
                "timestamp": "2025-01-15T10:30:00Z",
                "properties": {"page": "/products"},
            }
        ]
    }

    answer = client.post(json.dumps(body).encode())

    assert (answer.status, answer.json) == (202, {"status": "accepted", "processed": 1})
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "form", ["records", "array", "object", "ndjson", "gzip", "hidden gzip", "false gzip", "beacon"]
)
def test_every_form_of_body_is_stored(client: Client, form: str) -> None:
    events = [fresh() for _ in range(1 if form in ("object", "beacon") else 3)]
    records = encoded({"records": events})
    body, headers = {
        "records": (records, {}),
        "array": (encoded(events), {}),
        "object": (encoded(events[0]), {}),
        "ndjson": (b"\n".join(map(encoded, events)), {"content_type": "application/x-ndjson"}),
        "gzip": (gzip.compress(records), {"Content_Encoding": "gzip"}),
        "hidden gzip": (gzip.compress(records), {}),
        "false gzip": (records, {"Content_Encoding": "gzip"}),
        "beacon": (encoded(events[0]), {"content_type": "text/plain;charset=UTF-8"}),
    }[form]

    answer = client.post(body, **headers)

    assert (answer.status, answer.json) == (202, {"status": "accepted", "processed": len(events)})
    newest = client.get(f"/events?limit={len(events)}")["events"][::-1]
    assert [without_additions(kept, sent) for kept, sent in zip(newest, events, strict=True)] == events


def test_a_chunked_body_is_read(api: Platform) -> None:
    body = encoded(fresh())
    with open_socket(api.url) as connection:
        connection.sendall(
            b"POST /events HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        )
        for start in range(0, len(body), 7):
            part = body[start : start + 7]
            connection.sendall(b"%x\r\n%b\r\n" % (len(part), part))
        connection.sendall(b"0\r\n\r\n")
        assert b'"processed":1' in said(connection)


def test_each_record_of_a_mixed_batch_gets_its_own_verdict(client: Client) -> None:
    good, again = fresh(), fresh()
    client.post(encoded(again))
    batch = [good, {"event_type": "click"}, again, good, {**fresh(), "user_id": 5}, 7]

    answer = client.post(encoded(batch))

    assert answer.status == 202
    assert answer.json["status"] == "partial"
    assert (answer.json["processed"], answer.json["duplicates"]) == (1, 2)
    verdicts = [(one["index"], one["code"], one["field"]) for one in answer.json["rejected"]]
    assert verdicts == [(1, "missing_identity", "user_id"), (4, "invalid_type", "user_id"), (5, "not_an_object", None)]
    assert answer.json["rejected"][1]["event_id"] == batch[4]["event_id"]  # type: ignore[index]


def test_a_batch_without_any_good_record_is_a_client_error(client: Client) -> None:
    answer = client.post(b'[{"event_type":"click"},5]')

    assert error_code(answer) == "all_rejected"
    assert [one["index"] for one in answer.json["rejected"]] == [0, 1]


def test_a_whole_batch_sent_again_is_a_success_that_stores_nothing(client: Client) -> None:
    body = encoded([fresh() for _ in range(50)])
    client.post(body)
    total = client.get("/stats")["total_events"]

    answer = client.post(body)

    assert (answer.status, answer.json) == (202, {"status": "accepted", "processed": 0, "duplicates": 50})
    time.sleep(0.12)  # /stats may be a tenth of a second old
    assert client.get("/stats")["total_events"] == total


def test_an_empty_batch_is_accepted_with_nothing_to_keep(client: Client) -> None:
    assert client.post(b'{"records":[]}').json == {"status": "accepted", "processed": 0}


BOMB = gzip.compress(bytes(50 * 1024 * 1024))


@pytest.mark.parametrize(
    ("body", "headers", "code"),
    [
        (b"", {}, "empty_body"),
        (b"nonsense", {}, "malformed_json"),
        (b"[" * 100_000, {}, "malformed_json"),
        (b"\xff\xfe", {}, "malformed_json"),
        (b"7", {}, "invalid_body"),
        (encoded(native_event()), {"content_type": "image/png"}, "unsupported_media_type"),
        (encoded(native_event()), {"Content_Encoding": "br"}, "unsupported_encoding"),
        (gzip.compress(b"x" * 1000, mtime=0)[:-9], {"Content_Encoding": "gzip"}, "invalid_encoding"),
        (BOMB, {"Content_Encoding": "gzip"}, "body_too_large"),
        (BOMB, {}, "body_too_large"),
        (b" " * (5 * 1024 * 1024 + 1), {}, "body_too_large"),
        (b"[" + b"1," * 10_000 + b"1]", {}, "too_many_records"),
    ],
)
def test_a_body_that_cannot_be_taken_is_refused_with_its_code(
    client: Client, body: bytes, headers: dict[str, str], code: str
) -> None:
    before = client.get("/stats")

    answer = client.post(body, **headers)

    assert error_code(answer) == code
    time.sleep(0.12)  # /stats may be a tenth of a second old
    after = client.get("/stats")
    assert after["total_events"] == before["total_events"]
    assert after["accounting"]["rejected"] == before["accounting"]["rejected"] + 1
    assert client.get("/rejected?limit=1")["rejected"][0]["code"] == code


@pytest.mark.parametrize("path", ["/nowhere", "/events/", "/Stats", "/%00", "/events%2f.."])
def test_an_unknown_address_is_a_json_error(client: Client, path: str) -> None:
    assert error_code(client.request("GET", path)) == "not_found"


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("/events/", "/events is, without the slash"),
        ("/nowhere/", "GET / lists the endpoints"),
    ],
)
def test_a_slash_too_many_is_said_to_be_one(client: Client, path: str, hint: str) -> None:
    answer = client.request("POST", path, encoded(fresh()))

    assert answer.json["error"]["message"] == f"there is no {path} here; {hint}"


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "/events"), ("DELETE", "/events"), ("POST", "/stats"), ("PATCH", "/export")]
)
def test_a_wrong_method_is_a_json_error_that_lists_the_right_ones(client: Client, method: str, path: str) -> None:
    answer = client.request(method, path, b"{}")

    assert error_code(answer) == "method_not_allowed"
    assert "GET" in answer.headers["allow"]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=1001", "limit=-1", "limit=x", "limit=1.5", "limit=%D9%A1", "limit=", "limit=000000000100001",
        "limit=0000000001" + "0" * 5000, "cursor=x", "cursor=-1", "cursor=" + "9" * 30,
        "since=yesterday", "until=2026-02-30", "since=2026-01-15T10:30:00", "unknown=1", "property.=x",
    ],
)  # fmt: skip
def test_a_wrong_parameter_is_named(client: Client, query: str) -> None:
    client.post(encoded(fresh()))

    answer = client.request("GET", f"/events?{query}")

    assert error_code(answer) == "invalid_parameter"
    assert answer.json["error"]["field"] == query.partition("=")[0]


def test_unknown_windows_and_formats_are_refused(client: Client) -> None:
    assert error_code(client.request("GET", "/stats?window=2h")) == "invalid_parameter"
    assert error_code(client.request("GET", "/export?format=xml")) == "invalid_parameter"


def test_pages_with_cursors_give_every_event_once_while_more_arrive(client: Client) -> None:
    user = new_id()
    sent = [fresh(user_id=user) for _ in range(25)]
    client.post(encoded(sent))
    found: list[str] = []
    cursor = ""
    while True:
        page = client.get(f"/events?user_id={user}&limit=4{cursor}")
        found += [event["event_id"] for event in page["events"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
        client.post(encoded(fresh(user_id=user)))

    assert found == [event["event_id"] for event in sent[::-1]]


def test_a_cursor_that_points_into_an_event_goes_on_with_the_one_before(client: Client) -> None:
    client.post(encoded([fresh() for _ in range(3)]))
    first = client.get("/events?limit=1")
    behind = client.get("/events?limit=1")["next_cursor"]

    for cursor in range(int(behind) - 1, int(behind) - 120, -1):
        assert client.get(f"/events?limit=1&cursor={cursor}")["events"] != first["events"]
    assert client.get(f"/events?limit=1&cursor={10**12}")["events"] == first["events"]
    assert client.get("/events?cursor=0") == {"events": [], "next_cursor": None}


def test_filters_find_what_they_name(client: Client) -> None:
    user = new_id()
    events = [
        fresh(user_id=user, event_type="search", properties={"query": "lamp & chair"}),
        fresh(user_id=user, properties={"page": "/a", "n": 5}),
        fresh(user_id=user, timestamp="2026-01-10T00:00:00Z"),
    ]
    client.post(encoded(events))

    def found(query: str) -> list[str]:
        return [event["event_id"] for event in client.get(f"/events?user_id={user}&{query}")["events"]]

    search, page, early = (event["event_id"] for event in events)
    assert found("event_type=search") == [search]
    assert found("property.query=lamp%20%26%20chair") == [search]
    assert found("property.n=5") == [page]
    assert found("until=2026-01-10T00:00:01Z") == [early]
    assert found("since=2026-01-10T02:00:00%2B02:00&until=2026-01-10T00:00:00.001Z") == [early]
    assert found("since=2026-01-10T00:00:00.001Z") == [page, search]
    assert found("since=2026-01-10&until=2026-01-10") == [early]
    assert found("until=2026-01-09") == []
    assert found("property.page=/a&event_type=search") == []


def test_head_gives_the_headers_of_a_download_and_leaves_no_descriptor_open(api: Platform, client: Client) -> None:
    descriptors = Path(f"/proc/{api.process.pid}/fd")
    client.request("HEAD", "/export")
    before = len(list(descriptors.iterdir()))

    for _ in range(30):
        answer = client.request("HEAD", "/export")
        assert (answer.status, answer.body) == (200, b"")

    assert len(list(descriptors.iterdir())) <= before + 2


def test_downloads_have_a_name_and_agree_with_the_statistics(client: Client) -> None:
    time.sleep(0.12)  # /stats may be a tenth of a second old
    stats = client.get("/stats")
    answers = {form: client.request("GET", f"/export?format={form}") for form in ("json", "ndjson", "csv")}

    events = answers["json"].json
    assert len(events) == stats["total_events"] == sum(stats["events_by_type"].values())
    assert [json.loads(line) for line in answers["ndjson"].body.splitlines()] == events
    assert len({event["event_id"] for event in events}) == len(events)
    for form, answer in answers.items():
        name = answer.headers["content-disposition"]
        assert name.startswith('attachment; filename="clickstream_export_20')
        assert name.endswith(f'.{form}"')


def test_a_spreadsheet_gets_the_columns_that_it_asks_for(client: Client) -> None:
    who = new_id()
    client.post(encoded({"event_type": "signup", "user_id": who, "properties": {"plan": "pro", "my seats": 5}}))

    chosen = client.request(
        "GET", f"/export?format=csv&columns=user_id,property.plan,property.my%20seats&user_id={who}"
    )
    refusals = [
        client.request(method, f"/export?{words}")
        for method, words in (
            ("GET", "format=csv&columns=user_id,plan"),
            ("HEAD", "format=csv&columns=plan"),
            ("GET", "columns=user_id"),
            ("GET", "format=parquet&columns=user_id"),
        )
    ]

    assert chosen.body.decode() == f'"user_id","property.plan","property.my seats"\r\n"{who}","pro","5"\r\n'
    assert [answer.status for answer in refusals] == [400, 400, 400, 400]
    assert refusals[0].json["error"]["field"] == "columns"
    assert 'there is no column "plan"; known: event_id' in refusals[0].json["error"]["message"]
    assert "only format=csv has columns to choose, json has" in refusals[2].json["error"]["message"]


@given(st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_accepted_event_comes_out_of_the_export_equal(client: Client, data: st.DataObject) -> None:
    events = data.draw(st.lists(good_events(), min_size=1, max_size=8))
    for event in events:
        event["event_id"] = new_id()
        event["user_id"] = events[0]["event_id"]

    answer = client.post(data.draw(written(events)))

    assert answer.json == {"status": "accepted", "processed": len(events)}
    exported = client.request("GET", f"/export?format=ndjson&user_id={events[0]['event_id']}").body
    kept = [json.loads(line) for line in exported.split(b"\n")[:-1]]
    assert len(kept) == len(events)
    for stored, sent in zip(kept, events, strict=True):
        expected = dict(sent)
        if "timestamp" in sent:
            assert parse(stored["timestamp"]) == parse(sent["timestamp"])
            expected["timestamp"] = stored["timestamp"]
        assert without_additions(stored, sent) == expected


def test_an_export_during_writes_is_a_consistent_prefix(api: Platform, client: Client) -> None:
    client.post(encoded([fresh(properties={"x": "y" * 2000}) for _ in range(2000)]))
    stop = threading.Event()
    posted: list[str] = []

    def write() -> None:
        writer = Client(api.url)
        while not stop.is_set():
            event = fresh()
            assert writer.post(encoded(event)).status == 202
            posted.append(event["event_id"])
        writer.close()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        exports = []
        for form in ("json", "ndjson", "json", "ndjson"):
            known = len(posted)
            body = client.request("GET", f"/export?format={form}").body
            exports.append(
                (known, json.loads(body) if form == "json" else [json.loads(line) for line in body.splitlines()])
            )
    finally:
        stop.set()
        thread.join()

    final = [event["event_id"] for event in api.events()]
    for known, events in exports:
        exported = [event["event_id"] for event in events]
        assert exported == final[: len(exported)]
        assert set(posted[:known]) <= set(exported)


def test_the_file_is_the_json_export(api: Platform, client: Client) -> None:
    answer = client.request("GET", "/export")

    path = Path(f"/proc/{api.process.pid}/cwd/events_backup.json")
    assert path.read_bytes() == answer.body
    assert len(array_in(path)) == len(answer.json)
