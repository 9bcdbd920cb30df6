CREATE TABLE warehouse (id int PRIMARY KEY, code varchar(20) NOT NULL);
CREATE TABLE location (id int PRIMARY KEY, code varchar(20) NOT NULL, kind varchar(20) NOT NULL, warehouse_id int);
CREATE TABLE item (id int PRIMARY KEY, code varchar(20), note text);
CREATE TABLE quant (id int AUTO_INCREMENT PRIMARY KEY, item_id int NOT NULL, location_id int NOT NULL, lot varchar(20),
                    quantity decimal(18,4) NOT NULL, reserved decimal(18,4), due date, secret_price decimal(18,2));
CREATE TABLE unread (id int AUTO_INCREMENT PRIMARY KEY, x int);
INSERT INTO warehouse VALUES (1, 'W1'), (2, 'W2'), (3, 'W3');
INSERT INTO location SELECT seq, CONCAT('L', seq), IF(seq % 10 = 0, 'transit', 'internal'), 1 + seq % 3 FROM seq_1_to_30;
INSERT INTO item SELECT seq, CONCAT('I', seq), NULL FROM seq_1_to_200;
INSERT INTO quant (item_id, location_id, quantity, reserved)
  SELECT 1 + seq % 200, 1 + seq % 30, 1000, seq % 7 FROM seq_1_to_3000;
CREATE USER 'cdc_{name}'@'127.0.0.1' IDENTIFIED BY 'not-in-any-log';
GRANT RELOAD, REPLICATION SLAVE, BINLOG MONITOR ON *.* TO 'cdc_{name}'@'127.0.0.1';
GRANT SELECT ON `{name}`.warehouse TO 'cdc_{name}'@'127.0.0.1';
GRANT SELECT ON `{name}`.location TO 'cdc_{name}'@'127.0.0.1';
GRANT SELECT ON `{name}`.item TO 'cdc_{name}'@'127.0.0.1';
GRANT SELECT ON `{name}`.quant TO 'cdc_{name}'@'127.0.0.1';
