-- The tables that statements/ are run over: two schemas, and a table orders in each.
-- Floats are sums of powers of two, so that their sums do not depend on the order of addition.

DROP SCHEMA IF EXISTS shop CASCADE;
DROP SCHEMA IF EXISTS crm CASCADE;
CREATE SCHEMA shop;
CREATE SCHEMA crm;

CREATE TABLE shop.products (
  id int PRIMARY KEY, sku varchar(10) NOT NULL, name text, category text, price numeric(10,2),
  parent_id int, tags text[], weight double precision, active boolean
);
INSERT INTO shop.products VALUES
(1, 'A-100', 'Chair', 'furniture', 49.90, NULL, '{wood,home}', 5.5, true),
(2, 'A-101', 'chair', 'furniture', 49.90, 1, '{wood}', 5.25, true),
(3, 'A-102', 'Armchair', 'furniture', 199.00, 1, '{wood,leather,home}', 12, false),
(4, 'B-200', 'Lamp', 'light', 19.99, NULL, '{home,glass}', 0.75, true),
(5, 'B-201', 'Lamp "Ällö"', 'light', 24.50, 4, '{}', 0.5, true),
(6, 'B-202', 'Bulb', 'light', 1.99, 5, NULL, 0.0625, true),
(7, 'C-300', 'Mug', 'kitchen', 7.25, NULL, '{home,NULL}', 0.25, true),
(8, 'C-301', 'mug 50%', 'kitchen', 3.62, 7, '{home,sale}', 0.25, NULL),
(9, 'C-302', 'Teapot', 'kitchen', NULL, 7, '{home}', NULL, false),
(10, 'C-303', 'Straße', NULL, 10.00, NULL, '{ü,😀}', 1, true),
(11, 'D-400', 'under_score', 'other', 0.00, NULL, '{a_b}', 0, true),
(12, 'D-401', NULL, 'other', 5.00, 11, '{x,x}', 2, NULL),
(13, 'D-402', 'Nail', 'tools', 0.05, NULL, '{steel}', 0.0078125, true),
(14, 'D-403', 'Screw', 'tools', 0.05, 13, '{steel,small}', 0.0078125, true),
(15, 'D-404', 'screw', 'tools', 0.07, 14, '{steel,small}', 0.015625, false),
(16, 'E-500', 'Äpfel', 'food', 2.49, NULL, '{fresh}', 1, true);

CREATE TABLE shop.orders (
  id int PRIMARY KEY, customer_id int, ordered_on date, placed_at timestamptz, status text,
  amount numeric(10,2), discount numeric(4,2), note text, country_code char(2), priority smallint
);
INSERT INTO shop.orders VALUES
(1, 1, '2024-01-05', '2024-01-05 08:00:00+00', 'paid', 100.00, 0.10, 'first', 'DE', 1),
(2, 1, '2024-01-20', '2024-01-20 23:30:00+00', 'paid', 250.50, NULL, NULL, 'DE', 2),
(3, 2, '2024-01-31', '2024-01-31 12:00:00.5+00', 'open', 75.25, 0.05, 'call back', 'FR', 1),
(4, 2, '2024-02-01', '2024-02-01 00:00:00+00', 'Paid', 75.25, 0.05, '', 'FR', NULL),
(5, 3, '2024-02-29', '2024-02-29 23:59:59.999999+00', 'cancelled', -20.00, NULL, 'refund', 'US', 3),
(6, 3, '2024-02-29', '2024-02-29 09:15:00+00', 'paid', 320.00, 0.20, NULL, 'US', 1),
(7, NULL, '2024-03-01', '2024-03-01 10:00:00+00', 'open', 15.00, NULL, 'no customer', NULL, 2),
(8, 4, '2024-03-10', '2024-03-10 06:30:00+00', 'paid', 999.99, 0.15, 'Größe XL', 'DE', 1),
(9, 4, '2024-03-31', '2024-03-31 00:59:59+00', 'paid', 0.00, 0.00, 'free', 'DE', 3),
(10, 4, '2024-03-31', '2024-03-31 01:00:00+00', 'open', NULL, NULL, NULL, 'DE', NULL),
(11, 5, '2024-04-15', '2024-04-15 14:45:00+00', 'paid', 42.00, 0.10, '50% off', 'IN', 2),
(12, 5, '2024-04-15', '2024-04-15 14:45:00+00', 'paid', 42.00, 0.10, '50% off', 'IN', 2),
(13, 99, '2024-05-01', '2024-05-01 00:00:00+00', 'open', 10.00, NULL, 'orphan', 'XX', 1),
(14, 98, '2024-05-02', '2024-05-02 00:00:00+00', 'paid', 20.00, NULL, 'orphan', NULL, 1),
(15, 6, '2024-05-17', '2024-05-17 17:17:17+00', 'shipped', 500.00, 0.25, NULL, 'BR', 2),
(16, 6, '2024-06-01', '2024-06-01 02:00:00+00', 'shipped', 500.00, NULL, 'again', 'BR', 1),
(17, 7, '2024-06-15', '2024-06-15 20:00:00+00', NULL, 60.10, 0.10, NULL, 'JP', 1),
(18, 7, '2024-06-30', '2024-06-30 22:30:00+00', 'paid', 60.10, NULL, 'late', 'JP', 3),
(19, 8, '2024-07-04', '2024-07-04 04:00:00+00', 'cancelled', 5.55, NULL, 'it''s', 'US', NULL),
(20, 8, NULL, NULL, 'open', 5.55, NULL, 'no date', 'US', 1),
(21, 1, '2024-08-08', '2024-08-08 08:08:08.080808+00', 'paid', 100.00, 0.10, 'second', 'FR', 2),
(22, 2, '2024-09-30', '2024-09-30 21:00:00+00', 'paid', 1000.01, NULL, NULL, 'FR', 1),
(23, 3, '2024-10-27', '2024-10-27 00:30:00+00', 'open', 33.33, 0.33, 'third', 'US', 1),
(24, 3, '2024-10-27', '2024-10-27 01:30:00+00', 'open', 66.67, 0.33, 'third', 'US', 2),
(25, 9, '2024-11-11', '2024-11-11 11:11:11+00', 'paid', 11.11, 0.11, '😀', 'DE', 1),
(26, 10, '2024-12-24', '2024-12-24 18:00:00+00', 'paid', 240.00, NULL, NULL, 'AT', 1),
(27, 10, '2024-12-31', '2024-12-31 23:00:00+00', 'shipped', 12.00, 0.50, 'year end', 'AT', 2),
(28, 1, '2025-01-01', '2025-01-01 00:00:00+00', 'open', 1.00, NULL, 'new year', 'DE', 3),
(29, 11, '2025-01-02', '2025-01-02 03:04:05+00', 'paid', -5.00, NULL, 'fee', 'CH', 1),
(30, 11, '2025-02-28', '2025-02-28 12:00:00+00', 'PAID', 99.00, 0.01, NULL, 'CH', NULL);

CREATE TABLE shop.order_items (
  order_id int, line smallint, product_id int, quantity int, price numeric(10,2),
  PRIMARY KEY (order_id, line)
);
INSERT INTO shop.order_items VALUES
(1, 1, 1, 2, 49.90), (1, 2, 6, 1, 1.99), (2, 1, 3, 1, 199.00), (2, 2, 4, 2, 19.99), (2, 3, 13, 100, 0.05),
(3, 1, 7, 10, 7.25), (4, 1, 7, 10, 7.25), (4, 2, NULL, 1, 2.75), (5, 1, 4, -1, 19.99), (6, 1, 3, 1, 199.00),
(6, 2, 5, 4, 24.50), (6, 3, 5, 1, 23.00), (7, 1, 12, 3, 5.00), (8, 1, 3, 5, 199.00), (8, 2, 6, 2, 1.99),
(9, 1, 11, 1, 0.00), (10, 1, 1, NULL, 49.90), (11, 1, 16, 6, 2.49), (11, 2, 7, 3, 7.25), (12, 1, 16, 6, 2.49),
(12, 2, 7, 3, 7.25), (15, 1, 3, 2, 199.00), (15, 2, 1, 2, 49.90), (16, 1, 3, 2, 199.00), (17, 1, 8, 5, 3.62),
(18, 1, 8, 5, 3.62), (19, 1, 14, 11, 0.05), (21, 1, 1, 2, 49.90), (22, 1, 3, 5, 199.00), (22, 2, 14, 3, 0.07),
(23, 1, 10, 3, 10.00), (24, 1, 10, 6, 10.00), (26, 1, 5, 10, 24.00), (27, 1, 99, 1, 12.00), (77, 1, 1, 1, 49.90),
(30, 1, 2, 2, 49.50);

CREATE TABLE shop."Mixed" (
  "Id" int PRIMARY KEY, "userName" text, "select" int, "two words" text, lower_case text, "Amount" numeric(8,2), "ID" int, "a.b" text
);
INSERT INTO shop."Mixed" VALUES
(1, 'Ann', 10, 'x y', 'ann', 1.50, 101, 'dot'),
(2, 'bob', 20, NULL, 'Bob', 2.50, 102, NULL),
(3, 'Ärger', NULL, 'z', 'ärger', -3.25, 103, ''),
(4, 'CARL', 40, 'X Y', 'carl', NULL, 101, 'a.b'),
(5, NULL, 20, 'x y', NULL, 2.50, NULL, 'dot'),
(6, 'ann', 10, '', 'ANN', 0.00, 104, 'DOT'),
(7, 'dora', 70, 'two  blanks', 'dora', 1000.10, 105, '"'),
(8, 'bob', 80, 'x y', 'bob', 2.50, 106, '''');

CREATE TABLE shop.events (
  id bigint PRIMARY KEY, order_id int, kind text, at timestamp, payload text, value double precision
);
INSERT INTO shop.events VALUES
(1, 1, 'created', '2024-01-05 08:00:00', '{"by": "web", "n": 1}', 1.5),
(2, 1, 'paid', '2024-01-05 08:05:30', '{"by": "card", "n": 2}', 100),
(3, 1, 'shipped', '2024-01-07 10:00:00', NULL, NULL),
(4, 2, 'created', '2024-01-20 23:30:00', '{"by": "app"}', 2.5),
(5, 2, 'paid', '2024-01-21 00:10:00', '{"by": "bank", "n": 4.5}', 250.5),
(6, 3, 'created', '2024-01-31 12:00:00.5', '{"by": "web", "tags": ["a", "b"]}', -1),
(7, 3, 'reminded', '2024-02-07 09:00:00', '{}', 0),
(8, 3, 'reminded', '2024-02-14 09:00:00', '{}', 0),
(9, 5, 'created', '2024-02-29 23:59:59.999999', '{"by": null}', 0.25),
(10, 5, 'cancelled', '2024-03-01 00:00:00', '{"by": "shop", "n": -1}', -20),
(11, 6, 'created', '2024-02-29 09:15:00', '{"by": "web", "n": 6}', 3),
(12, 6, 'paid', '2024-02-29 09:15:00', '{"by": "card", "n": 6}', 320),
(13, NULL, 'login', '2024-03-02 07:00:00', '{"user": "ann"}', NULL),
(14, NULL, 'login', '2024-03-02 07:30:00', '{"user": "Ann"}', NULL),
(15, NULL, 'logout', '2024-03-02 08:00:00', '{"user": "ann"}', 'NaN'),
(16, 8, 'created', '2024-03-10 06:30:00', '{"by": "app", "n": 8}', 4),
(17, 8, 'paid', '2024-03-10 06:31:00', '{"by": "card", "n": 999.99}', 999.5),
(18, 8, 'paid', '2024-03-10 06:31:00', '{"by": "card", "n": 999.99}', 999.5),
(19, 15, 'created', '2024-05-17 17:17:17', '[1, 2, 3]', 8),
(20, 15, 'shipped', '2024-05-20 00:00:00', '{"by": "dhl"}', 16),
(21, 99, 'created', '2024-06-01 00:00:00', 'null', 32),
(22, 22, 'created', '2024-09-30 21:00:00', '{"by": "web", "n": 22}', '-0'),
(23, 22, 'paid', '2024-09-30 21:00:01', '{"by": "bank"}', 1000),
(24, 26, NULL, NULL, NULL, 'Infinity');

CREATE TABLE crm.countries (
  code char(2) PRIMARY KEY, name text, region text, population bigint
);
INSERT INTO crm.countries VALUES
('DE', 'Germany', 'Europe', 84000000), ('FR', 'France', 'Europe', 68000000), ('AT', 'Österreich', 'Europe', 9100000),
('CH', 'Switzerland', 'Europe', 8800000), ('US', 'United States', 'America', 335000000), ('BR', 'Brazil', 'America', 203000000),
('IN', 'India', 'Asia', 1428000000), ('JP', 'Japan', 'Asia', 124000000), ('AQ', 'Antarctica', NULL, 0), ('ZZ', NULL, NULL, NULL);

CREATE TABLE crm.customers (
  id int PRIMARY KEY, name text, email text, country_code char(2), parent_id int,
  created_on date, vip boolean, score int, credit numeric(10,2)
);
INSERT INTO crm.customers VALUES
(1, 'Ada', 'ada@example.com', 'DE', NULL, '2023-01-01', true, 90, 1000.00),
(2, 'bert', 'BERT@example.com', 'FR', 1, '2023-03-15', false, 70, 250.50),
(3, 'Carla', NULL, 'US', 1, '2023-03-15', NULL, 70, -10.00),
(4, 'Döner GmbH', 'info@döner.example', 'DE', 2, '2023-06-30', true, 55, 0.00),
(5, 'eve', 'eve@example.com', 'IN', NULL, '2023-12-31', false, NULL, NULL),
(6, 'Frank', 'frank@example.com', 'BR', 5, '2024-01-01', false, 40, 99.99),
(7, 'Grace', 'grace@example.com', 'JP', 5, '2024-02-29', true, 90, 500.00),
(8, 'heidi', 'heidi@example.com', 'US', 3, '2024-02-29', false, 10, 5.00),
(9, 'Ivan', 'ivan@example.com', NULL, 4, '2024-04-01', NULL, 55, 12.34),
(10, 'Judy', 'judy@example.com', 'AT', 9, NULL, true, 70, 12.34),
(11, 'Ada', 'ada2@example.com', 'CH', NULL, '2024-07-07', false, 33, 0.01),
(12, 'Zoë', '', 'XX', 12, '2024-08-08', false, 0, 1.00),
(13, NULL, NULL, NULL, 1, '2024-09-09', NULL, -5, NULL);

CREATE TABLE crm.orders (
  id int PRIMARY KEY, customer_id int, order_ref int, status text, amount numeric(12,4), opened_on date, note text
);
INSERT INTO crm.orders VALUES
(1, 2, 1, 'open', 100.0000, '2024-01-06', 'first'),
(2, 1, 2, 'paid', 250.5000, '2024-01-20', NULL),
(3, 3, 3, 'open', 75.2501, '2024-02-01', 'call'),
(4, 2, NULL, 'paid', 75.2500, '2024-02-01', ''),
(5, 5, 5, 'Paid', -20.0000, '2024-03-01', 'refund'),
(6, NULL, 6, 'open', 320.0000, '2024-02-29', 'no customer'),
(7, 7, 7, NULL, 15.0000, '2024-03-01', NULL),
(8, 4, 8, 'paid', 999.9900, '2024-03-10', 'gross'),
(9, 4, 8, 'paid', 999.9900, '2024-03-11', 'twice'),
(10, 4, 10, 'open', NULL, NULL, NULL),
(21, 1, 21, 'paid', 100.0000, '2024-08-09', 'second'),
(22, 9, 22, 'closed', 1000.0100, '2024-10-01', NULL),
(31, 12, 31, 'open', 0.0001, '2024-10-27', 'small'),
(32, 12, NULL, 'closed', 0.0000, '2024-10-27', 'zero'),
(33, 88, 33, 'open', 88.8800, '2024-12-01', 'orphan'),
(34, 10, 26, 'paid', 240.0000, '2024-12-25', NULL);

CREATE TABLE crm.contacts (
  id int PRIMARY KEY, customer_id int, kind text, value text, country_code char(2)
);
INSERT INTO crm.contacts VALUES
(1, 1, 'mail', 'ada@example.com', 'DE'), (2, 1, 'phone', '+49 30 123', 'DE'), (3, 2, 'mail', 'bert@example.com', 'FR'),
(4, 2, 'mail', 'BERT@example.com', 'FR'), (5, 3, 'phone', '001-555', 'US'), (6, 4, 'mail', NULL, 'DE'),
(7, 4, 'fax', '', NULL), (8, 5, 'mail', 'eve@example.com', 'IN'), (9, 7, 'phone', '+81 3 000', 'JP'),
(10, 9, 'mail', 'ivan@example.com', 'AT'), (11, NULL, 'mail', 'nobody@example.com', NULL), (12, 77, 'phone', '0', 'ZZ'),
(13, 10, NULL, 'judy', 'AT'), (14, 1, 'mail', 'ada@example.com', 'CH');
