-- sums and differences keep the wider scale
n + n
n + w
n - w
w + w
w - w
n + 1
n + s
n + b
w + b
n + 0.001
n - 0.0000000000001
w + 1e-10
1.10 + 2.2
1.0 - 1.00
0.1 + 0.2
0.1 + 0.2 = 0.3
-- products add the scales
n * n
n * w
w * w
n * s
n * i
n * b
i * n
w * i
n * 1.1
n * 1.19
n * 0.00
w * 0.1
1.50 * 2.00
0.001 * 0.001
100 * 1.15
n * n * n
w * n * n
-- quotients
n / 3
n / n
n / w
w / n
w / w
n / i
n / s
n / b
i / n
s / n
b / n
n / 7.0
w / 3
1 / 3.0
1.0 / 3
2.0 / 3
10.0 / 3
100.00 / 3
1000000.0 / 7
1 / 7.0000
0.0001 / 3
1 / 0.0003
1e10 / 3
1e-10 / 3
22 / 7.0
n / 1000000
n / 0.000001
w / 10000000000
-- remainders
n % 3
n % 0.7
n % s
n % i
w % 1
w % 0.3
-7.5 % 2
7.5 % -2
mod(n, 2)
mod(n, 0.3)
mod(w, 7)
div(n, 3)
div(w, n)
div(-7.5, 2)
div(7, 2)
-- text of a decimal shows its scale
n::text
w::text
(n * n)::text
(n + w)::text
(n / 4)::text
(1.50)::text
(1.50 + 0)::text
(1.50 * 1)::text
(0.00)::text
(-0.00)::text
1e3::text
1e-7::text
1.0e2::text
123e-2::text
(i * 1.0)::text
(i / 2.0)::text
(n - n)::text
(2.5 * 2)::text
(100::numeric)::text
(100.0::numeric)::text
(1 / 3.0)::text
(-n)::text
-- scale and precision asked for
n::numeric(12,1)::text
n::numeric(20,4)::text
n::numeric(12,0)::text
n::numeric::text
n::numeric(14)::text
w::numeric(40,5)::text
w::numeric(38,2)::text
i::numeric(20,2)::text
123.456::numeric(5,2)
123.455::numeric(6,2)
-123.455::numeric(6,2)
0.005::numeric(3,2)
0.015::numeric(3,2)
2.5::numeric(1,0)
1234567::numeric(5,-2)
0.001234::numeric(3,5)
f::numeric(30,3)
scale(n)
scale(w)
scale(n * w)
scale(1.500)
min_scale(n)
min_scale(1.500)
trim_scale(n)::text
trim_scale(w)::text
trim_scale(100.00)::text
-- compared by value
1.0 = 1.00
n = 10
n = 10.000
n = w
n < w
n > i
n >= s
w <> trunc(w)
n = 0.35 * -1
n * 3 = -1.05
n BETWEEN 0.04 + 0.01 AND 0.05
n IN (10, 0.05, -99.99)
n IN (1, 2.5, 3.33)
1.10::text = 1.1::text
n * 1.1 = 11
w = 0.3333333333
n / 3 = 3.3333333333333333
-- with floats
n + f
n * f
n * r
w * f
n = f
n < f
n + 0.1::float8
n::float8
w::float8
n::real
w::real
f::numeric
r::numeric
0.1::float8::numeric
0.1::real::numeric
0.1::float8 = 0.1
0.1::real = 0.1
(1::float8 / 3)::numeric
1e20::float8::numeric
123456789.123456789::float8::numeric
16777217::real::numeric
-- long ones
12345678901234567890 + 1
12345678901234567890.12345678901234567890 * 2
99999999999999999999.9999999999 + 0.0000000001
0.12345678901234567
0.12345678901234567890123456789012345678
123456789012345678901234567890.12::numeric(38,2)
12345678901234567890 % 97
12345678901234567890 / 12345678901234567
w * 1000000000000000
sqrt(w * w)
