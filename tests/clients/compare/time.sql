date '2024-02-29'
date '0001-01-01'
date '9999-12-31'
date '4713-01-01 BC'
date '0044-03-15 BC'
date 'infinity'
date '-infinity'
date '2024-02-30'
date 'x'
'20240229'::date
'Feb 29, 2024'::date
'2024-2-9'::date
'01/02/2024'::date
NULL::date
timestamp '2024-02-29 12:34:56'
timestamp '2024-02-29 12:34:56.789'
timestamp '2024-02-29 12:34:56.123456'
timestamp '2024-02-29 12:34:56.1234567'
timestamp '2024-02-29 24:00:00'
timestamp '2024-02-29'
timestamp '2024-02-29T12:34:56'
timestamp '2024-02-29 12:34'
timestamp '1969-12-31 23:59:59.999999'
timestamp '0001-01-01 00:00:00'
timestamp '9999-12-31 23:59:59.999999'
timestamp '1500-06-01 12:00:00'
timestamp '294276-12-31 23:59:59'
timestamp 'infinity'
timestamp '-infinity'
timestamp '2024-13-01'
timestamp 'yesterday-ish'
timestamp 'epoch'
timestamptz '2024-02-29 12:34:56+00'
timestamptz '2024-02-29 12:34:56.5+05:30'
timestamptz '2024-02-29 12:34:56'
timestamptz '2024-02-29T12:34:56Z'
timestamptz '2024-02-29 12:34:56 Europe/Berlin'
timestamptz 'infinity'
timestamptz '1500-06-01 12:00:00+00'
NULL::timestamp
NULL::timestamptz
time '12:34:56'
time '12:34:56.789'
time '00:00:00'
time '24:00:00'
time '12:34'
time '25:00'
'04:05 PM'::time
NULL::time
'2024-01-01'::timestamp(0)
'2024-01-01 10:00:00.567'::timestamp(1)
-- Intervals
interval '1 day'
interval '1 month'
interval '1 year 2 months 3 days 4 hours 5 minutes 6.789 seconds'
interval '-1 day'
interval '1 day -2 hours'
interval '-1 month 1 day'
interval '90 minutes'
interval '25 hours'
interval '1.5 days'
interval '1.5 months'
interval '1 week'
interval '1 decade'
interval '1:02:03'
interval '-00:00:01'
interval '3 days 04:05:06.7'
interval 'P1Y2M3DT4H5M6S'
interval 'PT0S'
interval '0'
interval '1' day
interval '1-2' year to month
interval '10' minute
interval 'x'
interval '1 day ago'
interval '100000 hours'
NULL::interval
'1 day'::interval
make_interval(days => 10)
interval '1 month' = interval '30 days'
interval '1 month' > interval '29 days'
interval '24 hours' = interval '1 day'
interval '1 day' < interval '25 hours'
interval '1 year' = interval '12 months'
interval '1 day' <> interval '86400 seconds'
interval '1 day' + interval '2 hours'
interval '1 day' - interval '2 hours'
interval '1 day' * 2
2 * interval '1 day'
interval '1 day' * 1.5
interval '1 day' / 2
interval '1 hour' / 0
- interval '1 day 2 hours'
SELECT max(a), min(a) FROM (VALUES (interval '1 month'), (interval '40 days')) t(a)
SELECT a FROM (VALUES (interval '1 month'), (interval '40 days'), (interval '20 days')) t(a) ORDER BY a
SELECT sum(a) FROM (VALUES (interval '1 hour'), (interval '30 minutes')) t(a)
SELECT avg(a) FROM (VALUES (interval '1 hour'), (interval '30 minutes')) t(a)
justify_hours(interval '27 hours')
justify_days(interval '35 days')
justify_interval(interval '1 mon -1 hour')
-- Arithmetic of dates and times
date '2024-03-01' - date '2024-02-28'
date '2024-03-01' - 1
date '2024-03-01' + 7
7 + date '2024-03-01'
date '2024-01-31' + interval '1 month'
date '2024-03-01' + interval '1 hour'
date '2024-03-01' - interval '1 day'
date '2024-03-01' + time '10:00'
timestamp '2024-03-01 12:00' - timestamp '2024-02-28 10:30'
timestamp '2024-02-28 10:30' - timestamp '2024-03-01 12:00'
timestamp '2024-03-01 12:00' + interval '1 month 1 day 1 hour'
timestamp '2024-03-31 12:00' - interval '1 month'
timestamp '2024-03-01 12:00' - date '2024-02-28'
timestamptz '2024-03-01 12:00+00' - timestamptz '2024-02-28 10:30+00'
timestamptz '2024-03-01 12:00+00' + interval '1 day'
time '10:00' + interval '90 minutes'
time '23:00' + interval '2 hours'
time '10:00' - time '09:30'
date '2024-03-01' = timestamp '2024-03-01 00:00'
date '2024-03-01' < timestamp '2024-03-01 00:01'
date '2024-03-01' = '2024-03-01'
timestamp '2024-03-01 10:00' > '2024-03-01'
age(timestamp '2024-03-01', timestamp '2023-01-15')
date '2024-03-01' BETWEEN '2024-02-01' AND '2024-04-01'
SELECT max(a), min(a) FROM (VALUES (date '2024-01-01'), (date '2023-01-01')) t(a)
(date '2024-01-01', date '2024-02-01') OVERLAPS (date '2024-01-15', date '2024-03-01')
-- Parts
extract(year from date '2024-02-29')
extract(month from timestamp '2024-02-29 12:34:56')
extract(day from timestamp '2024-02-29 12:34:56')
extract(hour from timestamp '2024-02-29 12:34:56')
extract(minute from timestamp '2024-02-29 12:34:56')
extract(second from timestamp '2024-02-29 12:34:56.789')
extract(milliseconds from timestamp '2024-02-29 12:34:56.789')
extract(microseconds from timestamp '2024-02-29 12:34:56.789')
extract(epoch from timestamp '2024-02-29 12:34:56.789')
extract(epoch from timestamptz '2024-02-29 12:34:56.789+02')
extract(epoch from interval '1 day 2 hours')
extract(epoch from date '2024-02-29')
extract(dow from date '2024-03-03')
extract(isodow from date '2024-03-03')
extract(doy from date '2024-03-03')
extract(week from date '2024-01-01')
extract(isoyear from date '2024-12-31')
extract(quarter from date '2024-05-01')
extract(century from date '2024-05-01')
extract(decade from date '2024-05-01')
extract(day from interval '40 days 5 hours')
extract(hour from interval '40 days 5 hours')
extract(month from interval '14 months')
extract(hour from time '10:20:30')
extract(hour from date '2024-01-01')
extract(fortnight from date '2024-01-01')
date_part('year', date '2024-02-29')
date_part('second', timestamp '2024-02-29 12:34:56.789')
date_part('epoch', timestamptz '2024-02-29 12:34:56+00')
date_trunc('hour', timestamp '2024-02-29 12:34:56.789')
date_trunc('week', timestamp '2024-02-29 12:34:56.789')
date_trunc('month', date '2024-02-29')
date_trunc('quarter', timestamp '2024-02-29 12:34:56.789')
date_trunc('day', timestamptz '2024-02-29 12:34:56+00')
date_trunc('year', timestamptz '2024-02-29 12:34:56+00')
date_trunc('day', interval '3 days 04:05:06')
date_trunc('decade', timestamp '2024-02-29')
date_trunc('eon', timestamp '2024-02-29')
date_trunc('day', timestamptz '2024-02-29 23:30:00+00', 'Europe/Berlin')
date_bin('15 minutes', timestamp '2024-02-29 12:34:56', timestamp '2024-01-01')
make_date(2024, 2, 29)
make_timestamp(2024, 2, 29, 12, 34, 56.5)
make_time(12, 34, 56.5)
to_timestamp(1709210096)
to_timestamp(1709210096.789)
to_timestamp('2024-02-29 12:34:56', 'YYYY-MM-DD HH24:MI:SS')
to_date('29 Feb 2024', 'DD Mon YYYY')
to_date('2024-02-29', 'YYYY-MM-DD')
-- to_char
to_char(timestamp '2024-02-09 13:04:05.6789', 'YYYY-MM-DD HH24:MI:SS')
to_char(timestamp '2024-02-09 13:04:05.6789', 'YYYY-MM-DD"T"HH24:MI:SS.MS')
to_char(timestamp '2024-02-09 13:04:05.6789', 'HH12:MI AM')
to_char(timestamp '2024-02-09 13:04:05.6789', 'Day, DD Month YYYY')
to_char(timestamp '2024-02-09 13:04:05.6789', 'FMDay, FMDD FMMonth YYYY')
to_char(timestamp '2024-02-09 13:04:05.6789', 'Dy DDth Mon YY')
to_char(timestamp '2024-02-09 13:04:05.6789', 'DDD WW IW Q CC J')
to_char(timestamp '2024-02-09 13:04:05.6789', 'IYYY-"W"IW-ID')
to_char(timestamp '2024-02-09 13:04:05.6789', 'US MS SSSS')
to_char(timestamp '2024-02-09 13:04:05.6789', 'MONTH month DAY day DY dy MON mon')
to_char(timestamptz '2024-02-09 13:04:05+00', 'YYYY-MM-DD HH24:MI:SS TZ OF')
to_char(date '2024-02-09', 'DD/MM/YYYY')
to_char(interval '15 hours 2 minutes 12 seconds', 'HH24:MI:SS')
to_char(125, '999')
to_char(125, '0000')
to_char(-125.8, '999D99')
to_char(125.8, '999D9')
to_char(1234567, '9,999,999')
to_char(1234567.891, 'FM9G999G990D00')
to_char(0.5, '0.99')
to_char(0.5, '9.99')
to_char(-5, 'S99')
to_char(5, 'MI99')
to_char(-5, '99PR')
to_char(12, 'FM999')
to_char(123456, '999')
to_char(482, 'RN')
to_char(1, '9th')
to_char(0.1::float8, '9.999')
-- AT TIME ZONE
timestamp '2024-02-29 12:00:00' AT TIME ZONE 'Europe/Berlin'
timestamptz '2024-02-29 12:00:00+00' AT TIME ZONE 'Europe/Berlin'
timestamptz '2024-07-01 12:00:00+00' AT TIME ZONE 'America/New_York'
timestamp '2024-07-01 12:00:00' AT TIME ZONE 'UTC' AT TIME ZONE 'Asia/Tokyo'
timestamptz '2024-02-29 12:00:00+00' AT TIME ZONE 'Mars/Base'
timestamptz '2024-02-29 12:00:00+00' AT TIME ZONE '+02'
timestamptz '2024-02-29 12:00:00+00' AT TIME ZONE interval '2 hours'
timezone('Asia/Tokyo', timestamptz '2024-02-29 12:00:00+00')
timestamp '2024-03-31 02:30:00' AT TIME ZONE 'Europe/Berlin'
timestamp '2024-10-27 02:30:00' AT TIME ZONE 'Europe/Berlin'
timestamptz '2024-02-29 12:00:00+00'::timestamp
timestamptz '2024-02-29 23:30:00+00'::date
timestamptz '2024-02-29 23:30:00+00'::time
timestamp '2024-02-29 12:00:00'::timestamptz
date '2024-02-29'::timestamp
date '2024-02-29'::timestamptz
timestamp '2024-02-29 12:34:56'::date
timestamp '2024-02-29 12:34:56'::text
timestamptz '2024-02-29 12:34:56+00'::text
date '2024-02-29'::text
interval '1 day 2 hours'::text
time '12:34:56'::text
now() = now()
current_date = current_timestamp::date
SET TimeZone = 'Europe/Berlin'
timestamptz '2024-02-29 12:34:56+00'
timestamptz '2024-07-01 12:34:56'
timestamptz '2024-02-29 23:30:00+00'::date
timestamptz '2024-02-29 23:30:00+00'::timestamp
timestamptz '2024-02-29 23:30:00+00'::time
timestamptz '2024-02-29 23:30:00+00'::text
timestamp '2024-07-01 12:00:00'::timestamptz
date '2024-07-01'::timestamptz
extract(hour from timestamptz '2024-07-01 12:34:56+00')
date_part('day', timestamptz '2024-02-29 23:30:00+00')
date_trunc('day', timestamptz '2024-02-29 23:30:00+00')
date_trunc('month', timestamptz '2024-03-31 22:30:00+00')
to_char(timestamptz '2024-07-01 12:34:56+00', 'HH24:MI TZ OF')
timestamptz '2024-03-30 12:00:00+01' + interval '1 day'
timestamptz '2024-03-30 12:00:00+01' + interval '24 hours'
timestamptz '2024-07-01 12:00:00+00' = timestamp '2024-07-01 14:00:00'
timestamptz '1890-01-01 00:00:00+00'
'2024-07-01 12:00'::timestamptz - '2024-01-01 12:00'::timestamptz
SET TimeZone = 'Asia/Kolkata'
timestamptz '2024-02-29 12:34:56+00'
to_timestamp(0)
SET TimeZone = 'America/St_Johns'
timestamptz '2024-02-29 12:34:56+00'
timestamptz '1900-01-01 00:00:00+00'
RESET TimeZone
'3' * interval '1 day'
interval '1 day' * '1.5'
interval '1 day' / '2'
interval '1 day' + '2 hours'
now() - '2' * interval '1 second' < now()
