CREATE TABLE warehouse (id int PRIMARY KEY, code text NOT NULL);
CREATE TABLE location (id int PRIMARY KEY, code text NOT NULL, usage text NOT NULL, warehouse_id int);
CREATE TABLE item (id int PRIMARY KEY, code text, note text);
CREATE TABLE quant (id serial PRIMARY KEY, item_id int NOT NULL, location_id int NOT NULL, lot text,
                    quantity numeric(18,4) NOT NULL, reserved numeric(18,4), secret_price numeric(18,2));
INSERT INTO warehouse VALUES (1, 'W1'), (2, 'W2'), (3, 'W3');
INSERT INTO location SELECT g, 'L' || g, CASE WHEN g % 10 = 0 THEN 'transit' ELSE 'internal' END, 1 + g % 3 FROM generate_series(1, 30) g;
INSERT INTO item SELECT g, 'I' || g, NULL FROM generate_series(1, 200) g;
INSERT INTO quant (item_id, location_id, quantity, reserved)
  SELECT 1 + g % 200, 1 + g % 30, 1000, g % 7 FROM generate_series(1, 3000) g;
-- the probe only ever grows; the pair (item PAIR in W1 and W3) always sums to 1,000,000
INSERT INTO item VALUES (1001, 'PROBE', NULL), (1002, 'PAIR', NULL);
INSERT INTO quant (id, item_id, location_id, quantity, reserved) VALUES
  (100001, 1001, 3, 0, 0), (100002, 1002, 3, 500000, 0), (100003, 1002, 2, 500000, 0);
CREATE ROLE cdc LOGIN REPLICATION PASSWORD 'not-in-any-log';
GRANT USAGE ON SCHEMA public TO cdc;
GRANT SELECT (id, code) ON warehouse TO cdc;
GRANT SELECT (id, code, usage, warehouse_id) ON location TO cdc;
GRANT SELECT (id, code) ON item TO cdc;
GRANT SELECT (id, item_id, location_id, lot, quantity, reserved) ON quant TO cdc;
CREATE PUBLICATION onhand FOR TABLE warehouse (id, code), location (id, code, usage, warehouse_id), item (id, code),
  quant (id, item_id, location_id, lot, quantity, reserved);
