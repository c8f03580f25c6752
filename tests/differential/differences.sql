-- What differs from Postgres, and why. Each line must differ: one that doesn't any more leaves this file.

-- The elements of an array have one scale, and a numeric's text as many zeros.
ARRAY[1, 2.5]
ARRAY[i, n]::text
array_to_string(ARRAY[1.50, 2], ' ')

-- A value that is cast to char(n) keeps no blanks at its end.
ARRAY[c]
octet_length('ab'::char(5))

-- varchar and text are one type here, so a char(n) is compared with both as with a text.
c < vc
c = vc
vc = c

-- A quotient has 20 digits behind the point.
n / 3 = 3.3333333333333333

-- The rules of this zone before 1967 are those of New York.
tz AT TIME ZONE 'EST5EDT'

-- TRY_CAST makes NULL of what can't be cast: ours. The parser accepts these other spellings, which mean the same.
TRY_CAST(t AS int)
[1, 2]
i = 1 = bo
i == 1
i > 1 = true
t == 'apple'

-- A merged column of USING stands where its table stands in SELECT *.
SELECT * FROM shop.orders s JOIN crm.orders c USING (id, customer_id) ORDER BY id

-- A subquery that can't have a row is an error of the planner, not NULL.
SELECT id, (SELECT id FROM crm.orders WHERE false) AS none FROM shop.orders WHERE id < 4

-- Unquoted names are found in any case where only one fits.
SELECT m.Id FROM shop."Mixed" m
SELECT username FROM shop."Mixed"
SELECT Mixed."Id" FROM shop."Mixed"

-- More is understood than Postgres understands; each of these has one meaning.
WITH orders AS (SELECT id, amount * 2 AS amount FROM shop.orders) SELECT orders.id, orders.amount, shop.orders.amount FROM orders JOIN shop.orders ON shop.orders.id = orders.id WHERE orders.id < 5 ORDER BY 1
SELECT status, count(*) AS n FROM shop.orders GROUP BY status HAVING n > 1
SELECT status AS s, count(*) FROM shop.orders GROUP BY status HAVING s = 'open'
SELECT id FROM shop.orders QUALIFY row_number() OVER (PARTITION BY status ORDER BY id) = 1
SELECT status, count(*) FROM shop.orders GROUP BY ALL
SELECT id FROM shop.orders UNION SELECT id FROM crm.orders ORDER BY id + 1
SELECT * FROM shop.orders LEFT SEMI JOIN crm.orders ON true
SELECT * FROM shop.orders LEFT ANTI JOIN crm.orders ON true

-- The union of a char(n) and a text is a text.
SELECT 'a'::char(3) AS x UNION SELECT 'a'::text
