-- Events and sessions by the value of each dimension, and the orders of these sessions; an event without the property has
-- no row in it.
WITH counted AS (
  SELECT dimension, dimension_value, sum(events) AS events, sum(sessions) AS sessions, sum(orders) AS orders
  FROM session_values
  GROUP BY dimension, dimension_value
), ranked AS (
  SELECT
    dimension, dimension_value, events, sessions, orders,
    row_number() OVER (PARTITION BY dimension ORDER BY events DESC, dimension_value) AS position
  FROM counted
)
SELECT dimension, dimension_value, events, sessions, orders
FROM ranked
WHERE position <= 20
ORDER BY dimension, position
