-- Sessions by the day of their first event: how many, how many bounced (a single event and nothing after it),
-- how many events they had and how long they lasted on average.
SELECT
  CAST(local_time(started_at) AS DATE) AS day,
  count(*) AS sessions,
  count(*) FILTER (WHERE events = 1) AS bounced,
  count(*) FILTER (WHERE events = 1) * 1.0 / count(*) AS bounce_rate,
  sum(events) * 1.0 / count(*) AS events_per_session,
  sum(date_diff('millisecond', started_at, ended_at)) / 1000.0 / count(*) AS average_duration_s
FROM session_spans
GROUP BY CAST(local_time(started_at) AS DATE)
ORDER BY day
