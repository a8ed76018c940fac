"""The journal: the append-only file that is the truth about what was collected.

layout.py      how records stand in the file
file.py        open, lock, append; what holds after each failure
disk.py        bytes that are all written, and that survive a power cut
recovery.py    what a start makes of the file it finds: torn tail, damaged lines
identity.py    what a file is, before it is touched
conversion.py  an array written by an older version -> a journal
compaction.py  written anew without some records
reading.py     consistent reads, oldest or newest first
settled.py     the file as it stands at a commit, for who reads all of it from outside
inspection.py  what a start would find, without changing anything
quarantine.py  the file beside it that keeps what was refused
checkpoint.py  derived state beside it that makes a restart fast
"""

from clickstream.journal.file import Journal
from clickstream.journal.quarantine import Quarantine
from clickstream.journal.reading import JournalReader
from clickstream.journal.recovery import Recovery, recover

__all__ = ["Journal", "JournalReader", "Quarantine", "Recovery", "recover"]
