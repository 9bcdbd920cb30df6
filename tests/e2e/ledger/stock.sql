WITH side AS (
  SELECT to_place AS place, product, quantity AS on_hand, 0 AS reserved FROM move WHERE state = 'done'
  UNION ALL
  SELECT from_place, product, -quantity, 0 FROM move WHERE state = 'done'
  UNION ALL
  SELECT from_place, product, 0, quantity FROM move WHERE state = 'assigned'
)
SELECT side.product AS item_id, p.code AS item, w.id AS warehouse_id, w.code AS warehouse, l.id AS location_id, l.code AS location,
       side.on_hand, side.reserved
FROM side
JOIN place l ON l.id = side.place
JOIN place w ON w.id = l.parent
LEFT JOIN product p ON p.id = side.product
