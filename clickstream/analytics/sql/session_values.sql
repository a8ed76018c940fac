-- Events and orders of each session by the value of each dimension; sessions: 1, or 0 for events without a session.
-- Equal events are put together first: most sessions have one value of each, so little is left to do for a dimension.
WITH together AS (
  SELECT
    session_key, device, browser, os, country, utm_source, utm_medium, utm_campaign,
    CASE WHEN session_key IS NULL THEN 0 ELSE 1 END AS sessions,
    count(*) AS events,
    count(*) FILTER (WHERE event_type = 'purchase') AS orders
  FROM chosen_session_events
  GROUP BY session_key, device, browser, os, country, utm_source, utm_medium, utm_campaign
)
SELECT session_key, 'device' AS dimension, device AS dimension_value,
  sessions, CAST(sum(events) AS BIGINT) AS events, CAST(sum(orders) AS BIGINT) AS orders
FROM together WHERE device IS NOT NULL GROUP BY session_key, sessions, device
UNION ALL
SELECT session_key, 'browser' AS dimension, browser AS dimension_value,
  sessions, CAST(sum(events) AS BIGINT) AS events, CAST(sum(orders) AS BIGINT) AS orders
FROM together WHERE browser IS NOT NULL GROUP BY session_key, sessions, browser
UNION ALL
SELECT session_key, 'os' AS dimension, os AS dimension_value,
  sessions, CAST(sum(events) AS BIGINT) AS events, CAST(sum(orders) AS BIGINT) AS orders
FROM together WHERE os IS NOT NULL GROUP BY session_key, sessions, os
UNION ALL
SELECT session_key, 'country' AS dimension, country AS dimension_value,
  sessions, CAST(sum(events) AS BIGINT) AS events, CAST(sum(orders) AS BIGINT) AS orders
FROM together WHERE country IS NOT NULL GROUP BY session_key, sessions, country
UNION ALL
SELECT session_key, 'utm_source' AS dimension, utm_source AS dimension_value,
  sessions, CAST(sum(events) AS BIGINT) AS events, CAST(sum(orders) AS BIGINT) AS orders
FROM together WHERE utm_source IS NOT NULL GROUP BY session_key, sessions, utm_source
UNION ALL
SELECT session_key, 'utm_medium' AS dimension, utm_medium AS dimension_value,
  sessions, CAST(sum(events) AS BIGINT) AS events, CAST(sum(orders) AS BIGINT) AS orders
FROM together WHERE utm_medium IS NOT NULL GROUP BY session_key, sessions, utm_medium
UNION ALL
SELECT session_key, 'utm_campaign' AS dimension, utm_campaign AS dimension_value,
  sessions, CAST(sum(events) AS BIGINT) AS events, CAST(sum(orders) AS BIGINT) AS orders
FROM together WHERE utm_campaign IS NOT NULL GROUP BY session_key, sessions, utm_campaign
