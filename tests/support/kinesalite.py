"""kinesalite, a second emulator of Kinesis, as a process of its own on loopback."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

from clickstream.aws.clients import Emulated, client

PROGRAM = Path(__file__).parents[1] / "aws" / "kinesalite" / "serve.cjs"
MISSING = "kinesalite needs node and `npm ci --ignore-scripts --prefix tests/aws/kinesalite`"


def is_installed() -> bool:
    """True when node and the packages are there."""
    return shutil.which("node") is not None and (PROGRAM.parent / "node_modules" / "kinesalite").is_dir()


class Kinesalite:
    """A running emulator; it keeps everything in memory and ends with this object's block."""

    def __enter__(self) -> Kinesalite:
        self._process = subprocess.Popen(
            ["node", str(PROGRAM)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert self._process.stdout is not None
        self.url = f"http://127.0.0.1:{int(self._process.stdout.readline())}"
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.communicate(timeout=10)

    def connect(self) -> Any:  # noqa: ANN401 - boto3 makes its classes at run time
        """A client of this emulator."""
        return client("kinesis", "us-east-1", emulated=Emulated(self.url))
