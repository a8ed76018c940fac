-- Events, page views and people by day (UTC). Events without a time that can be read have no day.
WITH counted AS (
  SELECT CAST(event_time AS DATE) AS day, count(*) AS events, count(*) FILTER (WHERE event_type = 'page_view') AS page_views
  FROM chosen_events
  WHERE event_time IS NOT NULL
  GROUP BY CAST(event_time AS DATE)
), seen AS (
  SELECT day, count(DISTINCT person) AS people
  FROM session_days
  GROUP BY day
)
SELECT c.day, c.events, c.page_views, coalesce(s.people, 0) AS people
FROM counted AS c
LEFT JOIN seen AS s ON s.day = c.day
ORDER BY day
