-- out of range is an error, never a wrapped number
2147483647 + 1
-2147483648 - 1
-2147483647 - 2
2147483647 * 2
50000 * 50000
9223372036854775807 + 1
-9223372036854775808 - 1
9223372036854775807 * 2
3037000500 * 3037000500
32767::smallint + 1::smallint
32767::smallint + 1
-32768::smallint
(-32768)::smallint
-((-32768)::smallint)
-(-2147483648)
-((-2147483648)::int)
-((-9223372036854775808)::bigint)
abs((-32768)::smallint)
abs((-2147483648)::int)
abs((-9223372036854775808)::bigint)
(-2147483648)::int / -1
(-2147483648)::int % -1
(-9223372036854775808)::bigint / -1
(-9223372036854775808)::bigint % -1
(-32768)::smallint / (-1)::smallint
(-32768)::smallint % (-1)::smallint
200::smallint * 200::smallint
200::smallint * 200
i + 2147483600
i * 2147483647
s * 1000::smallint
s + 32700::smallint
b + 9223372036854775000
b * 9223372036854775807
i - 2147483647 - 2147483647
2147483648 + i
i * i * i
s * s * s
s::int * s * s
i::bigint * i * i
b::numeric * b * b
-- casts out of range
i::smallint
b::int
b::smallint
n::smallint
w::bigint
w::int
f::smallint
r::smallint
f::real
32768::smallint
2147483648::int
9223372036854775808::bigint
'32768'::smallint
'-32769'::smallint
'2147483648'::int
'9223372036854775808'::bigint
2147483647.4::int
2147483647.5::int
9223372036854775807.4::bigint
9223372036854775807.5::bigint
2147483647.5::float8::int
2147483648::float8::int
9223372036854775807::float8::bigint
32767.5::real::smallint
1e40::float8::real
1e-60::float8::real
'1e400'::float8
'1e-400'::float8
'1e39'::real
1e308::float8 * 10
1e-308::float8 * 1e-308
1e38::real * 10::real
1e-40::real * 1e-10::real
f * 1e308
f * 1e200 * 1e200
'NaN'::float8::int
'Infinity'::float8::bigint
'Infinity'::float8::real
-- decimals out of their precision
12345.67::numeric(5,2)
999.995::numeric(5,2)
999.994::numeric(5,2)
n::numeric(6,2)
n::numeric(4,1)
w::numeric(12,2)
w::numeric(38,10)
(n * 1000000)::numeric(12,2)
10::numeric(1,0)
0.09::numeric(2,2)
1::numeric(2,2)
'99999999999'::numeric(10,0)
-- functions out of range
exp(1000::float8)
exp(-1000::float8)
exp(f)
power(10::float8, 400)
power(10::float8, -400)
power(0::float8, -1)
power(-8::float8, 1.0/3)
power(0::numeric, -1)
power(-2::numeric, 0.5)
sqrt(-1::float8)
sqrt(-1::numeric)
ln(0::float8)
ln(-1::float8)
ln(0::numeric)
log(0::float8)
log(-1::numeric)
factorial(20)
factorial(34)
factorial(-1)
gcd(-9223372036854775808, 0)
lcm(9223372036854775807, 9223372036854775806)
-- division by zero
1 / 0
1 % 0
i / 0
b / 0
s / 0::smallint
i % s
n / 0
n % 0
n / 0.0
1.0 / 0
mod(5, 0)
div(5::numeric, 0)
1::float8 / 0
i / (i - i)
n / (n - n)
-- guarded
CASE WHEN i <> 0 THEN 100 / i END
100 / nullif(i, 0)
100.0 / nullif(n, 0)
coalesce(100 / nullif(s, 0), -1)
CASE WHEN s = 0 THEN NULL ELSE b / s END
i <> 0 AND (CASE WHEN i = 0 THEN false ELSE 100 / i > 1 END)
-- dates out of range
date '9999-12-31' + 1
d + 100000000
d - 100000000
ts + interval '300000 years'
make_date(2023, 2, 29)
make_date(2024, 13, 1)
make_timestamp(2024, 1, 1, 24, 0, 0)
make_timestamp(2024, 1, 1, 25, 0, 0)
make_time(12, 60, 0)
interval '1 year' * 1e10
