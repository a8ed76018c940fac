-- Every event with the key of its session: session_id when given, else per person (user_id, else anonymous_id)
-- a new session after more than 30 minutes without an event. An event with neither belongs to no session.
-- RANGE: events of one moment are in one session, whichever of them `lag` has taken for the first.
WITH following AS (
  SELECT
    *,
    coalesce(user_id, anonymous_id) AS person,
    lag(event_time) OVER (PARTITION BY coalesce(user_id, anonymous_id) ORDER BY event_time) AS previous_time
  FROM events
  WHERE session_id IS NULL
), numbered AS (
  SELECT
    *,
    sum(CASE WHEN event_time > previous_time + INTERVAL '30' MINUTE THEN 1 ELSE 0 END) OVER (
      PARTITION BY person ORDER BY event_time RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS session_number
  FROM following
)
SELECT
  's:' || session_id AS session_key, coalesce(user_id, anonymous_id) AS person,
  event_id, event_type, user_id, anonymous_id, session_id, is_bot, event_time, received_time, page, referrer,
  product_id, product_name, quantity, device, browser, os, country, utm_source, utm_medium, utm_campaign,
  order_id, properties, currency, revenue_cents
FROM events
WHERE session_id IS NOT NULL
UNION ALL
SELECT
  'p:' || person || '#' || CAST(session_number AS VARCHAR) AS session_key, person,
  event_id, event_type, user_id, anonymous_id, session_id, is_bot, event_time, received_time, page, referrer,
  product_id, product_name, quantity, device, browser, os, country, utm_source, utm_medium, utm_campaign,
  order_id, properties, currency, revenue_cents
FROM numbered
