-- Pages by views, with the sessions and people that saw them.
SELECT page, count(*) AS views, count(DISTINCT session_key) AS sessions, count(DISTINCT person) AS people
FROM session_events
WHERE event_type = 'page_view' AND page IS NOT NULL
GROUP BY page
ORDER BY views DESC, page
LIMIT 100
