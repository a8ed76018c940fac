"""GET /analytics/<name> of the real API: the rows of the command, from the first event to the last acknowledged."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import requests

from clickstream.analytics import engine
from clickstream.analytics.catalog import QUESTIONS
from clickstream.analytics.dimensions import KNOWN
from tests.support.event_sample import sample_events, sessions_of, time_of, write_journal
from tests.support.journals import write_long_journal
from tests.support.platform import ROOT, Platform, platform
from tests.support.waiting import until

EVENTS = sample_events(3000, seed=11)
COPY = "events_backup.json.parquet"
FILL = "x" * 750  # makes 20,000 events more than the 16 MiB from which on there is a copy


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("analytics")


@pytest.fixture(scope="module")
def api(directory: Path) -> Iterator[Platform]:
    write_journal(directory / "events_backup.json", EVENTS)
    with platform(directory) as running:
        yield running


def refusal(api: Platform, path: str) -> tuple[int, dict[str, str]]:
    answer = requests.get(api.url + path, timeout=60)
    return answer.status_code, answer.json()["error"]


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20,000 events of which every hundredth is Anna's, many enough for a Parquet copy."""
    path = tmp_path_factory.mktemp("large") / "events_backup.json"
    write_journal(
        path,
        [
            {
                "event_id": f"e-{number}",
                "event_type": "page_view",
                "user_id": "anna" if number % 100 == 0 else f"u-{number % 50}",
                "timestamp": "2026-01-01T00:00:00Z",
                "properties": {"page": f"/of-anna/{FILL}" if number % 100 == 0 else f"/{number % 3}", "fill": FILL},
                "received_at": "2026-01-01T00:00:00.000Z",
            }
            for number in range(20_000)
        ],
    )
    return path


@pytest.fixture
def large_journal(large: Path, tmp_path: Path) -> Path:
    """A copy of it where a platform keeps its journal."""
    return shutil.copy(large, tmp_path / large.name)


def copied(directory: Path) -> list[Path]:
    return list((directory / COPY).glob("v*"))


def mentions(directory: Path, text: str) -> int:
    """Events of the copy, of all columns, that hold `text`; a mention elsewhere in the copy fails."""
    found = {
        path: sum(any(text in str(cell) for cell in row) for row in every_row(path))
        for path in (directory / COPY).rglob("*.parquet")
    }
    events = sum(count for path, count in found.items() if path.name == "events.parquet")
    assert events or not any(found.values())
    return events


def every_row(path: Path) -> list[Any]:
    with engine.connect() as connection:
        return connection.execute(f"SELECT * FROM read_parquet('{path}')").fetchall()


def test_the_questions_are_listed(api: Platform) -> None:
    listed = api.get("/analytics")

    assert {one["name"]: one["description"] for one in listed["questions"]} == QUESTIONS
    assert listed["visit_properties"] == list(KNOWN)


@pytest.mark.parametrize("name", QUESTIONS)
def test_an_answer_has_the_rows_that_the_command_prints(api: Platform, directory: Path, name: str) -> None:
    command = [sys.executable, "-m", "clickstream", "sql", name, "--format", "json"]
    command += ["--file", str(directory / "events_backup.json")]
    printed = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60, check=True).stdout)

    answer = api.get(f"/analytics/{name}")

    assert answer.pop("elapsed_ms") > 0
    assert answer == {key: value for key, value in printed.items() if key != "elapsed_ms"}
    assert len(answer["rows"]) > 0
    assert all(list(row) == answer["columns"] for row in answer["rows"])


def test_the_funnel_is_that_of_the_statistics(api: Platform) -> None:
    rows = api.get("/analytics/funnel")["rows"]

    assert [{"step": row["step"], "sessions": row["sessions"]} for row in rows] == api.get("/stats")["funnel"]


def test_an_acknowledged_event_is_in_the_next_answer(tmp_path: Path) -> None:
    with platform(tmp_path) as fresh:
        for number in range(1, 4):
            event = {"event_type": "page_view", "user_id": "u", "properties": {"page": "/a"}}
            requests.post(f"{fresh.url}/events", json=event, timeout=5)

            assert fresh.get("/analytics/top_pages")["rows"][0]["views"] == number


def test_a_span_and_a_limit_restrict_the_answer(api: Platform) -> None:
    since, until_ = "2026-01-02T00:00:00Z", "2026-01-03T00:00:00+00:00"
    expected = Counter(
        event["properties"]["page"]
        for event in EVENTS
        if event["event_type"] == "page_view" and event["timestamp"][:10] == "2026-01-02"
    )

    whole = api.get("/analytics/top_pages", since=since, until=until_)
    first = api.get("/analytics/top_pages", since=since, until=until_, limit="5")

    assert {row["page"]: row["views"] for row in whole["rows"]} == expected
    assert (whole["truncated"], first["truncated"]) == (False, True)
    assert first["rows"] == whole["rows"][:5]
    assert api.get("/analytics/top_pages", limit=str(len(whole["rows"])))["truncated"] is False


def test_days_are_those_of_the_zone_in_answers_and_in_spans(api: Platform, directory: Path) -> None:
    zone = ZoneInfo("America/New_York")
    days = Counter(str(time_of(event).astimezone(zone).date()) for event in EVENTS)
    command = [sys.executable, "-m", "clickstream", "sql", "traffic", "--format", "csv", "--zone", str(zone)]
    command += ["--file", str(directory / "events_backup.json"), "--since", "2026-01-01", "--until", "2026-01-02"]

    answer = api.get("/analytics/traffic", zone=str(zone))
    two = api.get("/analytics/traffic", zone=str(zone), since="2026-01-01", until="2026-01-02")
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True).stdout

    assert {row["day"]: row["events"] for row in answer["rows"]} == days
    assert {row["day"]: row["events"] for row in two["rows"]} == {
        day: days[day] for day in ("2026-01-01", "2026-01-02")
    }
    assert [line.split(",")[:2] for line in printed.splitlines()[1:]] == [
        [row["day"], str(row["events"])] for row in two["rows"]
    ]


def test_a_question_about_chosen_visits_is_about_all_of_them_and_no_others(api: Platform, directory: Path) -> None:
    visits = sessions_of(EVENTS).values()
    came = [visit for visit in visits if any(event["properties"].get("utm_source") == "newsletter" for event in visit)]
    orders = sum(event["event_type"] == "purchase" for visit in came for event in visit)
    command = [sys.executable, "-m", "clickstream", "sql", "revenue", "--format", "json"]
    command += ["--visit", "utm_source=newsletter", "--visit", "event_type=page_view"]

    answer = api.get("/analytics/revenue", **{"visit.utm_source": "newsletter"})
    both = api.get("/analytics/revenue", **{"visit.utm_source": "newsletter", "visit.event_type": "page_view"})
    printed = subprocess.run(
        [*command, "--file", str(directory / "events_backup.json")],
        cwd=ROOT,
        capture_output=True,
        timeout=60,
        check=True,
    )

    assert len(visits) > len(came)
    assert sum(row["orders"] for row in answer["rows"]) == orders > 0
    assert json.loads(printed.stdout)["rows"] == both["rows"]


def test_a_funnel_of_own_steps_has_the_rows_that_the_command_prints(api: Platform, directory: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "clickstream",
        "sql",
        "funnel",
        "--steps",
        "search, /p/3,purchase",
        "--format",
        "json",
    ]
    command += ["--file", str(directory / "events_backup.json")]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60, check=True).stdout

    answer = api.get("/analytics/funnel", steps="search,/p/3 ,purchase")

    assert [row["step"] for row in answer["rows"]] == ["search", "/p/3", "purchase"]
    assert answer["rows"][0]["sessions"] > answer["rows"][2]["sessions"] > 0
    assert json.loads(printed)["rows"] == answer["rows"]


def test_steps_of_what_is_no_funnel_are_refused(api: Platform) -> None:
    status, error = refusal(api, "/analytics/funnel?steps=click,click")
    of_paths, error_of_paths = refusal(api, "/analytics/paths?steps=click,purchase")

    assert (status, error["code"], error["field"]) == (400, "invalid_parameter", "steps")
    assert (of_paths, error_of_paths["code"], error_of_paths["field"]) == (400, "invalid_parameter", "steps")


def test_a_breakdown_goes_by_a_property_of_ones_own_and_visits_are_chosen_by_it(tmp_path: Path) -> None:
    with platform(tmp_path) as api:
        for number, plan in enumerate(["pro", "free", "free", 5, None]):
            event = {"event_type": "page_view", "user_id": f"u{number}", "session_id": f"s{number}"}
            requests.post(f"{api.url}/events", json={**event, "properties": {"plan": plan, "page": "/"}}, timeout=10)
        requests.post(f"{api.url}/events", json={**event, "event_type": "purchase", "session_id": "s0"}, timeout=10)

        answer = api.get("/analytics/breakdown", by="property.plan")
        chosen = api.get("/analytics/sessions", **{"visit.property.plan": "free"})
        others = api.get("/analytics/sessions", **{"without.property.plan": "free"})
        status, error = refusal(api, "/analytics/breakdown?by=plan")
        robot = {"User-Agent": "Googlebot/2.1"}
        requests.post(f"{api.url}/events", json={**event, "session_id": "s9"}, headers=robot, timeout=10)
        for number, said in enumerate(["true", 1, False, "maybe"]):
            marked = {**event, "session_id": f"said {number}", "is_bot": said}
            requests.post(f"{api.url}/events", json=marked, timeout=10)
        people = api.get("/analytics/sessions", **{"without.is_bot": "true"})
        robots = api.get("/events", is_bot="true")["events"]

    assert answer["columns"] == ["dimension", "dimension_value", "events", "sessions", "orders"]
    assert [list(row.values())[1:] for row in answer["rows"]] == [["free", 2, 2, 0], ["5", 1, 1, 0], ["pro", 1, 1, 1]]
    assert [row["sessions"] for row in chosen["rows"]] == [2]
    assert [row["sessions"] for row in others["rows"]] == [3]
    assert [row["sessions"] for row in people["rows"]] == [8]
    assert [event["session_id"] for event in robots] == ["said 0", "s9"]
    assert (status, error["field"]) == (400, "by")
    assert error["message"].endswith("a property of yours is property.plan")


def test_an_unknown_question_is_not_found_and_the_known_ones_are_named(api: Platform) -> None:
    status, error = refusal(api, "/analytics/funel")

    assert (status, error["code"], error["field"]) == (404, "not_found", "name")
    assert error["message"] == f'no question "funel"; there are {", ".join(QUESTIONS)}'


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=10001", "limit"),
        ("since=today", "since"),
        ("until=", "until"),
        ("form=csv", "form"),
        ("visit.colour=red", "visit.colour"),
        ("visit.page=", "visit.page"),
        ("visit.page=/&visit.page=/cart", "visit.page"),
        ("visit.property.=pro", "visit.property."),
        ("without.colour=red", "without.colour"),
        ("without.page=", "without.page"),
        ("visit.property.plan=", "visit.property.plan"),
        ("by=colour", "by"),
        ("zone=Berlin", "zone"),
        ("zone=", "zone"),
    ],
)
def test_a_wrong_parameter_is_refused(api: Platform, query: str, field: str) -> None:
    status, error = refusal(api, f"/analytics/funnel?{query}")

    assert (status, error["code"], error["field"]) == (400, "invalid_parameter", field)


def test_while_the_journal_is_read_the_answer_is_503(tmp_path: Path) -> None:
    write_long_journal(tmp_path / "events_backup.json", 100)
    with platform(tmp_path, wait=False) as starting:
        statuses: list[tuple[int, str]] = []

        def answered() -> bool:
            try:
                answer = requests.get(f"{starting.url}/analytics/revenue", timeout=30)
            except requests.ConnectionError:
                return False
            statuses.append((answer.status_code, answer.json().get("error", {}).get("code", "")))
            return answer.status_code == 200

        until(answered, timeout_s=30)

    assert statuses[0] == (503, "replaying")
    assert set(statuses) == {(503, "replaying"), (200, "")}


def test_duckdb_is_loaded_only_by_the_first_question(tmp_path: Path) -> None:
    imported = "import local_api, api, clickstream.backends.aws, sys; sys.exit('duckdb' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", imported], cwd=ROOT, check=False).returncode == 0

    maps = "/proc/{}/maps"
    if not Path(maps.format("self")).exists():
        pytest.skip("no /proc here")
    with platform(tmp_path) as fresh:
        loaded = Path(maps.format(fresh.process.pid))
        fresh.get("/stats")
        fresh.get("/analytics")
        assert "duckdb" not in loaded.read_text()
        fresh.get("/analytics/funnel")
        assert "duckdb" in loaded.read_text()


def test_many_questions_at_once_wait_in_line_and_the_rest_is_told_when_to_come_back(api: Platform) -> None:
    def ask(_: int) -> requests.Response:
        return requests.get(f"{api.url}/analytics/breakdown", timeout=60)

    with ThreadPoolExecutor(24) as threads:
        answers = list(threads.map(ask, range(24)))

    assert {answer.status_code for answer in answers} == {200, 503}
    assert len({json.dumps(answer.json()["rows"]) for answer in answers if answer.status_code == 200}) == 1
    late = next(answer for answer in answers if answer.status_code == 503)
    assert (late.json()["error"]["code"], late.headers["Retry-After"]) == ("unavailable", "5")
    assert api.get("/analytics/revenue")["rows"]


@pytest.mark.usefixtures("large_journal")
def test_collecting_goes_on_while_a_question_is_answered(tmp_path: Path) -> None:
    with platform(tmp_path) as running:
        answers: list[Any] = []
        asking = threading.Thread(target=lambda: answers.append(running.get("/analytics/top_pages")))
        asking.start()
        sent = 0
        while asking.is_alive() or sent == 0:
            event = {"event_type": "click", "user_id": "u"}
            assert requests.post(f"{running.url}/events", json=event, timeout=5).status_code == 202
            sent += 1
        asking.join()

        assert sum(row["views"] for row in answers[0]["rows"]) == 20_000
        assert running.get("/stats")["total_events"] == 20_000 + sent
        assert copied(tmp_path)


@pytest.mark.parametrize("footer", [bytes(104), b"\xff" * 100 + b"\x64\0\0\0"], ids=["empty", "unreadable"])
@pytest.mark.usefixtures("large_journal")
def test_a_damaged_copy_is_made_anew(tmp_path: Path, footer: bytes) -> None:
    damaged = b"PAR1" + footer + b"PAR1"
    with platform(tmp_path) as running:
        before = running.get("/analytics/top_pages")["rows"]
        (copy,) = copied(tmp_path)
        for table in ("events.parquet", "session_pages.parquet"):
            (copy / table).write_bytes(damaged)

            assert running.get("/analytics/top_pages")["rows"] == before

        assert (copy / "events.parquet").stat().st_size > 10_000
        assert (copy / "session_pages.parquet").stat().st_size > len(damaged)


@pytest.mark.parametrize("number", [0, 1, 2500, 2999])
def test_a_line_that_was_mended_counts_nowhere(tmp_path: Path, number: int) -> None:
    path = tmp_path / "events_backup.json"
    write_journal(path, EVENTS)
    content = bytearray(path.read_bytes())
    start = content.index(f'{{"event_id":"event-{number}"'.encode())
    content[start] = 0xFF
    path.write_bytes(content)

    with platform(tmp_path) as running:
        total = running.get("/stats")["total_events"]
        rows = running.get("/analytics/breakdown")["rows"]

    assert total == 2999
    assert sum(row["events"] for row in rows if row["dimension"] == "device") == total


def test_a_line_that_was_damaged_after_it_was_copied_counts_nowhere_either(tmp_path: Path, large_journal: Path) -> None:
    with platform(tmp_path) as running:
        running.get("/analytics/top_pages")
    content = bytearray(large_journal.read_bytes())
    content[content.index(b'{"event_id":"e-777"')] = 0xFF
    large_journal.write_bytes(content)

    with platform(tmp_path) as running:
        total = running.get("/stats")["total_events"]

        assert sum(row["views"] for row in running.get("/analytics/top_pages")["rows"]) == total == 19_999


@pytest.mark.usefixtures("large_journal")
def test_an_erased_person_is_not_in_the_copy_either(tmp_path: Path) -> None:
    with platform(tmp_path) as running:
        running.get("/analytics/top_pages")
        assert mentions(tmp_path, "of-anna") == 200

        assert requests.delete(f"{running.url}/users/anna", timeout=30).json()["events"] == 200

        assert not (tmp_path / COPY).exists()
        rows = running.get("/analytics/top_pages")["rows"]
        assert sorted(row["page"] for row in rows) == ["/0", "/1", "/2"]
        assert sum(row["views"] for row in rows) == 19_800
        assert copied(tmp_path)
        assert mentions(tmp_path, "anna") == 0


@pytest.mark.crash
@pytest.mark.usefixtures("large_journal")
def test_an_erasure_that_a_restart_finishes_takes_the_copy_too(tmp_path: Path) -> None:
    with platform(tmp_path) as running:
        running.get("/analytics/top_pages")
        running.process.send_signal(signal.SIGKILL)
        running.process.wait(10)
    assert mentions(tmp_path, "of-anna") == 200
    left = tmp_path / COPY / "work-killed"  # what a question leaves that was killed
    left.mkdir()
    (left / "part.ndjson").write_text('{"user_id":"anna"}')
    (tmp_path / "events_backup.json.erasing").write_text('["anna"]')  # the wish was kept, then came the kill

    with platform(tmp_path) as running:
        assert not (tmp_path / COPY).exists()
        assert running.get("/stats")["total_events"] == 19_800
        assert sum(row["views"] for row in running.get("/analytics/top_pages")["rows"]) == 19_800
    assert mentions(tmp_path, "anna") == 0


@pytest.mark.usefixtures("large_journal")
def test_an_erasure_amid_questions_leaves_nothing_behind(tmp_path: Path) -> None:
    with platform(tmp_path) as running:
        done = threading.Event()
        statuses: set[int] = set()

        def ask() -> None:
            while not done.is_set():
                statuses.add(requests.get(f"{running.url}/analytics/top_pages", timeout=30).status_code)

        asking = [threading.Thread(target=ask) for _ in range(3)]
        for thread in asking:
            thread.start()
        erased = requests.delete(f"{running.url}/users/anna", timeout=60).json()
        running.get("/analytics/top_pages")
        done.set()
        for thread in asking:
            thread.join()

        assert erased["events"] == 200
        assert statuses <= {200, 503}
        assert mentions(tmp_path, "anna") == 0
        assert not list((tmp_path / COPY).glob("work-*"))


@pytest.mark.usefixtures("large_journal")
def test_events_past_their_time_leave_the_copy_too(tmp_path: Path) -> None:
    with platform(tmp_path) as running:
        running.get("/analytics/top_pages")
    assert mentions(tmp_path, "of-anna") == 200

    with platform(tmp_path, RETENTION_DAYS="30") as running:
        until(lambda: (tmp_path / "events_backup.json").read_bytes() == b"[\n]\n", timeout_s=30)
        until(lambda: requests.get(f"{running.url}/ready", timeout=5).status_code == 200)

        assert not (tmp_path / COPY).exists()
        assert running.get("/analytics/top_pages")["rows"] == []


def test_events_of_very_many_values_leave_memory_for_every_question(tmp_path: Path) -> None:
    event = {"event_type": "purchase", "user_id": "u", "properties": {"device": [0] * 115_000}}
    lines = "\n".join([json.dumps(event, separators=(",", ":"))] * 20)
    headers = {"Content-Type": "application/x-ndjson"}
    with platform(tmp_path) as running:
        for _ in range(4):
            assert requests.post(f"{running.url}/events", data=lines, headers=headers, timeout=30).status_code == 202

        rows = {name: running.get(f"/analytics/{name}")["rows"] for name in QUESTIONS}

    assert rows["revenue"][0]["orders"] == 80


def test_a_parquet_export_of_an_old_journal_counts_each_event_without_an_id(tmp_path: Path) -> None:
    events = [
        {
            **({"event_id": "e-1"} if number == 3 else {}),
            **({"received_at": "2026-01-01T00:00:00.000Z"} if number == 0 else {}),
            "event_type": "purchase",
            "user_id": "u",
            "timestamp": "2026-01-01T00:00:00Z",
            "properties": {"total": total},
        }
        for number, total in enumerate((10, 20, 30, 40))
    ]
    write_journal(tmp_path / "events_backup.json", events)
    with platform(tmp_path) as running:
        expected = running.get("/analytics/revenue")["rows"]
        exported = requests.get(f"{running.url}/export", params={"format": "parquet"}, timeout=30)
    (tmp_path / "export.parquet").write_bytes(exported.content)

    command = [sys.executable, "-m", "clickstream", "sql", "revenue", "--format", "json"]
    command += ["--file", str(tmp_path / "export.parquet")]
    printed = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60, check=True).stdout)

    assert [(row["orders"], row["revenue_cents"]) for row in expected] == [(4, 10_000)]
    assert printed["rows"] == expected


def test_a_question_beyond_its_memory_says_so_and_a_shorter_time_is_answered(tmp_path: Path) -> None:
    journal = tmp_path / "events_backup.json"
    write_journal(
        journal,
        [
            {
                "event_id": f"e-{number}",
                "event_type": "purchase",
                "user_id": "u",
                "timestamp": f"2026-01-{1 + number // 15:02}T00:00:00Z",
                "properties": {"items": [{"product_name": f"{number}-{item}-{'x' * 16_000}"} for item in range(14)]},
                "received_at": "2026-02-01T00:00:00.000Z",
            }
            for number in range(300)
        ],
    )
    sentence = (
        "this needs more memory than the 1 GB that it may have: "
        "ask for a shorter time, with since and until closer together"
    )

    with platform(tmp_path) as running:
        status, error = refusal(running, "/analytics/top_products")
        shorter = running.get("/analytics/top_products", since="2026-01-20T00:00:00Z")["rows"]
    command = [sys.executable, "-m", "clickstream", "sql", "top_products", "--file", str(journal)]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    assert (status, error) == (400, {"code": "invalid_parameter", "message": sentence, "field": "since"})
    assert len(shorter) == 100
    assert (printed.returncode, printed.stdout, printed.stderr) == (2, "", f"{sentence}\n")


@pytest.fixture(scope="module")
def till(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with platform(tmp_path_factory.mktemp("till")) as running:
        yield running


@pytest.mark.parametrize("amount", [1e18, "1000000000000000000", -1e18, 99999999999999999999, "1e20", 1e300, 9e17])
def test_an_absurd_amount_is_no_revenue_and_spoils_no_answer(till: Platform, amount: object) -> None:
    requests.delete(f"{till.url}/users/a", timeout=20)  # whose purchases with another amount these were
    for total in (amount, 12.5):
        event = {"event_type": "purchase", "user_id": "a", "properties": {"total": total}}
        assert requests.post(f"{till.url}/events", json=event, timeout=5).status_code == 202

    statuses = {name: requests.get(f"{till.url}/analytics/{name}", timeout=30).status_code for name in QUESTIONS}
    (row,) = till.get("/analytics/revenue")["rows"]

    assert set(statuses.values()) == {200}
    revenue = till.get("/stats")["revenue"]
    assert (row["orders"], row["revenue_cents"]) == (revenue["orders"], revenue["cents"]) == (2, 1250)


_AMOUNTS = [
    "\uff11\uff12",
    "\u0663",
    "\u00a07",
    " 7",
    "1__0",
    "1_0",
    "0e999999",
    "0e99",
    "Infinity",
    "nan",
    "1" * 39,
    "12345678901e-9",
]
_AMOUNTS += [
    "+5",
    "5.",
    "005.5",
    "1.e2",
    "2.5E-2",
    ".5",
    "",
    "5\n",
    "9" * 21 + "e-20",
    "1e-300",
    "1e13",
    "10000000000000.01",
]
_AMOUNTS += [
    "25.00500000000000001",
    "25.00500000000000000000001",
    "1234567890123.00500000000000001",
    "1234567890123.0050000000000000001",
    "9999999999999.99499999999999999",
    "-0.00500000000000000000001",
    "10000000000000.000000000000000001",
    "0.0149999999999999999999",
]


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    quantities = [3, "3", 2.5, "2.5", 3.0, None, "", "\u0663", True, 0, -1, "1000000", 999999, [], "x", "007"]
    events = [{"event_type": "purchase", "user_id": "u", "properties": {"total": amount}} for amount in _AMOUNTS]
    for number, quantity in enumerate(quantities):
        for name, properties in (("alone", {}), ("listed", {"items": [{}]})):
            item = {"product_name": f"{name}-{number}", "quantity": quantity}
            bought = {"items": [item]} if properties else item
            events.append({"event_type": "purchase", "user_id": "u", "properties": bought})
    with platform(tmp_path_factory.mktemp("odd")) as running:
        assert requests.post(f"{running.url}/events", json=events, timeout=10).json()["processed"] == len(events)
        yield running


def test_odd_amounts_count_alike_in_the_statistics_and_in_sql(odd: Platform) -> None:
    (row,) = odd.get("/analytics/revenue")["rows"]
    revenue = odd.get("/stats")["revenue"]

    assert row["revenue_cents"] == revenue["cents"] > 0
    assert row["orders"] == revenue["orders"] == len(_AMOUNTS) + 32  # with an amount that counts or without
    assert row["average_order_cents"] == pytest.approx(float(revenue["average_order"]) * 100, abs=0.5)


def test_odd_quantities_count_alike_in_the_statistics_and_in_sql(odd: Platform) -> None:
    rows = odd.get("/analytics/top_products")["rows"]
    units = {row["product"]: row["units"] for row in rows if row["units"]}

    counted = dict.fromkeys(("alone-0", "listed-0", "alone-1", "listed-1"), 3)
    counted |= dict.fromkeys(("alone-5", "listed-5"), 1) | dict.fromkeys(("alone-12", "listed-12"), 999999)
    counted |= dict.fromkeys(("alone-15", "listed-15"), 7)
    assert units == counted
    assert units == {one["value"]: one["purchases"] for one in odd.get("/stats")["top"]["products"]}


_NAMES: list[Any] = ["/a", "", None, 5, 0, 2.5, True, {"path": "/a"}, ["/a"], "null", "5", '"', "\\", "Größe\n🙂", "_"]


def test_only_texts_count_as_names_in_the_statistics_and_in_sql(tmp_path: Path) -> None:
    events: list[dict[str, Any]] = []
    for number, name in enumerate(_NAMES):
        for product_id in ("sku", number, ""):
            names = {"page": name, "device": name, "product_name": name, "product_id": product_id}
            for event_type, properties in (("page_view", names), ("purchase", names), ("purchase", {"items": [names]})):
                events.append({"event_type": event_type, "user_id": "u", "properties": properties})
    with platform(tmp_path) as running:
        assert requests.post(f"{running.url}/events", json=events, timeout=10).json()["processed"] == len(events)
        pages, products, values = (
            running.get(f"/analytics/{name}")["rows"] for name in ("top_pages", "top_products", "breakdown")
        )
        top = running.get("/stats")["top"]

    texts = [name for name in _NAMES if isinstance(name, str) and name]
    assert {row["page"]: row["views"] for row in pages} == dict.fromkeys(texts, 3)
    assert {row["product"]: (row["views"], row["units"]) for row in products} == {
        **dict.fromkeys(texts, (3, 6)),
        "sku": (len(_NAMES) - len(texts), 2 * (len(_NAMES) - len(texts))),
    }
    assert {row["dimension_value"] for row in values if row["dimension"] == "device"} == set(texts)
    assert {one["value"]: one["count"] for one in top["pages"]} == {row["page"]: row["views"] for row in pages}
    assert {one["value"]: one["count"] for one in top["devices"]} == dict.fromkeys(texts, 3)
    assert {one["value"]: (one["count"], one["purchases"]) for one in top["products"]} == {
        row["product"]: (row["views"], row["units"]) for row in products
    }
