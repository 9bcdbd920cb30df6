CREATE TABLE warehouse (id int PRIMARY KEY, code text NOT NULL);
CREATE TABLE location (id int PRIMARY KEY, code text NOT NULL, usage text NOT NULL, warehouse_id int);
CREATE TABLE item (id int PRIMARY KEY, code text, factor numeric(9,3) NOT NULL);
CREATE TABLE quant (id serial PRIMARY KEY, item_id int NOT NULL, location_id int NOT NULL, terms text,
                    quantity numeric(18,4) NOT NULL, reserved numeric(18,4));
CREATE INDEX ON quant (item_id);
-- terms of 3 kB lie beside the row: a change of another column leaves them out of the change log
ALTER TABLE quant ALTER terms SET STORAGE EXTERNAL;
INSERT INTO warehouse VALUES (1, 'W1'), (2, 'W2'), (3, 'W3');
INSERT INTO location SELECT g, 'L' || g, CASE WHEN g % 10 = 0 THEN 'transit' ELSE 'internal' END, 1 + g % 3 FROM generate_series(1, 30) g;
INSERT INTO item SELECT g, 'I' || g, CASE WHEN g % 4 = 0 THEN 12 ELSE 1 END FROM generate_series(1, 400) g;
INSERT INTO quant (item_id, location_id, terms, quantity, reserved)
  SELECT 1 + g % 400, 1 + g % 30, CASE WHEN g % 5 = 0 THEN 'LT' || g % 7 || repeat('x', 3000) END, g % 100, g % 7
  FROM generate_series(1, 3000) g;
CREATE ROLE cdc LOGIN REPLICATION PASSWORD 'not-in-any-log';
GRANT USAGE ON SCHEMA public TO cdc;
GRANT SELECT ON warehouse, location, item, quant TO cdc;
CREATE PUBLICATION onhand FOR TABLE warehouse, location, item, quant;
