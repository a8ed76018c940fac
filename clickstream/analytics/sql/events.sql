-- One row per event with typed columns. Source: raw_events, the stored fields as text.
-- Times are cut to milliseconds, as everywhere in the platform; an amount becomes whole cents, half to even.
-- A name counts when it is a JSON string that is not empty, as in the statistics; a number or an object is no page.
WITH named AS (
  SELECT
    event_id,
    event_type,
    user_id,
    anonymous_id,
    session_id,
    is_bot,
    TRY_CAST(substr("timestamp", 1, 10) || ' ' || replace(substr("timestamp", 12, 12), 'Z', '') AS TIMESTAMP) AS event_time,
    TRY_CAST(substr(received_at, 1, 10) || ' ' || replace(substr(received_at, 12, 12), 'Z', '') AS TIMESTAMP) AS received_time,
    CAST(json_extract(properties, '$.page') AS VARCHAR) AS page,
    CAST(json_extract(properties, '$.referrer') AS VARCHAR) AS referrer,
    CAST(json_extract(properties, '$.product_id') AS VARCHAR) AS product_id,
    CAST(json_extract(properties, '$.product_name') AS VARCHAR) AS product_name,
    json_extract_string(properties, '$.quantity') AS quantity,
    CAST(json_extract(properties, '$.device') AS VARCHAR) AS device,
    CAST(json_extract(properties, '$.browser') AS VARCHAR) AS browser,
    CAST(json_extract(properties, '$.os') AS VARCHAR) AS os,
    CAST(json_extract(properties, '$.country') AS VARCHAR) AS country,
    CAST(json_extract(properties, '$.utm_source') AS VARCHAR) AS utm_source,
    CAST(json_extract(properties, '$.utm_medium') AS VARCHAR) AS utm_medium,
    CAST(json_extract(properties, '$.utm_campaign') AS VARCHAR) AS utm_campaign,
    CAST(json_extract(properties, '$.order_id') AS VARCHAR) AS order_id,
    properties,
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
    event_id, event_type, user_id, anonymous_id, session_id, is_bot, event_time, received_time, quantity,
    properties, currency, amount_text,
    CASE WHEN page LIKE '"_%"' THEN json_extract_string(page, '$') END AS page,
    CASE WHEN referrer LIKE '"_%"' THEN json_extract_string(referrer, '$') END AS referrer,
    CASE WHEN product_id LIKE '"_%"' THEN json_extract_string(product_id, '$') END AS product_id,
    CASE WHEN product_name LIKE '"_%"' THEN json_extract_string(product_name, '$') END AS product_name,
    CASE WHEN device LIKE '"_%"' THEN json_extract_string(device, '$') END AS device,
    CASE WHEN browser LIKE '"_%"' THEN json_extract_string(browser, '$') END AS browser,
    CASE WHEN os LIKE '"_%"' THEN json_extract_string(os, '$') END AS os,
    CASE WHEN country LIKE '"_%"' THEN json_extract_string(country, '$') END AS country,
    CASE WHEN utm_source LIKE '"_%"' THEN json_extract_string(utm_source, '$') END AS utm_source,
    CASE WHEN utm_medium LIKE '"_%"' THEN json_extract_string(utm_medium, '$') END AS utm_medium,
    CASE WHEN utm_campaign LIKE '"_%"' THEN json_extract_string(utm_campaign, '$') END AS utm_campaign,
    CASE WHEN order_id LIKE '"_%"' THEN json_extract_string(order_id, '$') END AS order_id,
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
  event_id, event_type, user_id, anonymous_id, session_id, is_bot, event_time, received_time, page, referrer,
  product_id, product_name, quantity, device, browser, os, country, utm_source, utm_medium, utm_campaign,
  order_id, properties, currency,
  CAST(CASE
    WHEN amount * 100 - whole_cents > 0.5 THEN whole_cents + 1
    WHEN amount * 100 - whole_cents = 0.5 AND whole_cents % 2 <> 0 THEN whole_cents + 1
    ELSE whole_cents
  END AS BIGINT) AS revenue_cents
FROM counted
