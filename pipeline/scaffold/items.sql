-- What an item is called, and how much of it should be there.
SELECT
  a.id AS item_id,
  a.code AS item,
  a.title AS name,
  a.unit AS uom,
  a.active AS active,
  a.safety_stock AS safety_stock
FROM article a
