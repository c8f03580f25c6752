-- date with integer, date with date
d + 1
d - 1
1 + d
d + i
d + s::int
d - 365
d - date '2024-01-01'
date '2024-03-01' - date '2024-02-28'
date '2023-03-01' - date '2023-02-28'
d - d
d + time '12:34'
d + ts::time
-- date with interval
d + interval '1 day'
d - interval '1 day'
d + interval '1 month'
d + interval '1 year'
d - interval '1 month'
d + interval '1 month 1 day'
d + interval '36 hours'
d - interval '1 microsecond'
d + '1 week'::interval
date '2024-01-31' + interval '1 month'
date '2024-03-31' - interval '1 month'
date '2024-02-29' + interval '1 year'
date '2024-02-29' - interval '4 years'
date '2023-01-31' + interval '1 month' + interval '1 month'
date '2023-01-31' + interval '2 months'
interval '1 day' + d
d + i * interval '1 day'
d + make_interval(months => s::int)
d - ts
d - tz
-- timestamp with interval
ts + interval '1 day'
ts + interval '1 month'
ts - interval '1 year 2 months 3 days 04:05:06.789'
ts + interval '0.000001 seconds'
ts + interval '-1 mon +31 days'
ts + i * interval '1 minute'
ts + n * interval '1 hour'
ts - interval '1 quarter'
ts - interval '3 months'
ts + interval '1.5 months'
ts + interval '100 years'
ts + '2 days'
ts - time '01:00'
ts + time '01:00'
tz + interval '1 day'
tz - interval '1 hour'
tz + interval '1 month'
timestamp '2024-01-31 10:00' + interval '1 month -1 day'
-- differences
ts - timestamp '2024-01-01'
ts - d
ts - ts
tz - timestamptz '2024-01-01 00:00+00'
tz - ts
timestamp '2024-03-01' - timestamp '2024-02-01'
timestamp '2024-01-01 12:00:00' - date '2024-01-01'
timestamp '2024-01-01' - timestamp '2024-01-02 00:00:00.5'
(ts - timestamp '2024-01-01')::text
ts::time - time '06:00'
time '01:00' - time '02:00'
ts::time + interval '13 hours'
ts::time - interval '1 hour 30 minutes'
time '23:30' + interval '1 hour'
(ts - d) * 2
time '12:00' + d
tz + time '01:00'
interval '25 hours' + ts::time
time '01:00' - interval '1 month 2 hours'
-- intervals
interval '1 day' + interval '2 hours'
interval '1 month' - interval '1 day'
interval '1 day' * 2
interval '1 day' * 1.5
interval '1 month' * 1.5
interval '1 month' * 0.1
interval '1 year' / 7
interval '1 month' / 2
interval '1 day' / 3
interval '1 day' * s
interval '10 days' * n
interval '1 day' * f
2.5 * interval '1 hour'
-interval '1 day 2 hours'
interval '1 day' - interval '25 hours'
interval '1 month' < interval '31 days'
interval '1 mon' = '30 days'
interval '24 hours' = '1 day'
interval '1 day' > interval '23:59:59.999999'
interval '-1 day' < '0'
(interval '1 day 1 hour')::text
(interval '-1 day +02:03')::text
(interval '14 months')::text
(interval '1 year -1 month')::text
interval '1 day' / 0
interval '1 week' || ''
greatest(interval '1 mon', '31 days')
-- justify
justify_days(interval '35 days')
justify_days(interval '-35 days')
justify_days(interval '1 month -1 day')
justify_hours(interval '27 hours')
justify_hours(interval '1 day -1 hour')
justify_hours(interval '-27 hours')
justify_interval(interval '1 mon -1 hour')
justify_interval(interval '400 days 30 hours')
justify_interval(interval '-1 mon +1 hour')
justify_interval(ts - timestamp '2024-01-01')
-- age
age(d, date '2024-01-31')
age(ts, timestamp '2020-02-29')
age(tz, timestamptz '2020-02-29 12:00+00')
age(date '2024-03-01', date '2024-01-31')
age(date '2024-01-31', date '2024-03-01')
age(timestamp '2024-02-29', timestamp '2023-02-28')
age(timestamp '2023-03-31 10:00', timestamp '2023-02-28 11:00')
age(timestamp '2025-02-28', timestamp '2024-02-29')
age(ts, ts)
age(d, ts)
-- extract from a date
extract(year FROM d)
extract(month FROM d)
extract(day FROM d)
extract(quarter FROM d)
extract(week FROM d)
extract(dow FROM d)
extract(isodow FROM d)
extract(doy FROM d)
extract(isoyear FROM d)
extract(decade FROM d)
extract(century FROM d)
extract(millennium FROM d)
extract(epoch FROM d)
extract(julian FROM d)
extract(hour FROM d)
date_part('year', d)
date_part('epoch', d)
date_part('hour', d)
date_part('dow', d)
-- extract from a timestamp
extract(year FROM ts)
extract(month FROM ts)
extract(day FROM ts)
extract(hour FROM ts)
extract(minute FROM ts)
extract(second FROM ts)
extract(milliseconds FROM ts)
extract(microseconds FROM ts)
extract(epoch FROM ts)
extract(julian FROM ts)
extract(quarter FROM ts)
extract(week FROM ts)
extract(dow FROM ts)
extract(isodow FROM ts)
extract(doy FROM ts)
extract(isoyear FROM ts)
extract(decade FROM ts)
extract(century FROM ts)
extract(millennium FROM ts)
extract('year' FROM ts)
extract(YEAR FROM ts)
extract(timezone FROM ts)
extract(nonsense FROM ts)
extract(second FROM ts)::text
extract(epoch FROM ts)::text
pg_typeof(extract(year FROM ts))::text
pg_typeof(date_part('year', ts))::text
date_part('second', ts)
date_part('minute', ts)
date_part('week', ts)
date_part('julian', ts)
date_part('milliseconds', ts)
date_part('DOW', ts)
date_part('years', ts)
date_part('msec', ts)
-- extract from a timestamp with time zone
extract(year FROM tz)
extract(hour FROM tz)
extract(second FROM tz)
extract(epoch FROM tz)
extract(julian FROM tz)
extract(timezone FROM tz)
extract(timezone_hour FROM tz)
extract(timezone_minute FROM tz)
extract(doy FROM tz)
extract(week FROM tz)
date_part('epoch', tz)
-- extract from an interval and a time
extract(day FROM interval '40 days 25 hours')
extract(hour FROM interval '40 days 25 hours')
extract(month FROM interval '14 months')
extract(year FROM interval '14 months')
extract(quarter FROM interval '14 months')
extract(epoch FROM interval '1 day')
extract(epoch FROM interval '1 month')
extract(epoch FROM interval '1 year')
extract(epoch FROM interval '1 year 1 month 1.5 seconds')
extract(second FROM interval '1 minute 2.345678 seconds')
extract(milliseconds FROM interval '2.5 seconds')
extract(decade FROM interval '25 years')
extract(century FROM interval '-250 years')
extract(dow FROM interval '1 day')
extract(day FROM ts - timestamp '2024-01-01')
extract(epoch FROM ts - timestamp '2024-01-01')
date_part('day', ts - timestamp '2024-01-01')
extract(hour FROM ts::time)
extract(second FROM ts::time)
extract(epoch FROM ts::time)
extract(day FROM ts::time)
extract(minute FROM time '04:05:06.789')
extract(microseconds FROM ts::time)
date_part('hour', ts::time)
extract(year FROM ts::time)
-- truncation
date_trunc('microseconds', ts)
date_trunc('milliseconds', ts)
date_trunc('second', ts)
date_trunc('minute', ts)
date_trunc('hour', ts)
date_trunc('day', ts)
date_trunc('week', ts)
date_trunc('month', ts)
date_trunc('quarter', ts)
date_trunc('year', ts)
date_trunc('decade', ts)
date_trunc('century', ts)
date_trunc('millennium', ts)
date_trunc('MONTH', ts)
date_trunc('months', ts)
date_trunc('nonsense', ts)
date_trunc('dow', ts)
date_trunc('month', d)
date_trunc('week', d)
date_trunc('year', d)::date
date_trunc('quarter', d)::date
date_trunc('hour', d)
date_trunc('day', tz)
date_trunc('hour', tz)
date_trunc('month', tz)
date_trunc('week', tz)
date_trunc('hour', interval '2 days 03:04:05')
date_trunc('month', interval '1 year 2 months 3 days')
date_trunc('quarter', interval '14 months')
date_trunc('week', interval '14 days')
date_trunc('day', ts - timestamp '2024-01-01')
pg_typeof(date_trunc('month', d))::text
pg_typeof(date_trunc('month', ts))::text
-- bins
date_bin('15 minutes', ts, timestamp '2024-01-01')
date_bin('15 minutes', tz, timestamptz '2024-01-01 00:00+00')
date_bin('1 day', ts, timestamp '2024-01-01 06:00')
date_bin('7 days', ts, timestamp '2000-01-03')
date_bin('90 seconds', ts, timestamp '2024-01-01 00:00:10')
date_bin('0.5 seconds', ts, timestamp '2024-01-01')
date_bin('1 month', ts, timestamp '2024-01-01')
date_bin('-1 day', ts, timestamp '2024-01-01')
-- made from parts
make_date(2024, 2, 29)
make_date(extract(year FROM d)::int, extract(month FROM d)::int, 1)
make_date(-44, 3, 15)
make_date(0, 1, 1)
make_timestamp(2024, 2, 29, 12, 34, 56.789)
make_timestamp(2024, 2, 29, 23, 59, 60)
make_timestamptz(2024, 2, 29, 12, 34, 56.789)
make_time(8, 15, 23.5)
make_interval(1, 2, 3, 4, 5, 6, 7.5)
make_interval(days => 10)
make_interval(hours => s::int, secs => 0.5)
make_interval(weeks => 2)
to_timestamp(0)
to_timestamp(1709209800.123456)
to_timestamp(-1)
to_timestamp(b)
to_timestamp(n)
to_timestamp(f)
make_interval(years => 1, mins => -5)
make_interval(1)
make_interval(secs => 1e3)
make_time(24, 0, 0)
make_time(23, 59, 60)
make_timestamp(-44, 3, 15, 0, 0, 0)
make_timestamp(2023, 2, 29, 0, 0, 0)
-- overlaps, finite, epoch
isfinite(d)
isfinite(ts)
isfinite(interval '1 day')
isfinite(date 'infinity')
(d, d + 10) OVERLAPS (date '2024-01-01', date '2024-01-31')
(ts, interval '1 day') OVERLAPS (timestamp '2024-01-01', timestamp '2024-02-01')
(d, d) OVERLAPS (d, d)
timestamp 'epoch' + i * interval '1 second'
date '1970-01-01' + s::int
d - date 'epoch'
(d, NULL) OVERLAPS (d, d + 1)
(d + 5, d) OVERLAPS (d - 1, d + 1)
(ts, ts + interval '1 hour') OVERLAPS (ts + interval '1 hour', interval '1 day')
-- years and weeks at the edges
extract(week FROM date '2020-12-31')
extract(isoyear FROM date '2021-01-01')
extract(week FROM date '2023-01-01')
extract(century FROM date '2000-12-31')
extract(century FROM date '2001-01-01')
extract(millennium FROM date '2000-12-31')
extract(decade FROM date '1999-12-31')
extract(dow FROM date '2024-03-31')
extract(isodow FROM date '2024-03-31')
date '2100-02-28' + 1
date '2000-02-28' + 1
date '1900-02-28' + 1
-- last day and first day of the month
(date_trunc('month', d) + interval '1 month' - interval '1 day')::date
(date_trunc('month', d) + interval '1 month')::date - 1
extract(day FROM date_trunc('month', ts) + interval '1 month - 1 day')
d - extract(dow FROM d)::int
