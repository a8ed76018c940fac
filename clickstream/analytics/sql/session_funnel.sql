-- Per session the earliest time at which it reached each step in order; equal times count as in order.
WITH viewed AS (
  SELECT session_key, min(event_time) AS viewed_at
  FROM chosen_session_events
  WHERE event_type = 'page_view' AND session_key IS NOT NULL
  GROUP BY session_key
), carted AS (
  SELECT e.session_key, min(e.event_time) AS carted_at
  FROM chosen_session_events AS e JOIN viewed AS v ON e.session_key = v.session_key
  WHERE e.event_type = 'add_to_cart' AND e.event_time >= v.viewed_at
  GROUP BY e.session_key
), checked_out AS (
  SELECT e.session_key, min(e.event_time) AS checked_out_at
  FROM chosen_session_events AS e JOIN carted AS c ON e.session_key = c.session_key
  WHERE e.event_type = 'checkout' AND e.event_time >= c.carted_at
  GROUP BY e.session_key
), purchased AS (
  SELECT e.session_key, min(e.event_time) AS purchased_at
  FROM chosen_session_events AS e JOIN checked_out AS c ON e.session_key = c.session_key
  WHERE e.event_type = 'purchase' AND e.event_time >= c.checked_out_at
  GROUP BY e.session_key
)
SELECT v.session_key, v.viewed_at, c.carted_at, o.checked_out_at, p.purchased_at
FROM viewed AS v
LEFT JOIN carted AS c ON c.session_key = v.session_key
LEFT JOIN checked_out AS o ON o.session_key = v.session_key
LEFT JOIN purchased AS p ON p.session_key = v.session_key
