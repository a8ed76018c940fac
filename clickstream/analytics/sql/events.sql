-- One row per event with typed columns. Source: raw_events, the stored fields as text.
-- Times are cut to milliseconds, as everywhere in the platform; an amount becomes whole cents, half to even.
WITH named AS (
  SELECT
    event_id,
    event_type,
    user_id,
    anonymous_id,
    session_id,
    TRY_CAST(substr("timestamp", 1, 10) || ' ' || replace(substr("timestamp", 12, 12), 'Z', '') AS TIMESTAMP) AS event_time,
    TRY_CAST(substr(received_at, 1, 10) || ' ' || replace(substr(received_at, 12, 12), 'Z', '') AS TIMESTAMP) AS received_time,
    json_extract_string(properties, '$.page') AS page,
    json_extract_string(properties, '$.referrer') AS referrer,
    json_extract_string(properties, '$.product_id') AS product_id,
    json_extract_string(properties, '$.product_name') AS product_name,
    json_extract_string(properties, '$.quantity') AS quantity,
    json_extract_string(properties, '$.device') AS device,
    json_extract_string(properties, '$.browser') AS browser,
    json_extract_string(properties, '$.os') AS os,
    json_extract_string(properties, '$.country') AS country,
    json_extract_string(properties, '$.utm_source') AS utm_source,
    json_extract_string(properties, '$.utm_medium') AS utm_medium,
    json_extract_string(properties, '$.utm_campaign') AS utm_campaign,
    json_extract_string(properties, '$.order_id') AS order_id,
    CASE WHEN event_type = 'purchase' THEN properties END AS order_properties,
    CASE
      WHEN event_type <> 'purchase' THEN NULL
      WHEN regexp_matches(json_extract_string(properties, '$.currency'), '^[A-Za-z]{3}$')
        THEN upper(json_extract_string(properties, '$.currency'))
      ELSE 'USD'
    END AS currency,
    CASE WHEN event_type = 'purchase' THEN coalesce(
      json_extract_string(properties, '$.total'),
      json_extract_string(properties, '$.revenue'),
      json_extract_string(properties, '$.value')
    ) END AS amount_text
  FROM raw_events
), written AS (
  SELECT
    *,
    CASE
      WHEN regexp_matches(amount_text, '^[+-]?[0-9]{1,20}([.][0-9]*)?([eE][+-]?[0-9]{1,3})?$')
        THEN TRY_CAST(amount_text AS DECIMAL(38, 18))
    END AS any_amount
  FROM named
), plausible AS (
  -- Nothing is computed with an amount before this: one absurd event must not make every answer fail.
  SELECT *, CASE WHEN abs(any_amount) <= 10000000000000 THEN any_amount END AS amount
  FROM written
), counted AS (
  SELECT *, floor(amount * 100) AS whole_cents
  FROM plausible
)
SELECT
  event_id, event_type, user_id, anonymous_id, session_id, event_time, received_time, page, referrer,
  product_id, product_name, quantity, device, browser, os, country, utm_source, utm_medium, utm_campaign,
  order_id, order_properties, currency,
  CAST(CASE
    WHEN amount * 100 - whole_cents > 0.5 THEN whole_cents + 1
    WHEN amount * 100 - whole_cents = 0.5 AND whole_cents % 2 <> 0 THEN whole_cents + 1
    ELSE whole_cents
  END AS BIGINT) AS revenue_cents
FROM counted
