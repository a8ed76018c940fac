-- Events of each session by the value of each dimension, and the orders of the whole session: a campaign is named by the
-- first page view, not by the purchase. sessions: 1, or 0 for events without a session, which have their own orders only.
-- Equal events are put together first: most sessions have one value of each, so little is left to do for a dimension.
WITH together AS (
  SELECT
    session_key, device, browser, os, country, utm_source, utm_medium, utm_campaign,
    CASE WHEN session_key IS NULL THEN 0 ELSE 1 END AS sessions,
    count(*) AS events,
    count(*) FILTER (WHERE event_type = 'purchase') AS own_orders
  FROM chosen_session_events
  GROUP BY session_key, device, browser, os, country, utm_source, utm_medium, utm_campaign
), told AS (
  SELECT *, sum(own_orders) OVER (PARTITION BY session_key) AS session_orders
  FROM together
)
SELECT session_key, 'device' AS dimension, device AS dimension_value, sessions, CAST(sum(events) AS BIGINT) AS events,
  CAST(CASE WHEN sessions = 1 THEN max(session_orders) ELSE sum(own_orders) END AS BIGINT) AS orders
FROM told WHERE device IS NOT NULL GROUP BY session_key, sessions, device
UNION ALL
SELECT session_key, 'browser' AS dimension, browser AS dimension_value, sessions, CAST(sum(events) AS BIGINT) AS events,
  CAST(CASE WHEN sessions = 1 THEN max(session_orders) ELSE sum(own_orders) END AS BIGINT) AS orders
FROM told WHERE browser IS NOT NULL GROUP BY session_key, sessions, browser
UNION ALL
SELECT session_key, 'os' AS dimension, os AS dimension_value, sessions, CAST(sum(events) AS BIGINT) AS events,
  CAST(CASE WHEN sessions = 1 THEN max(session_orders) ELSE sum(own_orders) END AS BIGINT) AS orders
FROM told WHERE os IS NOT NULL GROUP BY session_key, sessions, os
UNION ALL
SELECT session_key, 'country' AS dimension, country AS dimension_value, sessions, CAST(sum(events) AS BIGINT) AS events,
  CAST(CASE WHEN sessions = 1 THEN max(session_orders) ELSE sum(own_orders) END AS BIGINT) AS orders
FROM told WHERE country IS NOT NULL GROUP BY session_key, sessions, country
UNION ALL
SELECT session_key, 'utm_source' AS dimension, utm_source AS dimension_value, sessions, CAST(sum(events) AS BIGINT) AS events,
  CAST(CASE WHEN sessions = 1 THEN max(session_orders) ELSE sum(own_orders) END AS BIGINT) AS orders
FROM told WHERE utm_source IS NOT NULL GROUP BY session_key, sessions, utm_source
UNION ALL
SELECT session_key, 'utm_medium' AS dimension, utm_medium AS dimension_value, sessions, CAST(sum(events) AS BIGINT) AS events,
  CAST(CASE WHEN sessions = 1 THEN max(session_orders) ELSE sum(own_orders) END AS BIGINT) AS orders
FROM told WHERE utm_medium IS NOT NULL GROUP BY session_key, sessions, utm_medium
UNION ALL
SELECT session_key, 'utm_campaign' AS dimension, utm_campaign AS dimension_value, sessions, CAST(sum(events) AS BIGINT) AS events,
  CAST(CASE WHEN sessions = 1 THEN max(session_orders) ELSE sum(own_orders) END AS BIGINT) AS orders
FROM told WHERE utm_campaign IS NOT NULL GROUP BY session_key, sessions, utm_campaign
