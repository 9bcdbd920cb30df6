-- Stock of Tryton 8.0: the sum of its moves at storage locations. NOTES.md says which moves count, and why.
WITH side AS (
  -- what came in
  SELECT to_location AS location, product, lot, company, internal_quantity AS on_hand, 0 AS reserved
  FROM stock_move
  WHERE state = 'done' AND COALESCE(effective_date, planned_date) <= CURRENT_DATE
  UNION ALL
  -- what went out
  SELECT from_location, product, lot, company, -internal_quantity, 0
  FROM stock_move
  WHERE state = 'done' AND COALESCE(effective_date, planned_date) <= CURRENT_DATE
  UNION ALL
  -- what is promised to go out
  SELECT from_location, product, lot, company, 0, internal_quantity
  FROM stock_move
  WHERE state = 'assigned'
)
SELECT
  side.product AS item_id,
  item.code AS item,
  -- the nearest ancestor that is a warehouse
  CASE
    WHEN p1.type = 'warehouse' THEN p1.id
    WHEN p2.type = 'warehouse' THEN p2.id
    WHEN p3.type = 'warehouse' THEN p3.id
    WHEN p4.type = 'warehouse' THEN p4.id
    WHEN p5.type = 'warehouse' THEN p5.id
    WHEN p6.type = 'warehouse' THEN p6.id
  END AS warehouse_id,
  CASE
    WHEN p1.type = 'warehouse' THEN p1.code
    WHEN p2.type = 'warehouse' THEN p2.code
    WHEN p3.type = 'warehouse' THEN p3.code
    WHEN p4.type = 'warehouse' THEN p4.code
    WHEN p5.type = 'warehouse' THEN p5.code
    WHEN p6.type = 'warehouse' THEN p6.code
  END AS warehouse,
  side.location AS location_id,
  place.code AS location,
  side.lot AS lot_id,
  lot.number AS lot,
  side.on_hand AS on_hand,
  -- what lies in the output zone is promised already, whatever state its way out is in
  CASE
    WHEN place.id = COALESCE(p1.output_location, p2.output_location, p3.output_location,
                             p4.output_location, p5.output_location, p6.output_location)
      AND place.id <> COALESCE(p1.storage_location, p2.storage_location, p3.storage_location,
                               p4.storage_location, p5.storage_location, p6.storage_location)
    THEN side.on_hand
    ELSE side.reserved
  END AS reserved
FROM side
JOIN stock_location place ON place.id = side.location
LEFT JOIN stock_location p1 ON p1.id = place.parent
LEFT JOIN stock_location p2 ON p2.id = p1.parent
LEFT JOIN stock_location p3 ON p3.id = p2.parent
LEFT JOIN stock_location p4 ON p4.id = p3.parent
LEFT JOIN stock_location p5 ON p5.id = p4.parent
LEFT JOIN stock_location p6 ON p6.id = p5.parent
LEFT JOIN product_product item ON item.id = side.product
LEFT JOIN stock_lot lot ON lot.id = side.lot
WHERE place.type = 'storage'
  AND side.company IN (:orgs)
  AND (p1.type = 'warehouse' OR p2.type = 'warehouse' OR p3.type = 'warehouse'
    OR p4.type = 'warehouse' OR p5.type = 'warehouse' OR p6.type = 'warehouse')
