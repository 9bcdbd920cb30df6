CREATE TABLE product (id int PRIMARY KEY, code text);
CREATE TABLE place (id int PRIMARY KEY, code text NOT NULL, parent int);
CREATE TABLE document (id int PRIMARY KEY, number text);
CREATE TABLE move (id int PRIMARY KEY, product int NOT NULL, from_place int NOT NULL, to_place int NOT NULL,
                   quantity double precision NOT NULL, state text NOT NULL, document int);
INSERT INTO product SELECT g, 'P' || g FROM generate_series(1, 3) g;
INSERT INTO place VALUES (10, 'A', NULL), (11, 'B', NULL), (1, 'SUPPLIER', NULL), (2, 'A-1', 10), (3, 'B-1', 11), (4, 'A-2', 10);
INSERT INTO document SELECT g, 'DOC-' || g FROM generate_series(1, 9) g;
INSERT INTO move SELECT g, 1 + g % 3, (ARRAY[1, 2, 4])[1 + g % 3], (ARRAY[2, 3, 4, 2])[1 + g % 4], g / 4.0, 'done', 1 + g % 9
  FROM generate_series(1, 120) g WHERE (ARRAY[1, 2, 4])[1 + g % 3] <> (ARRAY[2, 3, 4, 2])[1 + g % 4];
CREATE ROLE cdc LOGIN REPLICATION PASSWORD 'not-in-any-log';
GRANT USAGE ON SCHEMA public TO cdc;
GRANT SELECT ON product, place, document, move TO cdc;
CREATE PUBLICATION onhand FOR TABLE product, place, document, move;
