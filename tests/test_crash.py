"""Killed, cut off from power, on a failing or full disk: what was acknowledged is kept."""

from __future__ import annotations

import fcntl
import json
import os
import random
import resource
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support.crashes import Ledger, Load, check_kept, wait_for
from tests.support.http_client import Client
from tests.support.journals import array_in, stored_record
from tests.support.native import encoded, native_event
from tests.support.platform import Platform, platform
from tests.support.waiting import until

pytestmark = pytest.mark.crash

KILLS = int(os.environ.get("CRASH_KILLS", "20"))
POWER_CUTS = int(os.environ.get("CRASH_POWER_CUTS", "10"))
_EXT4_SHUTDOWN = 0x8004587D
_WITHOUT_FLUSH = struct.pack("I", 2)


def ended(api: Platform) -> Callable[[], bool]:
    """Whether its process is gone, to be asked later."""
    return lambda: api.process.poll() is not None


def kill_cycles(directory: Path, cycles: int, program: Path | None = None) -> Ledger:
    """Kill the API under load `cycles` times at random moments; each start must keep what was acknowledged."""
    ledger = Ledger()
    chance = random.Random(7)
    options: dict[str, Any] = {} if program is None else {"program": program}
    for cycle in range(cycles):
        with platform(directory, **options) as api:
            check_kept(requests.get(f"{api.url}/export", timeout=20).content, ledger)
            with Load(api.url, ledger, prefix=f"c{cycle}"):
                wait_for(ended(api), ledger, chance.randrange(20, 400))
                time.sleep(chance.random() * 0.01)  # any moment, not only just after an answer
                api.process.kill()
    with platform(directory, **options) as api:
        kept = check_kept(requests.get(f"{api.url}/export", timeout=20).content, ledger)
        assert api.get("/stats")["total_events"] == len(kept)
        assert [path.name for path in directory.iterdir() if ".before-" in path.name] == []
    return ledger


def test_kill_9_under_load_loses_nothing_acknowledged(tmp_path: Path) -> None:
    ledger = kill_cycles(tmp_path, KILLS)

    print(f"\n{KILLS} kills, {len(ledger.acknowledged)} acknowledged, 0 lost")  # noqa: T201 - the measured figure
    assert len(ledger.acknowledged) > 20 * KILLS


@contextmanager
def loop_ext4(directory: Path) -> Iterator[Path]:
    """A mounted ext4 in a file; skips aloud where that is not possible."""
    image, mount = directory / "disk.img", directory / "mnt"
    if os.geteuid() != 0 or not shutil.which("mkfs.ext4") or not Path("/dev/loop-control").exists():
        pytest.skip("a power cut needs root, mkfs.ext4 and loop devices")
    mount.mkdir()
    with image.open("wb") as file:
        file.truncate(64 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True)
    tried = subprocess.run(["mount", "-o", "loop", str(image), str(mount)], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"a power cut needs loop devices: {tried.stderr.strip()}")
    try:
        yield mount
    finally:
        subprocess.run(["umount", str(mount)], check=False)


def cut_power(mount: Path, ledger: Ledger, api: Platform) -> None:
    """Stop the file system without writing anything back, as if the machine lost its power; then end the process."""
    fd = os.open(mount, os.O_RDONLY)
    ledger.frozen.set()  # an answer that races with the cut may stand for a sync that the cut aborted
    time.sleep(0.005)
    fcntl.ioctl(fd, _EXT4_SHUTDOWN, _WITHOUT_FLUSH)
    os.close(fd)
    api.process.kill()
    api.process.wait(10)
    ledger.frozen.clear()


def remount(directory: Path) -> None:
    subprocess.run(["umount", str(directory / "mnt")], check=True)
    subprocess.run(["mount", "-o", "loop", str(directory / "disk.img"), str(directory / "mnt")], check=True)


def power_cuts(directory: Path, cuts: int, **options: Any) -> Ledger:  # noqa: ANN401 - settings and program
    """Cut the power under load `cuts` times; each start must keep what was acknowledged before."""
    ledger = Ledger()
    chance = random.Random(11)
    with loop_ext4(directory) as mount:
        for cut in range(cuts):
            with platform(mount, log_directory=directory, **options) as api, Load(api.url, ledger, prefix=f"p{cut}"):
                wait_for(ended(api), ledger, chance.randrange(50, 600))
                cut_power(mount, ledger, api)
            remount(directory)
            with platform(mount, log_directory=directory, **options) as api:
                check_kept(requests.get(f"{api.url}/export", timeout=20).content, ledger)
    return ledger


def test_power_cuts_lose_nothing_acknowledged(tmp_path: Path) -> None:
    ledger = power_cuts(tmp_path, POWER_CUTS)

    print(f"\n{POWER_CUTS} power cuts, {len(ledger.acknowledged)} acknowledged, 0 lost")  # noqa: T201 - the measured figure
    assert len(ledger.acknowledged) > 40 * POWER_CUTS


@contextmanager
def injected(api: Platform, expression: str) -> Iterator[None]:
    """Lets system calls of the running API fail as `expression` says, from the first line to the end of the block."""
    command = [
        "strace",
        "-f",
        "-p",
        str(api.process.pid),
        "-e",
        "trace=pwrite64,fdatasync",
        "-e",
        f"inject={expression}",
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as strace:
        assert strace.stderr
        first = strace.stderr.readline()
        if "attached" not in first:
            pytest.skip(f"failing system calls need the right to trace: {first.strip()}")
        reader = threading.Thread(target=strace.stderr.read)
        reader.start()
        try:
            yield
        finally:
            strace.send_signal(signal.SIGINT)
            reader.join(10)


def more(ledger: Ledger, status: int) -> None:
    """Return once one more answer with `status` has arrived."""
    before = ledger.statuses.get(status, 0)
    until(lambda: ledger.statuses.get(status, 0) > before)


FAULTS = [
    f"{call}:error={error}:when={when}"
    for call in ("pwrite64", "fdatasync")
    for error in ("EIO", "ENOSPC")
    for when in ("1+7", "3..5", "20..23")
]


@pytest.mark.measures
def test_injected_failures_of_the_disk_are_503_lose_nothing_and_heal_within_two_seconds(tmp_path: Path) -> None:
    if not shutil.which("strace"):
        pytest.skip("failing system calls need strace")
    ledger = Ledger()
    longest = 0.0
    with platform(tmp_path) as api:
        for number, fault in enumerate(FAULTS):
            with injected(api, fault), Load(api.url, ledger, prefix=f"f{number}", threads=2):
                more(ledger, 503)
                assert requests.get(f"{api.url}/stats", timeout=5).status_code == 200
                exported = requests.get(f"{api.url}/export", timeout=5)
                assert exported.status_code == 200
                check_kept(exported.content, _at_most(ledger))
                begin = time.monotonic()
                more(ledger, 202)
                longest = max(longest, time.monotonic() - begin)
        kept = check_kept(requests.get(f"{api.url}/export", timeout=10).content, ledger)
        assert array_in(tmp_path / "events_backup.json")
        assert api.get("/stats")["ingest"]["failed_commits"] >= len(FAULTS)
    with platform(tmp_path) as api:
        assert check_kept(requests.get(f"{api.url}/export", timeout=10).content, ledger) == kept
    print(f"\n{len(FAULTS)} kinds of failure: {ledger.statuses}, accepted again after {longest:.2f} s")  # noqa: T201
    assert longest < 2


def _at_most(ledger: Ledger) -> Ledger:
    """What an export that runs beside the load can be held to: nothing that was never sent, nothing twice."""
    loose = Ledger()
    loose.sent = ledger.sent
    return loose


@pytest.mark.parametrize("call", ["pwrite64", "fdatasync"])
def test_a_disk_that_fails_at_the_start_is_said_in_a_sentence_and_costs_nothing(tmp_path: Path, call: str) -> None:
    if not shutil.which("strace"):
        pytest.skip("failing system calls need strace")
    path = tmp_path / "events_backup.json"
    for content in (
        None,
        b"[\n" + stored_record(1) + b",\n" + stored_record(2)[:50],
        json.dumps([native_event()]).encode(),
    ):
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_bytes(content)
        command = ["strace", "-f", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:error=EIO:when=1"]
        program = (
            "import sys; from pathlib import Path; from clickstream.backends.local import LocalBackend as B;"
            "from clickstream.journal import Quarantine as Q; from clickstream.errors import JournalError\n"
            f"p = Path({str(path)!r})\n"
            "q = Q(p.with_name('q'), max_bytes=10**6)\n"
            "try: B(p, q, fsync='always', clock_ms=lambda: 1).recover(lambda *_: None)\n"
            "except (JournalError, OSError) as problem: sys.exit(str(problem))\n"
        )
        root = Path(__file__).parents[1]

        done = subprocess.run(
            [*command, sys.executable, "-c", program], cwd=root, capture_output=True, text=True, timeout=30, check=False
        )

        if "attach" in done.stderr or "ptrace" in done.stderr:
            pytest.skip(f"failing system calls need the right to trace: {done.stderr.strip()}")
        assert "Traceback" not in done.stderr
        assert done.returncode in (0, 1)
        if content is not None:  # whatever failed, the next start has all that was there
            with platform(tmp_path) as api:
                assert (
                    api.events()[0]["event_id"]
                    == json.loads(stored_record(1) if b"event-1" in content else content[1:-1])["event_id"]
                )
        for other in tmp_path.iterdir():
            other.unlink()


def test_writes_cut_short_by_the_system_are_503_and_leave_no_half_event(tmp_path: Path) -> None:
    """A limit on the file's size makes the kernel write a part and then fail: a real short write, at any byte."""
    ledger = Ledger()
    path = tmp_path / "events_backup.json"
    with platform(tmp_path) as api:
        unlimited = resource.prlimit(api.process.pid, resource.RLIMIT_FSIZE)
        client = Client(api.url)
        for room in range(0, 400, 9):
            first, second = f"first-{room}", f"second-{room}"
            resource.prlimit(api.process.pid, resource.RLIMIT_FSIZE, (path.stat().st_size + room, unlimited[1]))
            ledger.note_sent([first, second])
            refused = client.post(encoded(native_event(first, properties={"x": "y" * 300})))
            assert refused.status == 503
            assert refused.json["error"]["code"] == "unavailable"
            assert refused.headers["retry-after"]
            assert len(array_in(path)) == len(ledger.acknowledged)
            assert client.get("/stats")["total_events"] <= len(ledger.acknowledged)
            resource.prlimit(api.process.pid, resource.RLIMIT_FSIZE, unlimited)
            ledger.note_answer(client.post(encoded(native_event(second))).status, [second])
        client.close()
        assert check_kept(path.read_bytes(), ledger) == ledger.acknowledged
        assert len(ledger.acknowledged) == 45


def test_a_full_disk_is_503_until_there_is_room_again(tmp_path: Path) -> None:
    mount = tmp_path / "small"
    mount.mkdir()
    tried = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(mount)], capture_output=True, text=True, check=False
    )
    if tried.returncode:
        pytest.skip(f"a full disk needs root and tmpfs: {tried.stderr.strip()}")
    ledger = Ledger()
    try:
        with platform(mount, log_directory=tmp_path) as api:
            with Load(api.url, ledger, prefix="a"):
                until(lambda: ledger.statuses.get(503, 0) >= 20)
                assert requests.get(f"{api.url}/stats", timeout=5).status_code == 200
                export = requests.get(f"{api.url}/export", timeout=5)
                assert export.status_code == 200
                question = requests.get(f"{api.url}/analytics/traffic", timeout=10)
                assert question.status_code == 503
                assert "No space left on device; make room" in question.json()["error"]["message"]
                check_kept(export.content, _at_most(ledger))
                subprocess.run(["mount", "-o", "remount,size=8m", str(mount)], check=True)
                accepted = ledger.statuses[202]
                begin = time.monotonic()
                until(lambda: ledger.statuses[202] > accepted + 10)
                assert time.monotonic() - begin < 2
            check_kept(requests.get(f"{api.url}/export", timeout=5).content, ledger)
            assert array_in(mount / "events_backup.json")
    finally:
        subprocess.run(["umount", str(mount)], check=True)
