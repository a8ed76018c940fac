"""Questions to the events in SQL, written once: DuckDB answers them locally, Athena on AWS.

sql/            events -> session_events -> session_* are views; part_* and copied_* are of the copy;
                every other file is one question
catalog.py      the questions, and the views they stand on
steps.py        a funnel of one's own steps
breakdown.py    a breakdown by one thing, or of the events of one type
dimensions.py   what events say that answers go by and visits are chosen by; hosts.py: the host of a referrer
scope.py        what a question is asked of: a span of time, all visits or chosen ones, whose days
local_time.py   what a clock in a time zone showed, for the days of a question
views.py        makes the views over a source of events, or over the copy
sources.py      where events are read from: a journal, NDJSON, the lake's Parquet
engine.py       runs a question on a source in DuckDB
own.py          runs SQL of one's own over the same views
columns.py      a Parquet copy of a growing journal, derived and deletable, that makes large journals fast
part.py         makes a part of it: events, and what the views say about their sessions
athena.py       the same question as one statement for Athena; refuses what Athena would read differently
"""
