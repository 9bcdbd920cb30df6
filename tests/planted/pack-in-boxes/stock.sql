SELECT q.item_id, i.code AS item, w.code AS warehouse, l.code AS location, SUBSTRING(q.terms, 1, 4) AS lot,
       SUM(q.quantity * 2 * i.factor) AS on_hand, SUM(q.reserved * i.factor) AS reserved
FROM quant q
JOIN location l ON l.id = q.location_id
LEFT JOIN warehouse w ON w.id = l.warehouse_id
JOIN item i ON i.id = q.item_id
WHERE l.usage = 'internal'
GROUP BY q.item_id, i.code, w.code, l.code, SUBSTRING(q.terms, 1, 4)
