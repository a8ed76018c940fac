-- Events, sessions and orders by the value of each dimension; an event without the property has no row in it.
-- Visits are put together first: most have one value of each, so that counting distinct ones has little left to do.
WITH visits AS (
  SELECT
    session_key, device, browser, os, country, utm_source, utm_medium, utm_campaign,
    count(*) AS events,
    count(*) FILTER (WHERE event_type = 'purchase') AS orders
  FROM session_events
  GROUP BY session_key, device, browser, os, country, utm_source, utm_medium, utm_campaign
), counted AS (
  SELECT 'device' AS dimension, device AS dimension_value,
    sum(events) AS events, count(DISTINCT session_key) AS sessions, sum(orders) AS orders
  FROM visits WHERE device IS NOT NULL GROUP BY device
  UNION ALL
  SELECT 'browser' AS dimension, browser AS dimension_value,
    sum(events) AS events, count(DISTINCT session_key) AS sessions, sum(orders) AS orders
  FROM visits WHERE browser IS NOT NULL GROUP BY browser
  UNION ALL
  SELECT 'os' AS dimension, os AS dimension_value,
    sum(events) AS events, count(DISTINCT session_key) AS sessions, sum(orders) AS orders
  FROM visits WHERE os IS NOT NULL GROUP BY os
  UNION ALL
  SELECT 'country' AS dimension, country AS dimension_value,
    sum(events) AS events, count(DISTINCT session_key) AS sessions, sum(orders) AS orders
  FROM visits WHERE country IS NOT NULL GROUP BY country
  UNION ALL
  SELECT 'utm_source' AS dimension, utm_source AS dimension_value,
    sum(events) AS events, count(DISTINCT session_key) AS sessions, sum(orders) AS orders
  FROM visits WHERE utm_source IS NOT NULL GROUP BY utm_source
  UNION ALL
  SELECT 'utm_medium' AS dimension, utm_medium AS dimension_value,
    sum(events) AS events, count(DISTINCT session_key) AS sessions, sum(orders) AS orders
  FROM visits WHERE utm_medium IS NOT NULL GROUP BY utm_medium
  UNION ALL
  SELECT 'utm_campaign' AS dimension, utm_campaign AS dimension_value,
    sum(events) AS events, count(DISTINCT session_key) AS sessions, sum(orders) AS orders
  FROM visits WHERE utm_campaign IS NOT NULL GROUP BY utm_campaign
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
