-- Sessions by the day (UTC) of their first event: how many, how many bounced (a single event and nothing after it),
-- how many events they had and how long they lasted on average.
WITH per_session AS (
  SELECT
    session_key,
    min(event_time) AS started_at,
    max(event_time) AS ended_at,
    count(*) AS events
  FROM session_events
  WHERE session_key IS NOT NULL
  GROUP BY session_key
)
SELECT
  CAST(started_at AS DATE) AS day,
  count(*) AS sessions,
  count(*) FILTER (WHERE events = 1) AS bounced,
  count(*) FILTER (WHERE events = 1) * 1.0 / count(*) AS bounce_rate,
  sum(events) * 1.0 / count(*) AS events_per_session,
  sum(date_diff('millisecond', started_at, ended_at)) / 1000.0 / count(*) AS average_duration_s
FROM per_session
GROUP BY CAST(started_at AS DATE)
ORDER BY day
