"""Names in an environment that were probably meant to be settings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

_SHORTEST: Final = 5  # ENV is near to too much
_LONG: Final = 12  # from here on two slips are no coincidence

# Other programs' own, though one letter away from a setting of ours.
_COMMON: Final = frozenset({"APP_HOST", "APP_PORT", "APP_URL", "API_URI", "CLIENT_ID", "LOGLEVEL"})


def misspellings(names: Iterable[str], settings: Iterable[str]) -> list[str]:
    """A sentence for each of `names` that is nearly one of `settings`, and none of them."""
    known = sorted(settings)
    return [
        f"{name} is no setting; did you mean {meant}?"
        for name in sorted(names)
        if name not in known and (meant := _meant(name, known)) is not None
    ]


def _meant(name: str, known: list[str]) -> str | None:
    upper = name.upper()
    if not name.isidentifier() or len(name) < _SHORTEST or upper in _COMMON:
        return None
    # The first letter is seldom wrong by a slip, and tells RSYNC from FSYNC.
    near = [one for one in known if one[0] == upper[0] and min(len(one), len(name)) >= _SHORTEST]
    found = min(near, key=lambda one: _slips(upper, one), default=None)
    return found if found is not None and _slips(upper, found) <= (2 if len(found) >= _LONG else 1) else None


def _slips(text: str, other: str) -> int:
    """How many letters are missing, too many, wrong or exchanged with the next one (optimal string alignment)."""
    before: list[int] = []
    last = list(range(len(other) + 1))
    for row, letter in enumerate(text, 1):
        now = [row]
        for column, another in enumerate(other, 1):
            cost = min(last[column] + 1, now[-1] + 1, last[column - 1] + (letter != another))
            if row > 1 and column > 1 and text[row - 2 : row] == other[column - 2 : column][::-1]:
                cost = min(cost, before[column - 2] + 1)
            now.append(cost)
        before, last = last, now
    return last[-1]
