"""The ids that deduplication knows, in a file beside the spill journal between a stop and the next start.

It is only a help: without it copies that are sent again after the start go to the stream. So nothing about it stops
a start or a stop.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from clickstream.journal.disk import replace_file

_log: Final = logging.getLogger(__name__)


class KnownIds:
    """The file of one spill journal; one id a line, oldest first."""

    def __init__(self, spill_file: Path) -> None:
        self._path = spill_file.with_name(spill_file.name + ".ids")

    def read(self) -> list[str]:
        """The ids, none where they cannot be read; a damaged file is set aside."""
        try:
            return [one for one in self._path.read_bytes().decode().split("\n") if one]
        except FileNotFoundError:
            return []
        except OSError as problem:
            _log.warning("known ids not read, copies of older events go to the stream error=%s", problem)
        except UnicodeDecodeError as problem:
            _log.warning("known ids damaged kept=%s error=%s", self._set_aside(), problem)
        return []

    def write(self, ids: Sequence[str]) -> None:
        """Leave `ids` for the next start; where that is not possible the older ones stay."""
        try:
            # An id with a line break in it becomes two; neither matches anything.
            replace_file(self._path, "\n".join(ids).encode())
        except OSError as problem:
            _log.warning("known ids not kept, copies sent after the restart go to the stream error=%s", problem)

    def _set_aside(self) -> Path:
        aside = self._path.with_name(self._path.name + time.strftime(".damaged-%Y%m%dT%H%M%SZ", time.gmtime()))
        try:
            return self._path.replace(aside)
        except OSError:
            return self._path  # the next stop writes it anew
