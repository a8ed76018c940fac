-- Pages by views, with the sessions and people that saw them, and the sessions that began and ended with them.
SELECT
  page,
  count(*) AS views,
  coalesce(sum(newly_seen), 0) AS sessions,
  count(DISTINCT person) AS people,
  coalesce(sum(entered), 0) AS entries,
  count(*) FILTER (WHERE newly_seen IS NOT NULL AND next_page IS NULL) AS exits
FROM session_pages
GROUP BY page
ORDER BY views DESC, page
LIMIT 100
