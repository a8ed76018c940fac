"""Questions to the events in SQL, written once: DuckDB answers them locally, Athena on AWS.

sql/            events -> session_events -> session_funnel are views; every other file is one question
catalog.py      the questions, and the views each of them stands on
sources.py      where events are read from: a journal, NDJSON, the lake's Parquet
engine.py       runs a question on a source in DuckDB
columns.py      a Parquet copy of a growing journal, derived and deletable, that makes large journals fast
athena.py       the same question as one statement for Athena; refuses what Athena would read differently
"""
