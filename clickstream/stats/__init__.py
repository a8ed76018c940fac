"""Every number that is shown: a fold over kept events, and snapshots of it.

fold.py      Stats: takes events in journal order, bounded memory
snapshot.py  Stats -> the numbers of /stats for one window
sessions.py  one visit and its way through the funnel
minutes.py   counts by minute, so that a window is a sum
top.py       most frequent values; hour_tops.py of one hour, and of its minutes
money.py     purchases -> exact hundredths
names.py     counts by type and by currency, bounded
recency.py   exact memory of the most recent keys
state.py     Stats <-> bytes, for the checkpoint
"""

from clickstream.stats.fold import Stats
from clickstream.stats.snapshot import WINDOWS, snapshot

__all__ = ["WINDOWS", "Stats", "snapshot"]
