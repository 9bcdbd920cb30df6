SELECT q.item_id, i.code AS item, w.code AS warehouse, l.code AS location, q.lot,
       SUM(q.quantity) AS on_hand, SUM(q.reserved) AS reserved
FROM quant q
JOIN location l ON l.id = q.location_id
LEFT JOIN warehouse w ON w.id = l.warehouse_id
LEFT JOIN item i ON i.id = q.item_id
WHERE l.kind = 'internal' AND (q.due IS NULL OR q.due <= CURRENT_DATE)
GROUP BY q.item_id, i.code, w.code, l.code, q.lot
