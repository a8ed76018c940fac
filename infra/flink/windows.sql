-- Events by minute of event time and type: the same windows as clickstream/windows.py, in Flink SQL.
-- Reads the table wire_events; where that comes from stands in kinesis.sql, or in run_on_file.py for a test.
CREATE TEMPORARY VIEW minute_windows AS
WITH placed AS (
  SELECT
    window_start, window_end, event_id, event_type,
    -- An event_id counts once for as long as its window is open.
    ROW_NUMBER() OVER (PARTITION BY window_start, window_end, event_id ORDER BY event_time) AS copy_number
  FROM TABLE(TUMBLE(TABLE wire_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
)
SELECT window_start, event_type, COUNT(*) AS events
FROM placed
WHERE copy_number = 1
GROUP BY window_start, window_end, event_type
