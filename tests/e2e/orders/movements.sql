SELECT 'booking' AS doc_type, o.number AS doc_no, b.id AS line_id, d.item_id AS item_id, i.code AS item,
       w.code AS warehouse, CASE WHEN b.quantity < 0 THEN 'return' ELSE 'issue' END AS kind,
       CASE WHEN b.posted THEN 1 ELSE 0 END AS posted, o.number AS order_no, -b.quantity AS qty
FROM booking b
JOIN demand d ON d.id = b.demand_id
JOIN work_order o ON o.id = d.order_id
LEFT JOIN item i ON i.id = d.item_id
LEFT JOIN warehouse w ON w.id = o.warehouse_id
