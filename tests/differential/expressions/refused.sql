-- what Postgres refuses before it looks at a row; every line here must be refused
-- operators between types that have none
i + t
t + 1
t = i
i = t
vc = 17
t > n
d = i
bo = i
bo = 1
i || s
n || n
bo || bo
t || ia
i AND bo
i OR 1
NOT i
bo + bo
bo * 2
-bo
-t
-n::text
d + d
d * 2
d + 1.5
d + b
ts + 1
ts + ts
tz + 1
ts * interval '1 day'
interval '1 day' + 1
interval '1 day' = 1
f % 2
r % 2
f & 1
i ^ t
i LIKE '1%'
n ~ '1'
by = t
ia + 1
ia = ta
ia || 'x'::text
i = ANY (i)
i IN ('a'::text, 'b')
j -> 'a'
j ->> 'a'
j::json = j::json
j::json <> '{}'
j::json - 'a'
j::json ? 'a'
j::json @> '{}'
j::jsonb -> b
j::jsonb - b
j::jsonb -> 1.5
j::jsonb ? 1
j::jsonb ?| 'a'::text
j::jsonb #> 'a'::text
j::jsonb = t
j::jsonb = 1
j::jsonb @> t
j::jsonb || j::json
(j::json)['a']
(j::jsonb)[b]
COALESCE(j::jsonb, j::json)
COALESCE(j::jsonb, t)
jsonb_typeof(t)
jsonb_typeof(j::json)
json_typeof(j::jsonb)
jsonb_set(j::jsonb, 'a'::text, '1')
to_json('a')
to_jsonb(NULL)
max(j::jsonb)
string_agg(j::jsonb, ',')
length(j::jsonb)
j::jsonb LIKE '%a%'
n::json
ia::jsonb
bo::jsonb
j::json::int
(j::jsonb)::date
(j::jsonb)::timestamp
j::jsonb + 1
-- no such function for the type
sum(t)
sum(bo)
sum(d)
avg(t)
avg(ts)
max(bo)
min(j::jsonb)
bool_and(i)
string_agg(i, ',')
stddev(t)
round(t)
round(f, 2)
round(r, 1)
trunc(f, 1)
abs(t)
sqrt(t)
mod(f, 2)
substring(i, 1, 2)
substr(n, 1)
left(i, 2)
upper(i)
length(i)
length(d)
trim(i)
replace(i, '1', '2')
lpad(i, 5, '0')
repeat(5, 3)
reverse(i)
split_part(n, '.', 1)
strpos(i, '1')
concat_ws(1, t, vc)
starts_with(i, '1')
lower(bo)
to_char(t, 'YYYY')
to_char(bo, '9')
to_date(d, 'YYYY-MM-DD')
to_date(i, 'YYYY')
date_trunc('month', t)
date_trunc(ts, 'month')
date_trunc('month')
extract(year FROM t)
extract(year FROM i)
date_part('year', t)
date_part(2024, d)
age(i)
make_date('x')
date_bin('15 minutes', d)
array_length(ia)
array_length(i, 1)
cardinality(i)
ascii(i)
regexp_replace(i, '1', '2')
power(t, 2)
width_bucket(t, 0, 1, 2)
nullif(i, t)
coalesce(i, t)
greatest(i, t)
least(d, i)
CASE WHEN bo THEN i ELSE t END
CASE WHEN i THEN 1 END
CASE i WHEN 'a'::text THEN 1 END
ARRAY[i, t]
-- casts that do not exist
d::int
i::date
i::timestamp
ts::int
tz::bigint
s::boolean
b::boolean
n::boolean
f::boolean
bo::smallint
bo::bigint
bo::numeric
bo::float8
by::int
bo::date
d::time
d::boolean
ia::int
ia::date[]
i::int[]
t::nonsense
d::float8
i::jsonb
CAST(i AS interval)
-- functions of other systems
ifnull(i, 0)
nvl(i, 0)
isnull(i, 0)
iif(bo, 1, 2)
if(bo, 1, 2)
len(t)
dateadd('day', 1, d)
datediff('day', d, d)
date_format(ts, '%Y')
strftime('%Y', ts)
str_to_date(t, '%Y')
year(d)
month(d)
day(d)
to_date(t)
last_day(d)
add_months(d, 1)
getdate()
charindex('a', t)
instr(t, 'a')
locate('a', t)
mid(t, 1, 2)
ucase(t)
space(3)
decode(i, 1, 'a', 'b')
list_sort(ia)
array_contains(ia, 1)
array_has(ia, 1)
array_distinct(ia)
array_size(ia)
array_max(ia)
list_value(1, 2)
make_array(1, 2)
struct(1, 2)
named_struct('a', 1)
get_json_object(j, '$.a')
json_get(j, 'a')
group_concat(t)
listagg(t, ',')
approx_distinct(i)
approx_median(i)
median(i)
first(i)
last(i)
any_value_of(i)
arrow_typeof(i)
arrow_cast(i, 'Int64')
now_utc()
to_unixtime(ts)
from_unixtime(i)
unix_timestamp(ts)
epoch(ts)
contains(t, 'a')
endswith(t, 'a')
startswith(t, 'a')
levenshtein(t, 'a')
find_in_set('a', t)
nanvl(f, 0)
isnan(f)
iszero(i)
signum(i)
log2(i)
bit_xor_of(i)
sha1(t)
digest(t, 'sha256')
uuid()
try_cast(t, 'int')
TRY_CAST(t AS int)
t::string
i::int64
i::uint8
i::tinyint
f::double
t::datetime
i::unsigned
CAST(t AS string)
-- syntax of other systems
i == 1
i DIV 2
i MOD 2
bo && true
bo || true
t REGEXP 'a'
t RLIKE 'a'
t GLOB 'a*'
t CONTAINS 'a'
`i`
"apple"
t == 'apple'
i <=> 1
[1, 2]
{a: 1}
t[1]
i[1]
d.year
nosuchcolumn
v.nosuchcolumn
w2.i
I + "I"
i > 1 = true
1 < i < 3
i = 1 = bo
DATE_ADD(d, 1 DAY)
INTERVAL 1 DAY
INTERVAL 1 DAY + d
CONVERT(t, CHAR)
(1, 2) = 1
(i, s) = (1, 2, 3)
(i, s) IN (1, 2)
i IN ()
i BETWEEN 1
CASE END
count(i, s)
count()
lower()
lower(t, t)
sum(sum(i))
sum(i) OVER () + sum(count(*))
row_number()
lag(i)
i OVER ()
lower(t) OVER ()
count(*) FILTER (WHERE i)
