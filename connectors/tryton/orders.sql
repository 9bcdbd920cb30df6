-- Material of production orders: a line for each item of an order. NOTES.md says which moves count, and why.
WITH material AS (
  -- what is needed and what was issued; a cancelled move needs nothing, but its line stays
  SELECT
    production_input AS production,
    product,
    CASE WHEN state = 'cancelled' THEN 0 ELSE internal_quantity END AS required,
    CASE WHEN state = 'done' THEN internal_quantity ELSE 0 END AS issued,
    0 AS returned,
    CASE WHEN state = 'assigned' THEN internal_quantity ELSE 0 END AS reserved
  FROM stock_move
  UNION ALL
  -- what came back: an output of something else than the order makes
  SELECT
    back.production_output,
    back.product,
    0,
    -back.internal_quantity,
    back.internal_quantity,
    0
  FROM stock_move back
  JOIN production made ON made.id = back.production_output
  WHERE back.state = 'done' AND made.type = 'assembly' AND (made.product IS NULL OR made.product <> back.product)
)
SELECT
  production.id AS order_no_id,
  production.number AS order_no,
  production.id || '/' || material.product AS line_id,
  item.code AS line,
  material.product AS item_id,
  item.code AS item,
  production.warehouse AS warehouse_id,
  warehouse.code AS warehouse,
  CASE
    WHEN production.state IN ('request', 'draft') THEN 'planned'
    WHEN production.state IN ('waiting', 'assigned', 'running') THEN 'released'
    WHEN production.state = 'done' THEN 'closed'
    ELSE production.state
  END AS status,
  COALESCE(production.planned_start_date, production.planned_date) AS due,
  product.code AS product,
  material.required AS required,
  material.issued AS issued,
  material.returned AS returned,
  material.reserved AS reserved
FROM material
JOIN production ON production.id = material.production
LEFT JOIN product_product item ON item.id = material.product
LEFT JOIN product_product product ON product.id = production.product
LEFT JOIN stock_location warehouse ON warehouse.id = production.warehouse
WHERE production.company IN (:orgs)
