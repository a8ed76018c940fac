"""How far a segment of the spill was drained: a file beside it that holds for exactly the bytes it was written for.

Like a checkpoint it names their end and their CRC-32. So it may lag behind, and then some events are sent again,
which `event_id` removes; but after whatever a crash has left of the two files it never makes a start skip bytes
that were not drained: those give another sum, and everything is sent from the beginning.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from clickstream.journal import Journal, layout
from clickstream.journal.disk import replace_file
from clickstream.journal.recovery import crc_of
from clickstream.recurring import Recurring

_log: Final = logging.getLogger(__name__)


class Reached(NamedTuple):
    """Everything before `end` was drained; `crc` is the CRC-32 of those bytes."""

    end: int
    crc: int


BEGINNING: Final = Reached(layout.START, layout.START_CRC)


class _Content(msgspec.Struct):
    file: str
    drained: int
    crc: int


class Progress:
    """What is remembered of the segment that is being drained across a restart."""

    def __init__(self, spill_file: Path) -> None:
        self._path = spill_file.with_name(spill_file.name + ".drained")
        self._not_written = Recurring(_log, "drained offset not written; after a crash some events are sent again")

    def read(self, journal: Journal) -> Reached:
        """What was drained of `journal`, which is not recovered yet; the beginning where that is not known."""
        try:
            known = msgspec.json.decode(self._path.read_bytes(), type=_Content)
        except FileNotFoundError:
            return BEGINNING
        except (OSError, msgspec.MsgspecError) as problem:
            _log.warning("drained offset not readable, sending from the beginning error=%s", problem)
            return BEGINNING
        if known.file != journal.path.name:
            return BEGINNING
        if known.drained < layout.START or crc_of(journal.fileno(), known.drained) != known.crc:
            _log.info("drained offset is of another content of the spill journal; sending from the beginning")
            return BEGINNING
        return Reached(known.drained, known.crc)

    def write(self, journal: Journal, reached: Reached) -> None:
        """Remember what was reached in `journal`; where that is not possible now, what was remembered before stays."""
        try:
            replace_file(self._path, msgspec.json.encode(_Content(journal.path.name, reached.end, reached.crc)))
        except OSError as problem:
            self._not_written.failed(problem)
        else:
            self._not_written.over()
