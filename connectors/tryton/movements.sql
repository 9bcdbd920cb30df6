-- Posted moves at storage locations, one row a side. NOTES.md says what the kinds are.
WITH side AS (
  SELECT id, 'in' AS leg, to_location AS location, from_location AS other, product, lot, company, shipment, origin,
    production_input, production_output, effective_date, planned_date, internal_quantity AS qty
  FROM stock_move
  WHERE state = 'done' AND COALESCE(effective_date, planned_date) <= CURRENT_DATE
  UNION ALL
  SELECT id, 'out', from_location, to_location, product, lot, company, shipment, origin,
    production_input, production_output, effective_date, planned_date, -internal_quantity
  FROM stock_move
  WHERE state = 'done' AND COALESCE(effective_date, planned_date) <= CURRENT_DATE
)
SELECT
  CASE
    WHEN side.production_input IS NOT NULL OR side.production_output IS NOT NULL THEN 'production'
    WHEN SUBSTRING(side.shipment, 1, 18) = 'stock.shipment.in,' THEN 'supplier shipment'
    WHEN SUBSTRING(side.shipment, 1, 25) = 'stock.shipment.in.return,' THEN 'supplier return'
    WHEN SUBSTRING(side.shipment, 1, 19) = 'stock.shipment.out,' THEN 'customer shipment'
    WHEN SUBSTRING(side.shipment, 1, 26) = 'stock.shipment.out.return,' THEN 'customer return'
    WHEN SUBSTRING(side.shipment, 1, 24) = 'stock.shipment.internal,' THEN 'internal shipment'
    WHEN SUBSTRING(side.origin, 1, 21) = 'stock.inventory.line,' THEN 'inventory'
    ELSE 'move'
  END AS doc_type,
  -- a shipment or an inventory is named as Tryton refers to it: its model and id
  COALESCE(needs.number, makes.number, side.shipment, side.origin) AS doc_no,
  side.id AS line_id,
  side.leg AS leg,
  side.product AS item_id,
  item.code AS item,
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
  CASE
    WHEN side.production_input IS NOT NULL THEN 'issue'
    WHEN makes.type = 'disassembly' OR makes.product = side.product THEN 'production'
    WHEN makes.id IS NOT NULL THEN 'return'
    WHEN other.type = 'supplier' AND side.leg = 'in' THEN 'receipt'
    WHEN other.type = 'supplier' THEN 'supplier_return'
    WHEN other.type = 'customer' AND side.leg = 'out' THEN 'sale'
    WHEN other.type = 'customer' THEN 'customer_return'
    WHEN other.type = 'lost_found' AND SUBSTRING(side.origin, 1, 21) = 'stock.inventory.line,' THEN 'count'
    WHEN other.type = 'lost_found' THEN 'adjust'
    WHEN other.type = 'storage' THEN 'transfer'
    ELSE 'other'
  END AS kind,
  COALESCE(side.effective_date, side.planned_date) AS posting_date,
  COALESCE(needs.id, makes.id) AS order_no_id,
  COALESCE(needs.number, makes.number) AS order_no,
  side.qty AS qty
FROM side
JOIN stock_location place ON place.id = side.location
LEFT JOIN stock_location p1 ON p1.id = place.parent
LEFT JOIN stock_location p2 ON p2.id = p1.parent
LEFT JOIN stock_location p3 ON p3.id = p2.parent
LEFT JOIN stock_location p4 ON p4.id = p3.parent
LEFT JOIN stock_location p5 ON p5.id = p4.parent
LEFT JOIN stock_location p6 ON p6.id = p5.parent
LEFT JOIN stock_location other ON other.id = side.other
LEFT JOIN production needs ON needs.id = side.production_input
LEFT JOIN production makes ON makes.id = side.production_output
LEFT JOIN product_product item ON item.id = side.product
LEFT JOIN stock_lot lot ON lot.id = side.lot
WHERE place.type = 'storage'
  AND side.company IN (:orgs)
  AND (p1.type = 'warehouse' OR p2.type = 'warehouse' OR p3.type = 'warehouse'
    OR p4.type = 'warehouse' OR p5.type = 'warehouse' OR p6.type = 'warehouse')
