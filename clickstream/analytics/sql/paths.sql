-- From which page sessions go on to which page; next_page is empty where the session ends.
WITH counted AS (
  SELECT page, next_page, count(*) AS transitions
  FROM session_pages
  WHERE newly_seen IS NOT NULL
  GROUP BY page, next_page
)
SELECT page, next_page, transitions, transitions * 1.0 / sum(transitions) OVER (PARTITION BY page) AS share
FROM counted
ORDER BY transitions DESC, page, next_page NULLS LAST
LIMIT 100
