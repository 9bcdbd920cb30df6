-- The tables that the queries read, as the ERP's database has them: names, types, keys. A dump of the structure will do.
CREATE TABLE article (
  id $int PRIMARY KEY,
  code $code NOT NULL,
  title $text,
  unit $code,
  active $flag NOT NULL,
  safety_stock $quantity
);
CREATE TABLE warehouse (
  id $int PRIMARY KEY,
  code $code NOT NULL
);
CREATE TABLE lot (
  id $int PRIMARY KEY,
  code $code NOT NULL
);
CREATE TABLE balance (
  id $int PRIMARY KEY,
  company $int NOT NULL,
  article $int NOT NULL,
  warehouse $int NOT NULL,
  lot $int,
  quality $code NOT NULL,
  quantity $quantity NOT NULL,
  reserved $quantity NOT NULL
);
CREATE TABLE work_order (
  id $int PRIMARY KEY,
  code $code NOT NULL,
  company $int NOT NULL,
  progress $code NOT NULL,
  due_on $date
);
CREATE TABLE work_order_line (
  id $int PRIMARY KEY,
  work_order $int NOT NULL,
  line_no $int NOT NULL,
  article $int NOT NULL,
  warehouse $int,
  quantity $quantity NOT NULL,
  issued $quantity NOT NULL
);
CREATE TABLE movement (
  id $int PRIMARY KEY,
  company $int NOT NULL,
  doc_kind $code NOT NULL,
  doc_code $code NOT NULL,
  line_no $int NOT NULL,
  article $int NOT NULL,
  warehouse $int NOT NULL,
  quantity $quantity NOT NULL,
  booked $flag NOT NULL,
  booked_on $date
);
