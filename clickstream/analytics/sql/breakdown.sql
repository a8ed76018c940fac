-- Events, sessions and orders by the value of each dimension; an event without the property has no row in it.
WITH named AS (
  SELECT 'device' AS dimension, device AS dimension_value, session_key, event_type FROM session_events
  UNION ALL SELECT 'browser' AS dimension, browser AS dimension_value, session_key, event_type FROM session_events
  UNION ALL SELECT 'os' AS dimension, os AS dimension_value, session_key, event_type FROM session_events
  UNION ALL SELECT 'country' AS dimension, country AS dimension_value, session_key, event_type FROM session_events
  UNION ALL SELECT 'utm_source' AS dimension, utm_source AS dimension_value, session_key, event_type FROM session_events
  UNION ALL SELECT 'utm_medium' AS dimension, utm_medium AS dimension_value, session_key, event_type FROM session_events
  UNION ALL SELECT 'utm_campaign' AS dimension, utm_campaign AS dimension_value, session_key, event_type FROM session_events
), ranked AS (
  SELECT
    dimension,
    dimension_value,
    count(*) AS events,
    count(DISTINCT session_key) AS sessions,
    count(*) FILTER (WHERE event_type = 'purchase') AS orders,
    row_number() OVER (PARTITION BY dimension ORDER BY count(*) DESC, dimension_value) AS position
  FROM named
  WHERE dimension_value IS NOT NULL
  GROUP BY dimension, dimension_value
)
SELECT dimension, dimension_value, events, sessions, orders
FROM ranked
WHERE position <= 20
ORDER BY dimension, position
