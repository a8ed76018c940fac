"""Runs windows.sql in PyFlink on a file of wire lines, prints one JSON row a line; needs apache-flink 2.3, Java 17."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pyflink.table import EnvironmentSettings, TableEnvironment

SOURCE = """
CREATE TEMPORARY TABLE wire_events (
  event_id STRING,
  event_type STRING,
  `timestamp` STRING,
  event_time AS TO_TIMESTAMP(REPLACE(SUBSTRING(`timestamp`, 1, 10) || ' ' || SUBSTRING(`timestamp`, 12, 12), 'Z', '')),
  WATERMARK FOR event_time AS event_time - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '{path}', 'format' = 'json')
"""


def main(path: str) -> None:
    """Print the windows over the lines of `path`."""
    table_env = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    table_env.get_config().set("parallelism.default", "1")
    table_env.get_config().set("table.local-time-zone", "UTC")
    table_env.execute_sql(SOURCE.replace("{path}", Path(path).resolve().as_uri()))
    table_env.execute_sql((Path(__file__).parent / "windows.sql").read_text(encoding="utf-8"))
    with table_env.execute_sql("SELECT window_start, event_type, events FROM minute_windows").collect() as rows:
        for start, event_type, events in rows:
            sys.stdout.write(json.dumps([start.isoformat(), event_type, events]) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
