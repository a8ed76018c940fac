"""The numbers of `/stats` as lines of a terminal.

counting.py  the same numbers from a journal file when no API runs
words.py     numbers, times and names as text
bars.py      bars and sparklines, with an ASCII fallback
report.py    numbers -> sections of styled lines for a width
watch.py     the report redrawn in place
"""
