-- Sessions that a part knows as a whole but the question does not: younger events follow, or the ends of the span cut them.
WITH opened AS (
  SELECT v.session_key, v.visit, v.filename
  FROM visits AS v
  SEMI JOIN young_events AS y ON y.session_key = v.session_key
  UNION
  SELECT session_key, visit, filename
  FROM cut_visits
)
SELECT o.*
FROM opened AS o
ANTI JOIN shared AS s ON s.session_key = o.session_key
