-- What is where. Each row adds to the stock of its identity: item, warehouse, lot, status.
-- Without AS the names mean nothing: item, warehouse, on_hand, .. are what onhand goes by. Today is $today.
SELECT
  b.article AS item_id,       -- the id tells items apart,
  a.code AS item,             -- the code is what people read
  b.warehouse AS warehouse_id,
  w.code AS warehouse,
  b.lot AS lot_id,
  l.code AS lot,
  CASE b.quality WHEN 'F' THEN 'free' WHEN 'Q' THEN 'quality' ELSE 'blocked' END AS status,
  b.quantity AS on_hand,
  b.reserved AS reserved
FROM balance b
JOIN article a ON a.id = b.article          -- a join finds one row by a primary or unique key
JOIN warehouse w ON w.id = b.warehouse
LEFT JOIN lot l ON l.id = b.lot
WHERE b.company IN (:companies)
