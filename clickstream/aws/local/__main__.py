"""`./run_demo.sh --aws-local`: the demo with ENV=aws on an emulator, and the accounts at its end."""

from __future__ import annotations

import clickstream.packages  # noqa: F401 - first: it says what to do when packages are missing

# isort: split
import contextlib
import logging
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from clickstream.aws.local.cloud import LocalCloud
from clickstream.aws.local.emulator import Emulator
from clickstream.aws.local.resources import Names
from clickstream.demo.supervisor import StopSignals

_SHARDS = 4
_LOOK_S = 0.2
_TOLD = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION")


def main(arguments: Sequence[str]) -> int:
    """Run the demo with `arguments`; 0 when it ended as asked and all four counts are equal, else 1."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    names = Names()
    with tempfile.TemporaryDirectory(prefix="clickstream-aws-") as directory, Emulator() as emulator:
        _say(f"AWS emulator on {emulator.url}: Kinesis ({_SHARDS} shards), S3, DynamoDB")
        _say(f"In it: {', '.join(f'{name}={value}' for name, value in names.environment().items())}")
        _say(f"For aws and boto3: {' '.join(f'{name}={emulator.environment[name]}' for name in _TOLD)}")
        cloud = LocalCloud(emulator.connect, names, shards=_SHARDS)
        cloud.start()
        settings = {
            **emulator.environment,
            **names.environment(),
            "SPILL_FILE": str(Path(directory) / "events_spill.json"),
            "EVENTS_FILE": str(Path(directory) / "events_backup.json"),
        }
        exit_code = _run_demo(settings, arguments)
        cloud.finish()
        accounts = cloud.accounts(_acknowledged(Path(settings["SPILL_FILE"])))
    _say("The events of this run are gone with the emulator. Before that they were counted in four places:")
    for line in accounts.lines():
        _say(line)
    for key in cloud.events.failed:
        _say(f"given up by the consumer: {key}")
    return exit_code or (0 if accounts.is_balanced and not cloud.events.failed else 1)


def _run_demo(settings: dict[str, str], arguments: Sequence[str]) -> int:
    """The demo as a process of its own, so that it reads these settings as any other; signals are handed on."""
    assignments = [f"{name}={value}" for name, value in settings.items()]
    command = ["/usr/bin/env", *assignments, sys.executable, "-u", "-m", "clickstream.demo", *arguments]
    # A session of its own: else it would get a Ctrl-C twice, and the second means "at once".
    with StopSignals() as signals:
        demo = subprocess.Popen(command, start_new_session=True)  # noqa: S603 (our own program)
        handed_on = 0
        # Not demo.wait() alone: a signal that meets another thread of this process would not end it.
        while demo.poll() is None:
            if signals.count > handed_on:
                demo.send_signal(signal.SIGINT)
                handed_on += 1
            elif handed_on:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    demo.wait(_LOOK_S)
            else:
                signals.wait(_LOOK_S)
        return demo.returncode


def _acknowledged(spill_file: Path) -> set[str]:
    """What the API wrote when it stopped: the ids of every event it acknowledged (the last million)."""
    path = spill_file.with_name(spill_file.name + ".ids")
    return set(path.read_text(encoding="utf-8").splitlines()) if path.exists() else set()


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
