-- From which page sessions go on to which page; next_page is empty where the session ends.
WITH views AS (
  SELECT
    page,
    lead(page) OVER (PARTITION BY session_key ORDER BY event_time, received_time, event_id) AS next_page
  FROM session_events
  WHERE event_type = 'page_view' AND page IS NOT NULL AND session_key IS NOT NULL
), departures AS (
  SELECT page, count(*) AS views FROM views GROUP BY page
)
SELECT v.page, v.next_page, count(*) AS transitions, count(*) * 1.0 / d.views AS share
FROM views AS v
JOIN departures AS d ON d.page = v.page
GROUP BY v.page, v.next_page, d.views
ORDER BY transitions DESC, v.page, v.next_page NULLS LAST
LIMIT 100
