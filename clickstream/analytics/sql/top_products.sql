-- Products by views, with the units bought; a purchase without a list of items is one item itself.
WITH viewed AS (
  SELECT coalesce(product_name, product_id) AS product, count(*) AS views
  FROM chosen_events
  WHERE event_type = 'page_view'
  GROUP BY coalesce(product_name, product_id)
), purchases AS (
  SELECT
    product_name, product_id, quantity,
    TRY_CAST(json_extract(properties, '$.items') AS JSON[]) AS items
  FROM chosen_events
  WHERE event_type = 'purchase'
), listed AS (
  SELECT
    CAST(json_extract(bought.item, '$.product_name') AS VARCHAR) AS product_name,
    CAST(json_extract(bought.item, '$.product_id') AS VARCHAR) AS product_id,
    json_extract_string(bought.item, '$.quantity') AS quantity
  FROM purchases
  CROSS JOIN UNNEST(items) AS bought(item)
), ordered AS (
  SELECT
    CASE
      WHEN product_name LIKE '"_%"' THEN json_extract_string(product_name, '$')
      WHEN product_id LIKE '"_%"' THEN json_extract_string(product_id, '$')
    END AS product,
    quantity
  FROM listed
  UNION ALL
  SELECT coalesce(product_name, product_id) AS product, quantity
  FROM purchases
  WHERE items IS NULL
), bought_items AS (
  SELECT
    product,
    CASE
      WHEN quantity IS NULL THEN 1
      WHEN regexp_matches(quantity, '^[0-9]{1,6}$') THEN TRY_CAST(quantity AS BIGINT)
    END AS units
  FROM ordered
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
