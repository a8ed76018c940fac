-- Events by minute of event time in Flink SQL: the same windows as clickstream/windows.py.
-- Only the two tables at the top differ between the Kinesis stream on AWS and files in a test.

CREATE TABLE wire_events (
  event_id STRING,
  event_type STRING,
  `timestamp` STRING,
  properties STRING,
  event_time AS TO_TIMESTAMP(REPLACE(SUBSTRING(`timestamp`, 1, 10) || ' ' || SUBSTRING(`timestamp`, 12, 12), 'Z', '')),
  WATERMARK FOR event_time AS event_time - INTERVAL '5' SECOND
) WITH (
  'connector' = 'kinesis',
  'stream.arn' = '${stream.arn}',
  'aws.region' = '${aws.region}',
  'source.init.position' = 'TRIM_HORIZON',
  'format' = 'json',
  'json.ignore-parse-errors' = 'true'
);

CREATE TABLE minute_counts (
  window_start TIMESTAMP(3),
  event_type STRING,
  events BIGINT
) WITH (
  'connector' = 'filesystem',
  'path' = '${lake}windows/',
  'format' = 'json'
);

-- An event_id counts once: the first copy in order of event time is kept.
CREATE VIEW unique_events AS
SELECT event_type, event_time
FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY event_id ORDER BY event_time) AS copy_number
  FROM wire_events
)
WHERE copy_number = 1;

INSERT INTO minute_counts
SELECT window_start, event_type, COUNT(*) AS events
FROM TABLE(TUMBLE(TABLE unique_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, event_type;
