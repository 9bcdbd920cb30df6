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
CREATE TABLE work_order (id int PRIMARY KEY, number text NOT NULL, status text NOT NULL, due date, warehouse_id int);
CREATE TABLE demand (id int PRIMARY KEY, order_id int NOT NULL, line int NOT NULL, item_id int NOT NULL,
                     required numeric(18,2) NOT NULL);
CREATE TABLE booking (id serial PRIMARY KEY, demand_id int NOT NULL, quantity numeric(18,2) NOT NULL, posted boolean NOT NULL);
INSERT INTO work_order SELECT g, 'WO-' || g, CASE g % 5 WHEN 0 THEN 'planned' ELSE 'released' END,
  DATE '2026-12-01' + g % 7, CASE WHEN g % 9 = 0 THEN NULL ELSE 1 + g % 3 END FROM generate_series(1, 60) g;
INSERT INTO demand SELECT g, 1 + g % 60, 1 + g / 60, 1 + g % 20, 300 * (1 + g % 13) FROM generate_series(0, 239) g;
CREATE ROLE cdc LOGIN REPLICATION PASSWORD 'not-in-any-log';
GRANT USAGE ON SCHEMA public TO cdc;
GRANT SELECT (id, code) ON warehouse TO cdc;
GRANT SELECT (id, code, usage, warehouse_id) ON location TO cdc;
GRANT SELECT (id, code) ON item TO cdc;
GRANT SELECT (id, item_id, location_id, lot, quantity, reserved) ON quant TO cdc;
GRANT SELECT (id, number, status, due, warehouse_id) ON work_order TO cdc;
GRANT SELECT (id, order_id, line, item_id, required) ON demand TO cdc;
GRANT SELECT (id, demand_id, quantity, posted) ON booking TO cdc;
CREATE PUBLICATION onhand FOR TABLE warehouse (id, code), location (id, code, usage, warehouse_id), item (id, code),
  quant (id, item_id, location_id, lot, quantity, reserved),
  work_order (id, number, status, due, warehouse_id), demand (id, order_id, line, item_id, required),
  booking (id, demand_id, quantity, posted);
