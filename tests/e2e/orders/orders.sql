-- two tables yield the rows of one line: what the bill asks for, and what was booked on it
SELECT o.number AS order_no, d.line AS line, d.item_id AS item_id, i.code AS item, w.code AS warehouse,
       o.status AS status, o.due AS due, d.required AS required, 0 AS issued, 0 AS returned
FROM demand d
JOIN work_order o ON o.id = d.order_id
LEFT JOIN item i ON i.id = d.item_id
LEFT JOIN warehouse w ON w.id = o.warehouse_id
UNION ALL
SELECT o.number, d.line, d.item_id, i.code, w.code, o.status, o.due, 0,
       b.quantity, CASE WHEN b.quantity < 0 THEN -b.quantity ELSE 0 END
FROM booking b
JOIN demand d ON d.id = b.demand_id
JOIN work_order o ON o.id = d.order_id
LEFT JOIN item i ON i.id = d.item_id
LEFT JOIN warehouse w ON w.id = o.warehouse_id
WHERE b.posted
