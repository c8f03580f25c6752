-- numbers of different types
s = i
s < b
i = 1.0
i > 2.5
i = 2::bigint
n = i
n > f
n = 2.5::float8
f = 2.5
r = f
r = 0.1
r = 0.1::real
f = 0.1
f = 0.1::real
f > n
r < n
b = 9007199254740993::float8
b > f
b::float8 = f
i >= s::numeric
w = n
w > b
s <> 7
i != 3
9007199254740993 = 9007199254740992::float8
9007199254740993::numeric = 9007199254740992::float8
0.1 = 0.1::float8
0.1::real = 0.1::float8
1e15 = 1000000000000000
-- literals take the column's type
i = '3'
i > ' 2 '
n = '10'
f = '2.5'
d = '2024-02-29'
d > '2024-1-5'
ts > '2024-01-01'
ts = '2024-03-31 02:30:00'
tz >= '2024-03-31 02:00:00+02'
tz < '2024-03-31'
bo = 'yes'
bo = 't'
ia = '{1,2,3}'
i = 'x'
d = '2024-02-30'
d = ''
i IN ('1', '2', '3')
n BETWEEN '0' AND '10'
-- zero and not a number
f = 0
f = '-0'
r = 0
f > 'Infinity'
f >= 'NaN'
f < '-Infinity'
f BETWEEN '-Infinity' AND 'Infinity'
r > f
r = 'NaN'::real
'NaN'::float8 = 'NaN'
'-0'::float8 = 0
1 / nullif('-0'::float8, 0)
n > 'NaN'::float8
'Infinity'::float8 > 1e308
-- NULL
i = NULL
i <> NULL
NULL = NULL
i IS NULL
i IS NOT NULL
t IS NULL
t = NULL
i ISNULL
i NOTNULL
NOT (i = NULL)
i = 1 OR NULL
i IS DISTINCT FROM 1
i IS NOT DISTINCT FROM 1
i IS DISTINCT FROM NULL
n IS DISTINCT FROM i
t IS DISTINCT FROM vc
c IS DISTINCT FROM 'ab'
NULL IS DISTINCT FROM NULL
NULL IS NOT DISTINCT FROM NULL
s IS NOT DISTINCT FROM i
f IS DISTINCT FROM 'NaN'
1 IS DISTINCT FROM 1.0
(i IS NULL) = (s IS NULL)
-- between
i BETWEEN 1 AND 10
i NOT BETWEEN 1 AND 10
i BETWEEN 10 AND 1
i BETWEEN SYMMETRIC 10 AND 1
i NOT BETWEEN SYMMETRIC 10 AND 1
i BETWEEN NULL AND 10
i BETWEEN 1 AND NULL
i BETWEEN s AND b
n BETWEEN 0.05 AND 10
n BETWEEN i AND f
f BETWEEN -1 AND 1
t BETWEEN 'a' AND 'c'
c BETWEEN 'a' AND 'b'
d BETWEEN '2024-01-01' AND '2024-12-31'
d BETWEEN SYMMETRIC '2024-12-31' AND '2024-01-01'
ts BETWEEN d AND d + 1
tz BETWEEN '2024-03-31' AND '2024-04-01'
5 BETWEEN i AND 10
-- in
i IN (1, 2, 3)
i NOT IN (1, 2, 3)
i IN (1, NULL)
i NOT IN (1, NULL)
i IN (NULL)
NULL IN (1, 2)
i IN (1.0, 2.5)
i IN (s, 3)
i IN (2147483648, 1)
n IN (10, 0.05)
n IN (1, 2.50, 3.33)
f IN (1, 2.5)
t IN ('apple', 'Apple')
t IN ('apple', NULL)
c IN ('ab', 'x')
c IN ('ab  ')
vc IN ('17', '3')
d IN ('2024-02-29', '1970-01-01')
bo IN (true)
bo NOT IN (false, NULL)
(i, s) IN ((3, 7), (2, -7))
(i, t) IN ((3, 'apple'), (NULL, 'x'))
i = ANY (ARRAY[1, 2])
i <> ALL (ARRAY[1, 2])
i = ANY ('{1,2}')
-- padding of char
c = 'ab'
c = 'ab '
c = 'ab   '
c = 'ab      '
c = ' ab'
c = vc
c = t
c = 'ab'::text
c = 'ab  '::text
c = 'ab'::varchar
c = 'ab'::char(2)
c = 'ab'::char(10)
c <> 'ab'
c < 'abc'
c > 'ab'
c >= 'x'
c < vc
c || '' = 'ab'
c::text = 'ab'
c::varchar = 'ab'
c IN ('ab', 'AB')
c = ANY (ARRAY['ab', 'x'])
c = ''
c = ' '
vc = 'ab'
vc = '17 '
vc = t
t = 'trailing'
t = 'trailing  '
vc = c
t = c
lower(c) = 'ab'
'a'::char(3) = 'a'::char(5)
'a'::char(3) < 'a!'
'a '::text = 'a'
'a '::varchar = 'a'
E'a\t'::char(5) < 'a'
E'a\t'::text < 'a'
nullif(c, '') IS NULL
CASE c WHEN 'x' THEN 1 WHEN 'AB' THEN 2 ELSE 0 END
-- text
t = 'apple'
t = 'APPLE'
t < 'b'
t > 'Z'
t >= 'ä'
t = 'ä'
t = E'e\u0301te\u0301'
t = 'été'
t <> ''
t > ''
'a' = 'a '
'a' < 'ab'
'A' < 'a'
'_' < 'a'
'a' < '😀'
'é' = E'e\u0301'
t < t || 'x'
-- dates, times
d = ts
d < ts
d = tz
d <= tz
ts = tz
ts > tz
ts::date = d
d > date '2024-01-01'
d > timestamp '2024-01-01 00:00:00'
d >= timestamptz '2024-01-01 00:00:00+00'
date '2024-01-01' < timestamp '2024-01-01 00:00:01'
date '2024-01-01' = timestamp '2024-01-01'
timestamptz '2024-01-01 00:00+00' = timestamptz '2024-01-01 01:00+01'
ts::time > '12:00'
ts::time BETWEEN '06:00' AND '18:00:00.5'
interval '1 month' = interval '30 days'
interval '1 day' = interval '24 hours'
interval '1 month' > interval '30 days 1 second'
interval '1 year' = interval '360 days'
ts - d > interval '12 hours'
-- boolean, binary, arrays
true > false
bo = bo
bo <> true
bo >= false
by > '\x10'
by = '\xdeadbeef'
'\x00'::bytea < '\x0000'
'\xff'::bytea > '\x00'
ia = ARRAY[1, 2, 3]
ia < ARRAY[2]
ia > ARRAY[1, NULL]
ia <> '{}'
ARRAY[1, 2] < ARRAY[1, 2, 0]
ARRAY[1, NULL] = ARRAY[1, NULL]
ARRAY[NULL]::int[] > ARRAY[1]
ta = ARRAY['a', NULL, 'c']
'{}'::int[] = '{}'
'{}'::int[] < '{NULL}'::int[]
-- rows
(i, s) = (3, 7)
(i, s) < (3, 8)
(i, n) > (2, 5.0)
(i, s) <> (3, NULL)
(i, s) >= (10, 12)
(1, 2) < (1, 3)
(1, NULL) < (2, 0)
(1, NULL) < (1, 0)
(1, NULL) = (2, NULL)
(1, NULL) = (1, NULL)
(i, t) IS DISTINCT FROM (3, 'apple')
(i, t) IS NULL
(i, t) IS NOT NULL
ROW(1, NULL) IS NULL
ROW(1, NULL) IS NOT NULL
ROW(NULL, NULL) IS NULL
ROW(i, s) = ROW(s, i)
(d, i) <= ('2024-01-15', 3)
(t, vc) < ('b', 'x')
(bo, i) > (false, 0)
-- precedence
NOT i = 1
NOT i IN (1, 2)
i = 1 IS NULL
i = 1 AND s = 1 OR n = 1
NOT bo = false
-i < s
i + 1 > s * 2
i % 2 = 0
'a' || 'b' = 'ab'
i IS NULL OR i > 0
