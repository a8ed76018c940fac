-- Products by views, with the units bought; a purchase without a list of items is one item itself.
WITH viewed AS (
  SELECT coalesce(nullif(product_name, ''), nullif(product_id, '')) AS product, count(*) AS views
  FROM events
  WHERE event_type = 'page_view'
  GROUP BY coalesce(nullif(product_name, ''), nullif(product_id, ''))
), purchases AS (
  SELECT
    product_name, product_id, quantity,
    TRY_CAST(json_extract(order_properties, '$.items') AS JSON[]) AS items
  FROM events
  WHERE event_type = 'purchase'
), bought_items AS (
  SELECT
    coalesce(
      nullif(json_extract_string(bought.item, '$.product_name'), ''),
      nullif(json_extract_string(bought.item, '$.product_id'), '')
    ) AS product,
    CASE
      WHEN json_extract_string(bought.item, '$.quantity') IS NULL THEN 1
      WHEN regexp_matches(json_extract_string(bought.item, '$.quantity'), '^[0-9]{1,6}$')
        THEN TRY_CAST(json_extract_string(bought.item, '$.quantity') AS BIGINT)
    END AS units
  FROM purchases
  CROSS JOIN UNNEST(items) AS bought(item)
  UNION ALL
  SELECT
    coalesce(nullif(product_name, ''), nullif(product_id, '')) AS product,
    CASE
      WHEN quantity IS NULL THEN 1
      WHEN regexp_matches(quantity, '^[0-9]{1,6}$') THEN TRY_CAST(quantity AS BIGINT)
    END AS units
  FROM purchases
  WHERE items IS NULL
), bought AS (
  SELECT product, sum(units) AS units
  FROM bought_items
  WHERE units BETWEEN 1 AND 999999
  GROUP BY product
)
SELECT coalesce(v.product, b.product) AS product, coalesce(v.views, 0) AS views, coalesce(b.units, 0) AS units
FROM viewed AS v
FULL OUTER JOIN bought AS b ON b.product = v.product
WHERE coalesce(v.product, b.product) IS NOT NULL
ORDER BY views DESC, units DESC, product
LIMIT 100
