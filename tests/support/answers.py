"""A question asked of the same events in every way that there is: the journal, its Parquet copy, Athena's statement."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from clickstream.analytics import engine, sources
from clickstream.analytics.catalog import Question
from clickstream.analytics.columns import ColumnCopy
from clickstream.analytics.scope import EVERYTHING, Scope
from clickstream.journal import Journal, layout
from tests.support.athena import by_athena


def kept(directory: Path, events: Sequence[dict[str, Any]]) -> Journal:
    """A journal with `events` in `directory`, closed; it knows its end."""
    made = Journal(directory / "events_backup.json")
    made.resume_at(layout.START, layout.START_CRC)
    made.append([json.dumps(event, ensure_ascii=False).encode() for event in events])
    made.close()
    return made


def answers(
    journal: Journal, question: Question, scope: Scope = EVERYTHING, *, part_bytes: int = 200_000
) -> list[engine.Table]:
    """What journal, copy in parts of about so many bytes, and Athena's statement answer."""
    source = sources.journal(journal.path)
    copy = ColumnCopy(journal.path, least_part_bytes=part_bytes, most_part_bytes=part_bytes)
    with copy.source(journal.end) as copied:
        assert len(copied.parts) > 1
        of_copy = engine.answer(question, copied, scope)
    return [engine.answer(question, source, scope), of_copy, by_athena(question, source, scope)]
