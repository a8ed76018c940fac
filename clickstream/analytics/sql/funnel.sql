-- Sessions that reached each step in order, and their share of the step before.
WITH reached AS (
  SELECT
    count(viewed_at) AS viewed, count(carted_at) AS carted,
    count(checked_out_at) AS checked_out, count(purchased_at) AS purchased
  FROM session_funnel
), steps AS (
  SELECT 1 AS position, 'page_view' AS step, viewed AS sessions, CAST(NULL AS BIGINT) AS before FROM reached
  UNION ALL SELECT 2 AS position, 'add_to_cart' AS step, carted AS sessions, viewed AS before FROM reached
  UNION ALL SELECT 3 AS position, 'checkout' AS step, checked_out AS sessions, carted AS before FROM reached
  UNION ALL SELECT 4 AS position, 'purchase' AS step, purchased AS sessions, checked_out AS before FROM reached
)
SELECT step, sessions, sessions * 1.0 / nullif(before, 0) AS conversion
FROM steps
ORDER BY position
