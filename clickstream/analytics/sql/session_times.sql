-- When people were there, session by session: at each of their events.
SELECT session_key, person, event_time AS seen_at
FROM chosen_session_events
WHERE person IS NOT NULL
