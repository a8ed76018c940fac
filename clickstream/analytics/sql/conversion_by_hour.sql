-- Sessions by the hour (UTC) of their first page view, how many went on to buy in order, and their share.
SELECT
  date_trunc('hour', viewed_at) AS hour,
  count(*) AS sessions,
  count(carted_at) AS carted,
  count(checked_out_at) AS checked_out,
  count(purchased_at) AS purchased,
  count(purchased_at) * 1.0 / count(*) AS conversion
FROM session_funnel
GROUP BY date_trunc('hour', viewed_at)
ORDER BY hour
