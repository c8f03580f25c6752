-- round: decimals away from zero, floats to even
round(n)
round(w)
round(f)
round(r)
round(i)
round(n, 1)
round(n, 0)
round(n, -1)
round(n, -3)
round(n, 5)
round(w, 3)
round(w, -2)
round(f::numeric, 2)
round(r::numeric, 1)
round(i, -1)
round(b, -3)
round(2.5)
round(-2.5)
round(0.5)
round(1.005, 2)
round(2.675, 2)
round(-1.15, 1)
round(2.5::float8)
round(3.5::float8)
round(-0.5::float8)
round(-0.4)
round(0.5::float8)
round(12.3456, s % 4)
round(1234.5678, -2)
round(49.99, -2)
round(50.00, -2)
round(n, 1)::text
round(5, 2)::text
round(5.1, 3)::text
round(n)::text
-- trunc, ceil, floor
trunc(n)
trunc(w)
trunc(f)
trunc(r)
trunc(i)
trunc(n, 1)
trunc(n, -1)
trunc(w, 4)
trunc(-1.79, 1)
trunc(1234.5678, -2)
trunc(n, 4)::text
trunc(-0.5)
trunc(-0.5::float8)
ceil(n)
ceil(w)
ceil(f)
ceil(r)
ceil(i)
ceiling(n)
ceil(-0.5)
ceil(-0.5::float8)
ceil(1.0000000001)
floor(n)
floor(w)
floor(f)
floor(r)
floor(i)
floor(-0.5)
floor(-1.5::float8)
floor(n)::text
ceil(n)::text
pg_typeof(round(f))::text
pg_typeof(round(i))::text
pg_typeof(ceil(i))::text
pg_typeof(floor(r))::text
pg_typeof(trunc(n))::text
pg_typeof(abs(s))::text
pg_typeof(mod(s, s))::text
pg_typeof(power(i, 2))::text
pg_typeof(sqrt(i))::text
pg_typeof(sqrt(n))::text
-- powers and roots
power(i, 2)
power(s, 3)
power(2, 10)
power(n, 2)
power(n, 3)
power(2::numeric, 0.5)
power(2::numeric, -2)
power(10::numeric, 20)
power(w, 2)
power(f, 2)
power(abs(f), 0.5)
power(2, -1)
power(0, 0)
power(0.0, 0.0)
power('NaN'::float8, 0)
power(1, 'NaN'::float8)
pow(2, 3)
pow(abs(n), 0.5)
2 ^ 10
i ^ 2
n ^ 2
2.0 ^ 0.5
f ^ 2
(-2) ^ 3
2 ^ -1
sqrt(abs(i))
sqrt(abs(n))
sqrt(abs(w))
sqrt(abs(f))
sqrt(abs(r))
sqrt(2)
sqrt(2.0)
sqrt(2::real)
sqrt(4.00)
sqrt(0.01)
cbrt(f)
cbrt(27)
cbrt(i)
exp(1)
exp(1.0)
exp(0.5::float8)
exp(n / 1000)
exp(s / 200.0)
exp(0)
ln(abs(i))
ln(abs(n))
ln(abs(f))
ln(2)
ln(2.0)
log(100)
log(100.0)
log(abs(n))
log(abs(f))
log10(1000)
log10(abs(n))
log(2, 64)
log(2.0, 10)
log(abs(n) + 1, 100)
-- integer functions
div(i, 3)
div(n, 0.7)
div(-7, 2)
mod(-7.5, 2)
gcd(i, 12)
gcd(b, 18)
gcd(s, i)
gcd(n, 0.1)
gcd(0, 0)
gcd(-12, 18)
lcm(s, 6)
lcm(4, 6)
lcm(0, 5)
lcm(1.5, 0.4)
factorial(5)
factorial(0)
factorial(25)
factorial(abs(s % 10))
gcd(n, w)
lcm(n, 0.3)
i # s
b # 5
i # i
-- buckets
width_bucket(f, 0, 10, 5)
width_bucket(n, 0, 100, 10)
width_bucket(i, -100, 100, 4)
width_bucket(5.35, 0.024, 10.06, 5)
width_bucket(0, 10, 0, 5)
width_bucket(10, 10, 0, 5)
width_bucket(f, 10, 0, 5)
width_bucket(i, ARRAY[-10, 0, 10, 100])
width_bucket(n, ARRAY[0, 1.5, 10.00])
width_bucket(d, ARRAY[date '2020-01-01', date '2024-01-01'])
width_bucket(5, 1, 1, 5)
width_bucket(5, 1, 10, 0)
width_bucket(s, -100, 100, 7)
width_bucket(w, -1, 1, 3)
width_bucket(n, 100, 0, 10)
width_bucket(f, 0, 'NaN', 5)
-- trigonometry at safe points
pi()
degrees(pi())
radians(180::float8)
sin(0)
cos(0)
tan(0)
asin(1)
acos(1)
atan(1)
atan2(1, 1)
atan2(-1, -1)
sind(30)
cosd(60)
tand(45)
asind(0.5)
acosd(0.5)
atand(1)
atan2d(1, 1)
cot(1)
sinh(0)
cosh(0)
tanh(0)
asinh(0)
acosh(1)
atanh(0)
acos(2)
sin('Infinity'::float8)
degrees(f)
radians(f)
sign(s)
sign(r)
sign('-0'::float8)
sign(-0.00)
-- bases and hashes of numbers
to_hex(255)
to_hex(i)
to_hex(b)
to_hex(-1)
to_hex(-1::bigint)
bit_count(by)
get_bit(by || '\x00', 0)
greatest(ceil(n), floor(n))
abs(-0.0::float8)
abs('-0'::float8)::text
-- not a number
'NaN'::float8 + 1
'NaN'::float8 = 'NaN'::float8
'NaN'::float8 > 'Infinity'::float8
'Infinity'::float8 - 'Infinity'::float8
'Infinity'::float8 * 0
'Infinity'::float8 / 'Infinity'::float8
0::float8 * '-Infinity'
round('NaN'::float8)
ceil('Infinity'::float8)
sqrt('Infinity'::float8)
sqrt('NaN'::float8)
ln('Infinity'::float8)
exp('-Infinity'::float8)
power('Infinity'::float8, 0)
abs('-Infinity'::float8)
floor('-Infinity'::float8)
f = f
f <> f
f IS NOT DISTINCT FROM f
f > 1e308
f < 'NaN'
r = 'NaN'
f IN ('NaN', 1)
