-- Orders and revenue by day (UTC) and currency, in whole cents.
SELECT
  CAST(event_time AS DATE) AS day,
  currency,
  count(*) AS orders,
  sum(revenue_cents) AS revenue_cents,
  sum(revenue_cents) * 1.0 / count(*) AS average_order_cents
FROM events
WHERE event_type = 'purchase' AND revenue_cents IS NOT NULL
GROUP BY CAST(event_time AS DATE), currency
ORDER BY day, currency
