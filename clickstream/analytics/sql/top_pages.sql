-- Pages by views, with the sessions and people that saw them.
SELECT page, count(*) AS views, coalesce(sum(newly_seen), 0) AS sessions, count(DISTINCT person) AS people
FROM session_pages
GROUP BY page
ORDER BY views DESC, page
LIMIT 100
