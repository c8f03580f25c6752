-- between integers
s::int
s::bigint
i::bigint
s::smallint
(i % 1000)::smallint
(b % 1000000)::int
(b % 1000)::smallint
-- integers to others
s::numeric
i::numeric
b::numeric
b::numeric(25,3)
s::real
i::real
b::real
s::float8
i::float8
b::float8
i::boolean
s::text
i::text
b::text
i::varchar
i::varchar(2)
i::char(3)
s::char(10)
i::char
i::bigint::text
-- decimals to others: rounds half away from zero
n::int
n::bigint
(n / 100)::smallint
2.5::int
3.5::int
-2.5::int
-3.5::int
0.5::int
1.5::bigint
2.4999999999999999999::int
n::varchar(5)
n::char(8)
w::varchar
-- floats to integers: rounds half to even
f::int
f::bigint
r::int
r::bigint
0.5::float8::int
1.5::float8::int
2.5::float8::int
-0.5::float8::int
-1.5::float8::int
2.5::real::int
3.5::real::smallint
4503599627370497.5::float8::bigint
-- text of a float is the shortest that reads back
f::text
r::text
f::real::text
r::float8::text
(f / 3)::text
(r / 3)::text
1e15::float8::text
1e16::float8::text
123456789012345::float8::text
1e-4::float8::text
1e-5::float8::text
0.0001::real::text
100000::real::text
1e6::real::text
1234567::real::text
1e21::float8::text
'-0'::float8::text
'NaN'::float8::text
'Infinity'::float8::text
'-inf'::float8::text
'nan'::real::text
(-f)::text
f::varchar(6)
r::char(6)
-- boolean
bo::text
bo::int
bo::varchar
bo::char(5)
bo::varchar(2)
bo::int + 1
0::boolean
1::boolean
2::boolean
(i > 0)::int
(i > 0)::text
't'::boolean
'true'::boolean
'TRUE'::boolean
'tr'::boolean
'f'::boolean
'fal'::boolean
'y'::boolean
'yes'::boolean
'n'::boolean
'no'::boolean
'on'::boolean
'off'::boolean
'of'::boolean
'o'::boolean
'1'::boolean
'0'::boolean
' true '::boolean
'2'::boolean
''::boolean
'maybe'::boolean
CASE WHEN id = 41 THEN vc::boolean END
-- text to numbers
vc::int
vc::smallint
vc::bigint
vc::numeric
vc::numeric(10,2)
vc::real
vc::float8
vc::text
trim(c)::text
'12'::int
' 12 '::int
E'\t12\n'::int
'+12'::int
'-12'::int
'- 12'::int
'1.5'::int
'1e3'::int
'12abc'::int
''::int
' '::int
'1,000'::int
'٣'::int
'00012'::int
'-0'::int
'1.5'::numeric
' 1.50 '::numeric
'1e3'::numeric
'1E-3'::numeric
'.5'::numeric
'5.'::numeric
'+.5e1'::numeric
'1e'::numeric
'1.2.3'::numeric
'abc'::numeric
''::numeric
'1.005'::numeric(5,2)
'1.5'::float8
' 1e3 '::float8
'1e-3'::real
'.5'::float8
'5.'::float8
'inf'::float8
'-Infinity'::float8
'infinity'::real
'nan'::float8
'1.5x'::float8
''::float8
'0x10'::float8
'1e5'::float8::int
'0.1'::real::float8
'16777217'::real
'9007199254740993'::float8
'1.7976931348623159e308'::float8
-- text to text
t::varchar
t::varchar(3)
t::varchar(100)
t::char(3)
t::char(3)::text
t::text::varchar(2)
vc::char(4)
c::text
c::varchar
c::varchar(3)
c::char(2)
c::char(10)
c::text || '|'
c || '|'
'abc  '::char(5) || '|'
'abc  '::char(5)::text || '|'
'abc  '::varchar(4) || '|'
'abcdef'::varchar(3)
'abcdef'::char(3)
'ab'::char
'abc'::"char"::text
'😀ä'::varchar(1)
'e'::name::text
CAST(i AS text)
CAST(t AS varchar(4))
CAST(n AS int)
text 'abc'
int '42'
numeric '1.50'
date '2024-02-29'
bool 'yes'
float8 '1e3'
-- dates and times
d::text
d::timestamp
d::timestamptz
d::varchar(7)
ts::date
ts::time
ts::text
ts::timestamptz
tz::date
tz::time
tz::text
tz::timestamp
ts::timestamp(0)
ts::timestamp(3)
ts::timestamp(1)::text
tz::timestamptz(0)
tz::timestamptz(2)::text
ts::time(0)
ts::varchar(16)
tz::varchar(13)
ta[2]::date
ta[2]::timestamp
ta[2]::timestamptz
'2024-02-29'::date
'2024-2-9'::date
'20240229'::date
'2024-02-30'::date
'2023-02-29'::date
'2024-13-01'::date
'2024/02/29'::date
'Feb 29, 2024'::date
'29 Feb 2024'::date
'2024.060'::date
'2024-060'::date
'02/29/2024'::date
'29/02/2024'::date
'0001-01-01'::date
'10000-01-01'::date
'2024-02-29 12:34:56'::date
'2024-02-29T23:59:59Z'::date
''::date
'today is'::date
'epoch'::date
'2024-02-29 12:34:56'::timestamp
'2024-02-29T12:34:56'::timestamp
'2024-02-29 12:34'::timestamp
'2024-02-29'::timestamp
'2024-02-29 24:00:00'::timestamp
'2024-02-29 24:00:01'::timestamp
'2024-02-29 23:59:60'::timestamp
'2024-02-29 12:34:56.1234564'::timestamp
'2024-02-29 12:34:56.1234567'::timestamp
'2024-02-29 12:34:56.9999999'::timestamp
'2024-02-29 12:34:56+02'::timestamp
'2024-02-29 12:34:56 PM'::timestamp
'20240229T123456'::timestamp
'2024-02-29 1:2:3'::timestamp
'2024-02-29 12:34:56+02'::timestamptz
'2024-02-29 12:34:56-05:30'::timestamptz
'2024-02-29 12:34:56Z'::timestamptz
'2024-02-29 12:34:56 Europe/Berlin'::timestamptz
'2024-07-01 12:34:56 America/New_York'::timestamptz
'2024-02-29 12:34:56 EST'::timestamptz
'2024-02-29 12:34:56'::timestamptz
'2024-02-29'::timestamptz
'12:34'::time
'12:34:56.789'::time
'24:00'::time
'04:05 PM'::time
'040506'::time
'25:00'::time
'12:34:56'::time::text
'12:34:56.5'::time(0)
'12:34:56'::time::interval
'36:00'::interval::time
ts::time::interval
-- intervals
'1 day'::interval
'1 year 2 months 3 days 04:05:06.789'::interval::text
'1 mon -1 day'::interval::text
'-1 year 2 months'::interval::text
'P1Y2M3DT4H5M6S'::interval
'PT0.5S'::interval::text
'1-2'::interval::text
'3 4:05:06'::interval::text
'1.5 days'::interval::text
'1.5 months'::interval::text
'1.5 years'::interval::text
'2 weeks'::interval::text
'1 day ago'::interval::text
'0'::interval::text
'90 minutes'::interval::text
'1 hour 90 minutes'::interval
'-00:00:01'::interval::text
'100 hours'::interval::text
'1 decade'::interval
'1 century 1 millennium'::interval
interval '1' year
interval '5' day
interval '1-2' year to month
interval '1 12:59:10' day to second
interval '10:20' minute to second
'abc'::interval
interval '1.123456789 seconds'
-- arrays
ia::text
ta::text
ia::bigint[]
ia::numeric[]
ia::float8[]
ia::text[]
ia::smallint[]
'{1,2,3}'::int[]
'{1,NULL,3}'::int[]
'{a,"b c","",NULL,"NULL"}'::text[]
'{}'::int[]
'{1,2'::int[]
'{1.5}'::int[]
'{ 1 , 2 }'::int[]
ARRAY['1','2']::int[]
ARRAY[1.5, 2.5]::int[]
ARRAY[i, s]
ARRAY[i, n]::text
ARRAY[bo]::text
-- json
j::jsonb::text
j::json::text
j::jsonb
'1'::jsonb::int
'1.5'::jsonb::numeric
'1.5'::jsonb::int
'true'::jsonb::boolean
'"1"'::jsonb::int
'null'::jsonb::int
'{"b": 1, "a": 2, "b": 3}'::jsonb::text
'{"b": 1, "a": 2, "b": 3}'::json::text
'{bad}'::jsonb
'[1,]'::jsonb
''::jsonb
'"\u00e4"'::jsonb::text
'1.50'::jsonb::text
'1e3'::jsonb::text
'-0'::jsonb::text
-- bytes
by::text
t::bytea
'\x00ff'::bytea
'abc'::bytea::text
'a\\b'::bytea
'\x0'::bytea
'\xzz'::bytea
-- NULL
NULL::int
NULL::text
NULL::date
NULL::int[]
NULL::numeric(5,2)
NULL::boolean
CAST(NULL AS timestamp)
-- two casts of one value side by side
('ab   '::varchar(4) || '|') || ('ab   '::char(4) || '|')
(t::varchar(3) || '|') || (t::char(3) || '|')
