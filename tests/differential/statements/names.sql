SELECT "Id", "userName", "select", "two words", lower_case, "Amount" FROM shop."Mixed" ORDER BY "Id"
;
SELECT "ID", "Id" FROM shop."Mixed" ORDER BY "ID", "Id"
;
SELECT shop."Mixed"."Id", "Mixed"."userName" FROM shop."Mixed" WHERE shop."Mixed"."select" > 10 ORDER BY "Mixed"."Id"
;
SELECT m."Id", m."two words" FROM shop."Mixed" m WHERE m."two words" IS NOT NULL ORDER BY m."Id"
;
SELECT M."Id" FROM shop."Mixed" AS m ORDER BY m."Id"
;
SELECT "M"."Id" FROM shop."Mixed" AS "M" ORDER BY "M"."Id"
;
SELECT Id FROM shop.orders WHERE ID < 3 ORDER BY iD
;
SELECT ID AS Total FROM SHOP.ORDERS WHERE STATUS = 'open' ORDER BY total
;
SELECT id AS "Total" FROM shop.orders WHERE id < 4 ORDER BY "Total" DESC
;
SELECT "a.b" FROM shop."Mixed" ORDER BY "Id"
;
SELECT m."a.b", m."Amount" + 1 AS "a b c" FROM shop."Mixed" m ORDER BY "a b c", m."Id"
;
SELECT LOWER_CASE, Lower_Case FROM shop."Mixed" ORDER BY "Id"
;
SELECT max("Amount") AS "MAX", min("Amount") AS max FROM shop."Mixed"
;
SELECT "userName", count(*) FROM shop."Mixed" GROUP BY "userName" ORDER BY "userName"
;
SELECT "select" AS "from" FROM shop."Mixed" WHERE "select" IS NOT NULL ORDER BY "from", "Id"
;
SELECT t."from" FROM (SELECT "select" AS "from", "Id" FROM shop."Mixed") t ORDER BY t."Id"
;
SELECT 1 AS "Ünï 😀", 2 AS "q""uote", 3 AS " "
;
SELECT "Ünï 😀" + 1 AS x FROM (SELECT 1 AS "Ünï 😀") t
;
SELECT * FROM shop."Mixed" a JOIN shop."Mixed" b ON a."ID" = b."ID" AND a."Id" < b."Id"
;
SELECT a."Id", b."Id" FROM shop."Mixed" a JOIN shop."Mixed" b USING ("select") WHERE a."Id" < b."Id"
;
SELECT o.id FROM shop.orders o JOIN shop."Mixed" m ON m."Id" = o.id AND m."userName" ILIKE 'a%' ORDER BY o.id
;
SELECT orders.id FROM shop.orders WHERE orders.status = 'open' ORDER BY orders.id
;
SELECT shop.orders.id FROM shop.orders WHERE shop.orders.status = 'open' ORDER BY shop.orders.id
;
SELECT shop.orders.id, orders.amount, status FROM shop.orders WHERE shop.orders.id < 4 ORDER BY orders.id
;
SELECT orders.id FROM shop.orders orders JOIN crm.orders other ON other.id = orders.id ORDER BY orders.id
;
SELECT orders.id, customers.id FROM crm.orders JOIN crm.customers ON customers.id = orders.customer_id ORDER BY orders.id
;
SELECT customers.id FROM shop.orders customers WHERE customers.id < 3
;
SELECT id AS status, status AS id FROM shop.orders WHERE id = 1
;
SELECT id AS status FROM shop.orders WHERE status = 'open' ORDER BY status
;
SELECT amount AS id FROM shop.orders ORDER BY id, status
;
SELECT -id AS id FROM shop.orders ORDER BY id
;
SELECT -id AS id FROM shop.orders ORDER BY shop.orders.id
;
SELECT -id AS id FROM shop.orders ORDER BY id + 0
;
SELECT id x, status y FROM shop.orders WHERE id < 3 ORDER BY x
;
SELECT o.* FROM shop.orders o WHERE o.id = 1
;
SELECT shop.orders.* FROM shop.orders WHERE id = 2
;
SELECT o.id, o.id FROM shop.orders o WHERE o.id = 1
;
SELECT * FROM (SELECT id, id FROM shop.orders WHERE id = 1) t
;
SELECT count(*), count(*), sum(id), sum(amount) FROM shop.orders
;
SELECT date '2024-01-01' AS date, 1 AS int, 'x' AS text, true AS boolean
;
SELECT year, month FROM (SELECT 2024 AS year, 5 AS month) t
;
SELECT value, kind FROM crm.contacts WHERE value LIKE '%@%' ORDER BY id
;
SELECT name, code FROM crm.countries ORDER BY name NULLS LAST, code
;
SELECT o FROM (SELECT 1 AS o) o
;
SELECT orders FROM (SELECT 5 AS orders) t
;
SELECT at, kind FROM shop.events WHERE at > '2024-06-01' ORDER BY at, id
;
SELECT e.at::date AS at FROM shop.events e WHERE e.order_id = 1 ORDER BY at, e.id
;
SELECT a.id AS "a.id", b.id AS "b.id" FROM shop.orders a JOIN crm.orders b ON a.id = b.id WHERE a.id < 4 ORDER BY "a.id"
;
SELECT "orders"."id" FROM "shop"."orders" WHERE "shop"."orders"."id" = 1
;
SELECT "Orders".id FROM shop.orders "Orders" WHERE "Orders".id = 1
;
SELECT t.column1, t.column2 FROM (VALUES (1, 'a'), (2, 'b')) t ORDER BY t.column1
;
SELECT t.a, t.column2 FROM (VALUES (1, 'a'), (2, 'b')) t (a) ORDER BY a
;
SELECT asof.id FROM shop.orders ASOF JOIN crm.orders ON asof.id = crm.orders.id ORDER BY asof.id
