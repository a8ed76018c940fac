-- Page views with the page that follows in the session, if one does; entered: 1 for the first one of its session, 0 for
-- others, and newly_seen: 1 for a session's first view of that page, 0 for a further one; both null without a session.
SELECT
  session_key, person, page,
  lead(page) OVER (PARTITION BY session_key ORDER BY event_time, received_time, event_id) AS next_page,
  CASE WHEN session_key IS NOT NULL THEN
    CASE WHEN row_number() OVER (PARTITION BY session_key ORDER BY event_time, received_time, event_id) = 1 THEN 1 ELSE 0 END
  END AS entered,
  CASE WHEN session_key IS NOT NULL THEN
    CASE WHEN row_number() OVER (PARTITION BY session_key, page ORDER BY event_time) = 1 THEN 1 ELSE 0 END
  END AS newly_seen
FROM chosen_session_events
WHERE event_type = 'page_view' AND page IS NOT NULL
