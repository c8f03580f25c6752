-- an instant read in a zone
tz AT TIME ZONE 'UTC'
tz AT TIME ZONE 'Europe/Berlin'
tz AT TIME ZONE 'America/New_York'
tz AT TIME ZONE 'Asia/Kolkata'
tz AT TIME ZONE 'Australia/Lord_Howe'
tz AT TIME ZONE 'Pacific/Kiritimati'
tz AT TIME ZONE 'europe/berlin'
tz AT TIME ZONE 'EST'
tz AT TIME ZONE 'CET'
tz AT TIME ZONE 'EST5EDT'
tz AT TIME ZONE 'Z'
tz AT TIME ZONE 'GMT'
tz AT TIME ZONE '+02'
tz AT TIME ZONE '-05:30'
tz AT TIME ZONE 'UTC+3'
tz AT TIME ZONE 'Etc/GMT+3'
tz AT TIME ZONE interval '2 hours'
tz AT TIME ZONE interval '-05:30'
tz AT TIME ZONE 'Nowhere/Town'
tz AT TIME ZONE ''
tz AT TIME ZONE NULL
timezone('Europe/Berlin', tz)
-- a wall clock time in a zone
ts AT TIME ZONE 'UTC'
ts AT TIME ZONE 'Europe/Berlin'
ts AT TIME ZONE 'America/New_York'
ts AT TIME ZONE 'Asia/Tokyo'
ts AT TIME ZONE '+02'
ts AT TIME ZONE '-03'
ts AT TIME ZONE interval '1 hour'
timezone('Europe/Berlin', ts)
d AT TIME ZONE 'Europe/Berlin'
d::timestamp AT TIME ZONE 'Europe/Berlin'
-- the gap and the overlap of Berlin
timestamp '2024-03-31 01:59:59' AT TIME ZONE 'Europe/Berlin'
timestamp '2024-03-31 02:00:00' AT TIME ZONE 'Europe/Berlin'
timestamp '2024-03-31 02:30:00' AT TIME ZONE 'Europe/Berlin'
timestamp '2024-03-31 03:00:00' AT TIME ZONE 'Europe/Berlin'
timestamp '2024-10-27 01:59:59' AT TIME ZONE 'Europe/Berlin'
timestamp '2024-10-27 02:00:00' AT TIME ZONE 'Europe/Berlin'
timestamp '2024-10-27 02:59:59' AT TIME ZONE 'Europe/Berlin'
timestamp '2024-10-27 03:00:00' AT TIME ZONE 'Europe/Berlin'
timestamptz '2024-10-27 00:30:00+00' AT TIME ZONE 'Europe/Berlin'
timestamptz '2024-10-27 01:30:00+00' AT TIME ZONE 'Europe/Berlin'
timestamptz '2024-03-31 00:59:59+00' AT TIME ZONE 'Europe/Berlin'
timestamptz '2024-03-31 01:00:00+00' AT TIME ZONE 'Europe/Berlin'
timestamptz '2024-03-31 02:30:00 Europe/Berlin'
timestamptz '2024-10-27 02:30:00 Europe/Berlin'
timestamptz '2024-10-27 02:30:00 CEST'
timestamptz '2024-10-27 02:30:00 CET'
timestamp '2024-03-10 02:30:00' AT TIME ZONE 'America/New_York'
timestamp '2024-11-03 01:30:00' AT TIME ZONE 'America/New_York'
-- there and back
ts AT TIME ZONE 'UTC' AT TIME ZONE 'Europe/Berlin'
ts AT TIME ZONE 'Europe/Berlin' AT TIME ZONE 'UTC'
ts AT TIME ZONE 'Europe/Berlin' AT TIME ZONE 'Europe/Berlin'
ts AT TIME ZONE 'Europe/Berlin' AT TIME ZONE 'Europe/Berlin' = ts
tz AT TIME ZONE 'Europe/Berlin' AT TIME ZONE 'Europe/Berlin' = tz
tz AT TIME ZONE 'Europe/Berlin' AT TIME ZONE 'America/New_York'
(tz AT TIME ZONE 'Europe/Berlin')::date
(tz AT TIME ZONE 'Europe/Berlin')::time
(tz AT TIME ZONE 'Europe/Berlin')::text
(ts AT TIME ZONE 'Europe/Berlin')::date
(ts AT TIME ZONE 'Europe/Berlin')::text
tz AT TIME ZONE 'Europe/Berlin' + interval '1 day'
(tz AT TIME ZONE 'Europe/Berlin' + interval '1 day') AT TIME ZONE 'Europe/Berlin'
extract(hour FROM tz AT TIME ZONE 'Europe/Berlin')
extract(epoch FROM ts AT TIME ZONE 'Europe/Berlin')
extract(dow FROM tz AT TIME ZONE 'Pacific/Auckland')
tz AT TIME ZONE 'Europe/Berlin' - ts
tz AT TIME ZONE 'UTC' = ts
ts AT TIME ZONE 'Europe/Berlin' < tz
date_trunc('day', tz AT TIME ZONE 'Europe/Berlin')
date_trunc('day', tz AT TIME ZONE 'Europe/Berlin') AT TIME ZONE 'Europe/Berlin'
tz::date = (tz AT TIME ZONE 'Europe/Berlin')::date
pg_typeof(tz AT TIME ZONE 'UTC')::text
pg_typeof(ts AT TIME ZONE 'UTC')::text
-- truncated in a zone
date_trunc('day', tz, 'Europe/Berlin')
date_trunc('hour', tz, 'Europe/Berlin')
date_trunc('month', tz, 'Europe/Berlin')
date_trunc('week', tz, 'America/New_York')
date_trunc('year', tz, 'Asia/Kolkata')
date_trunc('hour', tz, 'Asia/Kolkata')
date_trunc('quarter', tz, 'Europe/Berlin')
date_trunc('day', tz, 'UTC')
date_trunc('day', tz, '+02')
date_trunc('day', timestamptz '2024-03-31 12:00+00', 'Europe/Berlin')
date_trunc('day', timestamptz '2024-10-27 12:00+00', 'Europe/Berlin')
date_trunc('day', tz, 'Nowhere/Town')
-- made in a zone
make_timestamptz(2024, 7, 1, 12, 0, 0, 'Europe/Berlin')
make_timestamptz(2024, 3, 31, 2, 30, 0, 'Europe/Berlin')
make_timestamptz(2024, 10, 27, 2, 30, 0, 'Europe/Berlin')
make_timestamptz(2024, 1, 1, 0, 0, 0, '+05:30')
-- text with offsets
timestamptz '2024-07-01 12:00:00+02'
timestamptz '2024-07-01 12:00:00 +0530'
timestamptz '2024-07-01T12:00:00-0800'
timestamptz '2024-07-01 12:00:00+02:30:15'
timestamptz '2024-07-01 12:00:00 PST'
timestamptz '2024-07-01 12:00:00 PDT'
timestamptz '2024-07-01 12:00:00 Europe/London'
timestamptz '2024-07-01 12:00:00+25'
timestamptz '2024-07-01 12:00:00 XYZ'
timestamp '2024-07-01 12:00:00+02'
'2024-07-01 12:00:00+02'::timestamptz::timestamp
'2024-07-01 23:00:00-05'::timestamptz::date
'2024-07-01 12:00:00+02'::date
tz || ''
(tz + interval '1 day')::text
tz + interval '24 hours' = tz + interval '1 day'
tz::timestamp::timestamptz = tz
ts::timestamptz = ts
-- old instants have local mean time
timestamptz '1850-01-01 00:00:00+00' AT TIME ZONE 'Europe/Berlin'
timestamp '1850-01-01 00:00:00' AT TIME ZONE 'Europe/Berlin'
timestamptz '1916-06-01 00:00:00+00' AT TIME ZONE 'Europe/Berlin'
timestamptz '1945-06-01 00:00:00+00' AT TIME ZONE 'Europe/Berlin'
timestamptz '2040-07-01 00:00:00+00' AT TIME ZONE 'Europe/Berlin'
timestamptz '2500-07-01 00:00:00+00' AT TIME ZONE 'Europe/Berlin'
timestamptz '2011-12-30 12:00:00+00' AT TIME ZONE 'Pacific/Apia'
