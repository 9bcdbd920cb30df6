SELECT 'move' AS doc_type, m.id AS line_id, d.number AS doc_no, m.product AS item_id, p.code AS item,
       w.id AS warehouse_id, w.code AS warehouse, 'transfer' AS kind, m.quantity AS qty
FROM move m
LEFT JOIN document d ON d.id = m.document
LEFT JOIN product p ON p.id = m.product
LEFT JOIN place l ON l.id = m.to_place
LEFT JOIN place w ON w.id = l.parent
