"""Shared parts of the clickstream platform: no Flask, no environment, no printing.

The way of an event, and the file that answers for each step:

1.  bodies.py     request body -> records             (wire/ does it for foreign SDKs)
2.  events/       record -> event or rejection        every rule about what an event may be
3.  pipeline.py   validate, deduplicate, keep, count  READ FIRST; entry.py is one request on this way
4.  journal/      the append-only file: group writes, recovery, consistent reads
5.  backends/     where events live: local.py, aws.py (its parts in aws/)
6.  stats/        every number that is shown: a fold over events
7.  export.py     the journal as json, ndjson, csv; parquet.py as Parquet
8.  analytics/    questions in SQL, for DuckDB and Athena
9.  client/       what generators, dashboard and terminal speak with the API
10. simulation/   shoppers, their faults, and the truth about both

Beside that way:
who may send, what is taken out        access.py, privacy.py
what was refused, tried again          journal/quarantine.py, replay.py
what a reader asks for                 query.py; bounds.py, timestamps.py and stored.py read spans, times and events
what tests wait for                    expectations.py over arrivals.py; micro.py, testing.py
one person's events, old events        erasure.py, mentions.py, retention.py
how the process is doing               meter.py, metrics.py, readiness.py, numbers.py
the errors                             errors.py
what is said of wrong names and files  misspellings.py, event_files.py
what options of commands mean          option_values.py

server/ carries any Flask application; dashboard/ and terminal/ show numbers; demo/ runs it all; commands/ are
the operator's tools; place.py and packages.py know which Python runs and whether it has the packages,
ports.py who holds a port; start.py lets each program begin.
"""

__version__ = "0.1.0"
