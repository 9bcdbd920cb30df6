-- What orders still need. Remove this file if your ERP has none.
SELECT
  o.code AS order_no,
  n.id AS line_id,            -- unique in the query: the line stays the same when the ERP renumbers
  n.line_no AS line,
  n.article AS item_id,
  a.code AS item,
  n.warehouse AS warehouse_id,
  w.code AS warehouse,
  o.due_on AS due,
  CASE o.progress WHEN 'P' THEN 'planned' WHEN 'R' THEN 'released' WHEN 'X' THEN 'cancelled' ELSE 'closed' END AS status,
  n.quantity AS required,
  n.issued AS issued          -- less what came back
FROM work_order_line n
JOIN work_order o ON o.id = n.work_order
JOIN article a ON a.id = n.article
LEFT JOIN warehouse w ON w.id = n.warehouse
WHERE o.company IN (:companies)
