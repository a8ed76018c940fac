-- Per session its first and last event, and how many events it has.
SELECT session_key, min(event_time) AS started_at, max(event_time) AS ended_at, count(*) AS events
FROM chosen_session_events
WHERE session_key IS NOT NULL
GROUP BY session_key
