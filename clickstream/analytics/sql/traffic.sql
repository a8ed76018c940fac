-- Events, page views and people by day. Events without a time that can be read have no day.
WITH counted AS (
  SELECT CAST(local_time(event_time) AS DATE) AS day, count(*) AS events, count(*) FILTER (WHERE event_type = 'page_view') AS page_views
  FROM chosen_events
  WHERE event_time IS NOT NULL
  GROUP BY CAST(local_time(event_time) AS DATE)
), seen AS (
  SELECT CAST(local_time(seen_at) AS DATE) AS day, count(DISTINCT person) AS people
  FROM session_times
  GROUP BY CAST(local_time(seen_at) AS DATE)
)
SELECT c.day, c.events, c.page_views, coalesce(s.people, 0) AS people
FROM counted AS c
LEFT JOIN seen AS s ON s.day = c.day
ORDER BY day
