-- integers of each width
s + s
s + i
s + b
i + s
i + b
b - i
s - i
s * s
i * i
b * b
s * i
i * b
b * s
i - 1
1 - b
s + 1
s + 1::smallint
i + 2147483648
i * 2::bigint
-- division of integers cuts towards zero
i / 2
i / -2
s / 3::smallint
s / 4
b / 7
-7 / 2
7 / -2
i / s
b / i
s / b
1 / s
i / 10.0
i / 4::numeric
-- remainders take the sign of the dividend
i % 3
i % -3
s % 7::smallint
s % 10
b % 1000
b % i
-7 % 3
7 % -3
mod(i, 7)
mod(s, 5::smallint)
mod(b, 11)
mod(-7, 3)
mod(i, s)
i % 0
0 % i
-- a literal has the type of its spelling
2147483647 + i::bigint
2147483648 - i
-2147483648 + i::bigint
9223372036854775807 - abs(b::numeric)
9223372036854775808 - b
1.5 + i
1e3 + i
1e-3 * i
.5 * i
5. + i
1.5 + f
1e3 * r
i * 0.1
s * 1.0
b * 1.25
2147483648 / 2
9223372036854775808 / 2
3 / 2
3 / 2.0
3.0 / 2
1e0 / 3
pg_typeof(2147483647)::text
pg_typeof(2147483648)::text
pg_typeof(-2147483648)::text
pg_typeof(9223372036854775807)::text
pg_typeof(9223372036854775808)::text
pg_typeof(1.5)::text
pg_typeof(1e3)::text
pg_typeof(s + s)::text
pg_typeof(s + 1)::text
pg_typeof(i + b)::text
pg_typeof(i + n)::text
pg_typeof(i + r)::text
pg_typeof(r + r)::text
pg_typeof(r + f)::text
pg_typeof(n + f)::text
pg_typeof(n + r)::text
pg_typeof(s / 2)::text
pg_typeof(-s)::text
pg_typeof(i ^ 2)::text
pg_typeof(n ^ 2)::text
-- unary operators
-s
-i
-b
-n
-w
-r
-f
+i
+n
-(-i)
- - 3
-i % 3
-s * 2
-2 ^ 2
@ i
@ -5.5
@ f
|/ 25.0
|/ f
||/ 27.0
||/ -8
-- absolute value and sign
abs(s)
abs(i)
abs(b)
abs(n)
abs(w)
abs(r)
abs(f)
sign(i)
sign(n)
sign(f)
sign(b)
-- floats
f + f
f - 1
f * 2
f / 2
f / 3
f / 10
f * f
f + i
f * s
f / i
f + r
r + r
r - 0.5::real
r * r
r / 3
r * 3::real
r + i
r + s
r * b
f + b
f - f
f / 3.0
r * 1.5
f + 0.1
f + 0.2
r + 0.1::real
r::float8 * 3
1 / f
1 / r
0.1::float8 + 0.2::float8
0.1::real + 0.2::real
1::float8 / 3
1::real / 3::real
f / 0.5
-- floats divided by zero
f / 0
r / 0
f / 0.0
f / '-0'::float8
i / 0::float8
-- mixed precedence
i + s * b
(i + s) * b
i - s - b
i / s * s + i % s
2 + 3 * 4 - 10 / 4
2 * 3 % 4
2 ^ 3 ^ 2
i * s / 3
i / 3 * 3
10 - i % 4
(i + 1) / 2.0
n * i + s
n * (i + s)
i - (s - b)
-- bits
i & 255
i | 1
i # 5
~i
~s
i << 2
i >> 1
s & 15::smallint
b | 1024
b >> 3
i << 31
1 << 33
b << 1
-8 >> 1
s # s
-- one side NULL
i + NULL
NULL * n
f / NULL
i % NULL
NULL::int + NULL::int
