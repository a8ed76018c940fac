-- The days (UTC) on which people were there, session by session; a day may stand there more than once.
SELECT session_key, person, CAST(event_time AS DATE) AS day
FROM chosen_session_events
WHERE person IS NOT NULL
