-- coalesce finds a common type
coalesce(i, 0)
coalesce(s, i)
coalesce(s, b)
coalesce(i, n)
coalesce(n, i)
coalesce(i, f)
coalesce(n, f)
coalesce(n, r)
coalesce(s, 1.5)
coalesce(i, 1.5)
coalesce(i, 2147483648)
coalesce(NULL, i)
coalesce(NULL, NULL, t)
coalesce(NULL, 'x')
coalesce(NULL, NULL)
coalesce(t, 'none')
coalesce(t, vc)
coalesce(vc, c)
coalesce(c, 'x')
coalesce(c, t)
coalesce(d, ts)
coalesce(d, tz)
coalesce(ts, tz)
coalesce(d, '2024-01-01')
coalesce(ts, '2024-01-01')
coalesce(bo, false)
coalesce(bo, 'yes')
coalesce(ia, '{}')
coalesce(ia[5], -1)
coalesce(i, '7')
coalesce(n, 0)::text
coalesce(NULL, 1) / 2
coalesce(s, 1) * 40000
coalesce(1, 1 / 0)
pg_typeof(coalesce(s, i))::text
pg_typeof(coalesce(i, n))::text
pg_typeof(coalesce(n, r))::text
pg_typeof(coalesce(d, ts))::text
pg_typeof(coalesce(t, vc))::text
pg_typeof(coalesce(vc, c))::text
pg_typeof(coalesce(NULL, 'a'))::text
-- nullif
nullif(i, 1)
nullif(i, s)
nullif(n, 10)
nullif(n, i)
nullif(f, 1)
nullif(t, '')
nullif(t, 'apple')
nullif(c, 'ab')
nullif(vc, t)
nullif(d, '2024-02-29')
nullif(d, ts)
nullif(1, 1.0)
nullif(1, 2)
nullif(NULL, 1)
nullif(1, NULL)
nullif('a', 'a ')
nullif(bo, true)
pg_typeof(nullif(s, i))::text
pg_typeof(nullif(i, 1.5))::text
-- greatest and least leave NULL out
greatest(i, s)
greatest(i, NULL)
greatest(NULL, i, 3)
greatest(NULL, NULL)
greatest(i, 10.5)
greatest(n, i, s)
greatest(n, f)
greatest(f, 'NaN')
greatest(d, '2024-01-01')
greatest(d, ts)
greatest(t, vc, c)
greatest(t, 'b')
greatest(bo, false)
greatest(1, 2.5, 2)
greatest(ts, tz)
greatest(interval '1 month', interval '29 days')
least(i, s)
least(i, NULL)
least(n, 0)
least(f, 0)
least(f, 'NaN')
least(d, ts)
least(c, 'b')
least(1, 1.5)
least('b', 'a', NULL)
least(interval '1 day', '25 hours')
least(i, b, n, f)
pg_typeof(greatest(s, b))::text
pg_typeof(least(i, 1.5))::text
-- case
CASE WHEN i > 0 THEN 'plus' WHEN i < 0 THEN 'minus' ELSE 'none' END
CASE WHEN i > 0 THEN 'plus' END
CASE i WHEN 1 THEN 'one' WHEN 2 THEN 'two' ELSE 'many' END
CASE WHEN bo THEN i ELSE n END
CASE WHEN bo THEN i ELSE f END
CASE WHEN bo THEN s ELSE b END
CASE WHEN bo THEN 1 ELSE 2.5 END
CASE WHEN bo THEN n ELSE r END
CASE WHEN bo THEN d ELSE ts END
CASE WHEN bo THEN ts ELSE tz END
CASE WHEN bo THEN t ELSE vc END
CASE WHEN bo THEN c ELSE vc END
CASE WHEN bo THEN NULL ELSE 1 END
CASE WHEN bo THEN NULL ELSE 'x' END
CASE WHEN bo THEN '1' ELSE 2 END
CASE WHEN bo THEN '2024-01-01' ELSE d END
CASE WHEN NULL THEN 1 ELSE 2 END
CASE 1 WHEN NULL THEN 'a' ELSE 'b' END
CASE NULL WHEN NULL THEN 'a' ELSE 'b' END
CASE n WHEN 10 THEN 'ten' WHEN 2.50 THEN 'two and a half' END
CASE c WHEN 'ab' THEN 1 WHEN 'x' THEN 2 END
CASE f WHEN 'NaN' THEN 'nan' WHEN 1 THEN 'one' END
CASE WHEN i = 0 THEN 0 ELSE 10 / i END
CASE WHEN s <> 0 AND i / nullif(s, 0) > 1 THEN 'y' ELSE 'n' END
CASE WHEN t ~ '^[0-9]+$' THEN t::int END
CASE WHEN true THEN 1 ELSE 1 / 0 END
CASE WHEN bo THEN 'yes' WHEN NOT bo THEN 'no' ELSE 'unknown' END
CASE bo WHEN true THEN 't' WHEN false THEN 'f' END
CASE t WHEN 'apple' THEN 1 WHEN 'Apple' THEN 2.0 END
CASE WHEN i IN (1, 2) THEN ARRAY[i] ELSE '{}' END
CASE WHEN i > 0 THEN interval '1 day' ELSE '2 hours' END
CASE WHEN i > 5 THEN CASE WHEN n > 5 THEN 'both' ELSE 'i' END ELSE 'neither' END
pg_typeof(CASE WHEN bo THEN s ELSE n END)::text
pg_typeof(CASE WHEN bo THEN n ELSE f END)::text
pg_typeof(CASE WHEN bo THEN vc ELSE 'x' END)::text
-- three-valued logic
bo AND true
bo AND false
bo AND NULL
bo OR true
bo OR false
bo OR NULL
NOT bo
NOT NULL
NULL AND false
NULL OR true
NULL AND NULL
bo IS TRUE
bo IS NOT TRUE
bo IS FALSE
bo IS NOT FALSE
bo IS UNKNOWN
bo IS NOT UNKNOWN
bo IS NULL
bo = true
bo = (i > 0)
bo <> (n > 0)
bo < true
NOT bo OR i > 0 AND n > 0
NOT (bo AND i > 0)
'yes' AND bo
NULL::boolean IS UNKNOWN
(i > 0) IS TRUE
num_nulls(i, n, t)
num_nonnulls(i, n, t, bo)
