"""moto server as a process of its own on loopback, with an account of its own: nothing here can reach AWS."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from clickstream.aws.clients import Emulated, client
from clickstream.ports import free_port

REGION: Final = "us-east-1"

_START_TIMEOUT_S: Final = 30.0
_ROOT: Final = Path(__file__).parents[3]


class Emulator:
    """A running moto server; use it as a context manager."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        command = [sys.executable, "-m", "clickstream.aws.local.moto_process", "-H", "127.0.0.1", "-p", str(self.port)]
        # A session of its own: a Ctrl-C in the terminal must not end it before the accounts are made.
        self._process = subprocess.Popen(  # noqa: S603 (our own interpreter, fixed arguments)
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def connect(self, service: str) -> Any:  # noqa: ANN401 (boto3 makes its classes at run time)
        """A client of `service` at this emulator."""
        return client(service, REGION, emulated=Emulated(self.url))

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to talk to this emulator and to nothing else."""
        return emulator_environment(self.url)

    def __enter__(self) -> Emulator:
        """Wait until it answers."""
        end_s = time.monotonic() + _START_TIMEOUT_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end_s:
                self.close()
                raise RuntimeError("moto server does not start; try `python -m moto.server` by hand")
            time.sleep(0.05)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process."""
        self.close()

    def close(self) -> None:
        """End the process, whatever state it is in."""
        self._process.terminate()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/moto-api/", timeout=1):  # noqa: S310 (loopback)
                return True
        except (urllib.error.URLError, OSError):
            return False


def emulator_environment(url: str) -> dict[str, str]:
    """Variables that send boto3 to `url` with credentials that are none."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_SESSION_TOKEN": "",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
