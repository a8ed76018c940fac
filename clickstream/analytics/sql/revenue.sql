-- Orders and revenue by day and currency, in whole cents. A purchase without an amount is an order too.
SELECT
  CAST(local_time(event_time) AS DATE) AS day,
  currency,
  count(*) AS orders,
  sum(coalesce(revenue_cents, 0)) AS revenue_cents,
  sum(coalesce(revenue_cents, 0)) * 1.0 / count(*) AS average_order_cents
FROM chosen_events
WHERE event_type = 'purchase'
GROUP BY CAST(local_time(event_time) AS DATE), currency
ORDER BY day, currency
