-- What session_events.sql says, over rows of copied_events.sql; only DuckDB runs it. While a part is made its events
-- with a session_id are loose, while a question is answered those of shared and of opened sessions and all without one.
WITH following AS (
  SELECT
    * EXCLUDE (session_key),
    lag(event_time) OVER (PARTITION BY person ORDER BY event_time) AS previous_time
  FROM loose_events
  WHERE session_key IS NULL
), numbered AS (
  SELECT
    *,
    sum(CASE WHEN event_time > previous_time + INTERVAL '30' MINUTE THEN 1 ELSE 0 END) OVER (
      PARTITION BY person ORDER BY event_time RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS session_number
  FROM following
)
SELECT session_key, person, * EXCLUDE (session_key, person)
FROM loose_events
WHERE session_key IS NOT NULL
UNION ALL BY NAME
SELECT
  CAST(md5('p:' || CAST(person AS VARCHAR) || '#' || CAST(session_number AS VARCHAR)) AS UUID) AS session_key,
  * EXCLUDE (previous_time, session_number)
FROM numbered
