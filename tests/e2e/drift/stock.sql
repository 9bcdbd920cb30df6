SELECT t.item, 'W' AS warehouse, t.n AS on_hand FROM added t
UNION ALL
SELECT t.item, 'W' AS warehouse, t.n AS on_hand FROM widened t
UNION ALL
SELECT t.item, 'W' AS warehouse, t.n AS on_hand FROM scaled t
UNION ALL
SELECT t.item, 'W' AS warehouse, t.n AS on_hand FROM relaxed t
UNION ALL
SELECT t.item, 'W' AS warehouse, t.n AS on_hand FROM rekeyed t
UNION ALL
SELECT t.item, 'W' AS warehouse, t.n AS on_hand FROM dropped t
UNION ALL
SELECT t.item, 'W' AS warehouse, t.n AS on_hand FROM lost t
UNION ALL
SELECT t.item, 'W' AS warehouse, t.n AS on_hand FROM renamed t
UNION ALL
SELECT t.item, 'W' AS warehouse, t.n AS on_hand FROM retyped t
UNION ALL
SELECT t.item, 'W' AS warehouse, t.n AS on_hand FROM narrowed t
UNION ALL
SELECT t.item, 'W' AS warehouse, t.n AS on_hand FROM remade t
UNION ALL
SELECT t.item, 'W' AS warehouse, t.n AS on_hand FROM moved t
UNION ALL
SELECT t.item, 'W' AS warehouse, t.n AS on_hand FROM swapped t
