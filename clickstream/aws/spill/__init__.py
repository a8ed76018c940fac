"""What keeps events on this machine while the stream takes none.

spill.py      what waits, its cap, and the draining in order
segments.py   the journals that it lies in, one after another
progress.py   the file beside it that says how far it was drained
known_ids.py  the file beside it that holds the ids for deduplication between a stop and a start
"""

from clickstream.aws.spill.spill import Spill, SpillState

__all__ = ["Spill", "SpillState"]
