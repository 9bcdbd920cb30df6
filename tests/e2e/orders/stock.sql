SELECT q.item_id, i.code AS item, w.code AS warehouse, l.code AS location, q.lot, q.quantity AS on_hand
FROM quant q
JOIN location l ON l.id = q.location_id
LEFT JOIN warehouse w ON w.id = l.warehouse_id
LEFT JOIN item i ON i.id = q.item_id
WHERE l.usage = 'internal'
