-- Sessions that no part knows as a whole, with their number in each: this part and earlier ones have events of them,
-- or an event has a time that cannot be read.
SELECT v.session_key, v.visit
FROM visits AS v
SEMI JOIN earlier_visits AS e ON e.session_key = v.session_key
UNION ALL
SELECT e.session_key, e.visit
FROM earlier_visits AS e
SEMI JOIN visits AS v ON v.session_key = e.session_key
UNION ALL
SELECT v.session_key, v.visit
FROM visits AS v
SEMI JOIN (SELECT session_key FROM events WHERE event_time IS NULL) AS untimed ON untimed.session_key = v.session_key
