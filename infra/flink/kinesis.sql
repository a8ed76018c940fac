-- Source and sink on AWS; `${…}` are the application's properties in infra/template.yaml. Run before and after windows.sql.

CREATE TABLE wire_events (
  event_id STRING,
  event_type STRING,
  `timestamp` STRING,
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
  'path' = '${lake}',
  'format' = 'json'
);

INSERT INTO minute_counts SELECT window_start, event_type, events FROM minute_windows;
