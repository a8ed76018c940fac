-- A part of the Parquet copy: the columns of events, and what saves time at every question.
-- session_key and person: 128 bits in place of text; grouping by them takes three quarters of the time.
-- In the order of types, so that a question about purchases reads only the row groups that hold some; and of sessions,
-- which saves about a tenth of the time of grouping by them.
SELECT
  * REPLACE (CAST(properties AS VARCHAR) AS properties),
  CAST(md5(session_id) AS UUID) AS session_key,
  CAST(md5(coalesce(user_id, anonymous_id)) AS UUID) AS person
FROM events
ORDER BY event_type, session_key
