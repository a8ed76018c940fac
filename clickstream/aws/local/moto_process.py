"""moto server, mended, which ends with the process that started it; `python -m` runs it."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import Final

from moto import server

from clickstream.aws.local import moto_mends

_POLL_S: Final = 0.5


def end_with_parent(parent: int) -> None:
    """Exit when the process that started this one is gone, so that a killed demo leaves no server behind."""
    while os.getppid() == parent:
        time.sleep(_POLL_S)
    os._exit(0)


if __name__ == "__main__":
    threading.Thread(target=end_with_parent, args=(os.getppid(),), daemon=True).start()
    moto_mends.install()
    server.main(sys.argv[1:])
