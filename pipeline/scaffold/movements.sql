-- What happened: one row a movement, + in and - out. Remove this file if you do not need it.
SELECT
  m.doc_kind AS doc_type,
  m.doc_code AS doc_no,
  m.line_no AS line,
  m.article AS item_id,
  a.code AS item,
  m.warehouse AS warehouse_id,
  w.code AS warehouse,
  CASE m.doc_kind WHEN 'RCV' THEN 'receipt' WHEN 'ISS' THEN 'issue' WHEN 'RET' THEN 'return' ELSE 'other' END AS kind,
  m.booked AS posted,
  m.booked_on AS posting_date,
  m.quantity AS qty
FROM movement m
JOIN article a ON a.id = m.article
JOIN warehouse w ON w.id = m.warehouse
WHERE m.company IN (:companies)
