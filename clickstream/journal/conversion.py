"""An `events_backup.json` that an older version or json.dump wrote -> a journal, once, with the original kept."""

from __future__ import annotations

import fcntl
import logging
import os
import time
from itertools import count
from pathlib import Path
from typing import Final

from clickstream.journal import layout
from clickstream.journal.disk import sync, sync_directory, write_fully
from clickstream.journal.identity import array_records

_log: Final = logging.getLogger(__name__)


def convert(fd: int, path: Path) -> int:
    """Descriptor of a locked journal that now stands at `path`; the original is kept beside it.

    Atomic: whoever opens `path` at any moment, also after a power cut, finds the old file or the new one.
    """
    records = [raw.replace(b"\n", b" ").replace(b"\r", b" ") for raw in array_records(fd)]
    kept = _free_name(path)
    fresh = path.with_name(f"{path.name}.converting")
    new_fd = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(new_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        content = layout.addition(records, layout.START) if records else b""
        write_fully(new_fd, layout.OPENING + content + layout.CLOSING, 0)
        sync(new_fd)
        os.link(path, kept)
        fresh.replace(path)
        sync_directory(path.parent)
    except BaseException:
        os.close(new_fd)
        fresh.unlink(missing_ok=True)
        raise
    _log.info("converted an old array path=%s records=%d original=%s", path, len(records), kept)
    return new_fd


def _free_name(path: Path) -> Path:
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    names = (path.with_name(f"{path.name}.before-conversion-{stamp}-{number}") for number in count(1))
    return next(name for name in names if not name.exists())
