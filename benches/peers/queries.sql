-- A question is a line "-- NAME: what is asked", followed by statements, each behind the engines that it is for:
-- "-- for ENGINE, …". A word behind an engine names the form; the best form of each counts.
-- "-- columns …" are what has to be decoded of the spans.

-- Q1: errors by the deployment before them
-- columns service_name, env, start_ns, status_code
-- for duckdb
select d.deploy_id, count(*) n, count(*) filter (s.status_code = 'ERROR') errors
from spans s asof join deploys d on s.service_name = d.service_name and s.env = d.env and s.start_ns >= d.start_ns
group by 1 order by 1
-- for chdb
select d.deploy_id, count() n, countIf(s.status_code = 'ERROR') errors
from spans s asof join deploys d on s.service_name = d.service_name and s.env = d.env and s.start_ns >= d.start_ns
group by d.deploy_id order by d.deploy_id
-- for ascribe
select d.deploy_id, count(*) n, count(*) filter (where s.status_code = 'ERROR') errors
from spans s asof inner join deploys d match_condition (s.start_ns >= d.start_ns)
on s.service_name = d.service_name and s.env = d.env
group by 1 order by 1

-- Q2: requests and errors half an hour before and after deployments to production
-- columns service_name, env, kind, start_ns, status_code
-- for duckdb, ascribe
select d.deploy_id, count(*) filter (where s.start_ns < d.start_ns) n0, count(*) filter (where s.start_ns >= d.start_ns) n1,
count(*) filter (where s.start_ns < d.start_ns and s.status_code = 'ERROR') e0,
count(*) filter (where s.start_ns >= d.start_ns and s.status_code = 'ERROR') e1
from spans s join deploys d on s.service_name = d.service_name and s.env = d.env
and s.start_ns >= d.start_ns - 1800000000000 and s.start_ns < d.start_ns + 1800000000000
where s.kind = 'SERVER' and d.env = 'prod' group by 1 order by 1
-- for chdb
select d.deploy_id, countIf(s.start_ns < d.start_ns) n0, countIf(s.start_ns >= d.start_ns) n1,
countIf(s.start_ns < d.start_ns and s.status_code = 'ERROR') e0, countIf(s.start_ns >= d.start_ns and s.status_code = 'ERROR') e1
from spans s join (select deploy_id, service_name, env, start_ns, arrayJoin([intDiv(start_ns, 1800000000000) - 1,
intDiv(start_ns, 1800000000000), intDiv(start_ns, 1800000000000) + 1]) half from deploys where env = 'prod') d
on s.service_name = d.service_name and s.env = d.env and intDiv(s.start_ns, 1800000000000) = d.half
where s.kind = 'SERVER' and s.start_ns >= d.start_ns - 1800000000000 and s.start_ns < d.start_ns + 1800000000000
group by d.deploy_id order by d.deploy_id

-- Q3: versions against each other
-- columns service_name, env, kind, service_version, status_code, duration_ns
-- for duckdb, ascribe
select service_name, env, service_version, count(*) n, count(*) filter (where status_code = 'ERROR') errors,
sum(duration_ns) total, min(start_ns) since
from spans where kind = 'SERVER' group by 1, 2, 3 order by 1, 2, 3
-- for chdb
select service_name, env, service_version, count() n, countIf(status_code = 'ERROR') errors,
sum(duration_ns) total, min(start_ns) since
from spans where kind = 'SERVER' group by 1, 2, 3 order by 1, 2, 3

-- Q4: one trace by its id
-- columns trace_id
-- for duckdb, chdb
select hex(span_id) id, service_name, start_ns, duration_ns from spans where trace_id = unhex('{trace}') order by start_ns, id
-- for ascribe
select upper(encode(span_id, 'hex')) id, service_name, start_ns, duration_ns from spans
where trace_id = arrow_cast(X'{trace}', 'FixedSizeBinary(16)') order by start_ns, id

-- Q7: spans whose parent is missing
-- columns trace_id, span_id, parent_span_id, service_name
-- for duckdb, ascribe
select c.service_name, count(*) n, count(*) filter (where c.parent_span_id is not null and p.span_id is null) orphans
from spans c left join (select trace_id, span_id from spans) p on c.trace_id = p.trace_id and c.parent_span_id = p.span_id
group by 1 order by 1
-- for chdb
select c.service_name, count() n, countIf(c.parent_span_id is not null and p.here = 0) orphans
from spans c left join (select trace_id, span_id, 1 here from spans) p
on c.trace_id = p.trace_id and c.parent_span_id = p.span_id group by c.service_name order by c.service_name

-- Q8: who calls whom, and errors that spread
-- columns trace_id, span_id, parent_span_id, service_name, kind, status_code, duration_ns
-- for duckdb, ascribe
select p.service_name caller, c.service_name callee, count(*) calls, count(*) filter (where c.status_code = 'ERROR') errors,
count(*) filter (where c.status_code = 'ERROR' and p.status_code = 'ERROR') spread, sum(c.duration_ns) total
from spans c join spans p on c.trace_id = p.trace_id and c.parent_span_id = p.span_id
where c.kind = 'INTERNAL' and p.kind = 'CLIENT' group by 1, 2 order by 1, 2
-- for chdb
select p.service_name caller, c.service_name callee, count() calls, countIf(c.status_code = 'ERROR') errors,
countIf(c.status_code = 'ERROR' and p.status_code = 'ERROR') spread, sum(c.duration_ns) total
from spans c join spans p on c.trace_id = p.trace_id and c.parent_span_id = p.span_id
where c.kind = 'INTERNAL' and p.kind = 'CLIENT' group by caller, callee order by caller, callee

-- Q9: cost by team and day, shared cost by usage, ownership of the hour
-- columns service_name, env, kind, start_ns, duration_ns
-- for duckdb, ascribe
with used as (select service_name, start_ns {div} 3600000000000 as hour, cast(sum(duration_ns) as double) used from spans
where kind = 'SERVER' and env = 'prod' group by 1, 2),
shares as (select u.service_name, u.hour, u.used / sum(u.used) over (partition by u.hour) * c.cost as cost
from used u join cost c on c.hour = u.hour and c.service_name is null
union all select service_name, hour, cost from cost where service_name is not null)
select o.team, s.hour {div} 24 as day, round(sum(s.cost), 3) as cost from shares s join ownership o on s.service_name = o.service_name
and s.hour * 3600000000000 >= o.valid_from_ns and (s.hour * 3600000000000 < o.valid_to_ns or o.valid_to_ns is null)
group by 1, 2 order by 1, 2
-- for chdb
with used as (select service_name, intDiv(start_ns, 3600000000000) hour, toFloat64(sum(duration_ns)) used from spans
where kind = 'SERVER' and env = 'prod' group by service_name, hour),
shares as (select u.service_name service_name, u.hour hour, u.used / sum(u.used) over (partition by u.hour) * c.cost cost
from used u join (select hour, cost from cost where service_name is null) c on c.hour = u.hour
union all select service_name, hour, cost from cost where service_name is not null)
select o.team, intDiv(s.hour, 24) day, round(sum(s.cost), 3) cost from shares s join ownership o on s.service_name = o.service_name
where s.hour * 3600000000000 >= o.valid_from_ns and (s.hour * 3600000000000 < o.valid_to_ns or o.valid_to_ns is null)
group by o.team, day order by o.team, day

-- Q10: what happened in whose session
-- columns principal, start_ns, status_code
-- for duckdb, ascribe plain
select i.actor, count(distinct i.session_name) sessions, count(*) n, count(*) filter (where s.status_code = 'ERROR') errors
from spans s join sessions i on s.principal = i.principal and s.start_ns >= i.begin_ns and s.start_ns < i.end_ns
group by 1 order by 1
-- for duckdb bucketed
with i as (select *, unnest(range(begin_ns {div} 3600000000000, end_ns {div} 3600000000000 + 1)) as hour from sessions)
select i.actor, count(distinct i.session_name) sessions, count(*) n, count(*) filter (where s.status_code = 'ERROR') errors
from spans s join i on s.principal = i.principal and s.start_ns {div} 3600000000000 = i.hour
and s.start_ns >= i.begin_ns and s.start_ns < i.end_ns group by 1 order by 1
-- for chdb bucketed
with i as (select session_name, actor, principal, begin_ns, end_ns,
arrayJoin(range(toUInt32(intDiv(begin_ns, 3600000000000)), toUInt32(intDiv(end_ns, 3600000000000) + 1))) hour from sessions)
select i.actor, uniqExact(i.session_name) sessions, count() n, countIf(s.status_code = 'ERROR') errors
from spans s join i on s.principal = i.principal and toUInt32(intDiv(s.start_ns, 3600000000000)) = i.hour
where s.start_ns >= i.begin_ns and s.start_ns < i.end_ns group by i.actor order by i.actor

-- Q11: medians of services by five minutes
-- columns service_name, start_ns, duration_ns
-- for duckdb
select service_name, start_ns {div} 300000000000 slot, count(*) n, quantile_cont(duration_ns, 0.5) half from spans group by 1, 2 order by 1, 2
-- for chdb
select service_name, intDiv(start_ns, 300000000000) slot, count() n, quantileExactInclusive(0.5)(duration_ns) half from spans
group by service_name, slot order by service_name, slot
-- for ascribe
select service_name, start_ns {div} 300000000000 as slot, count(*) n, percentile_cont(0.5) within group (order by duration_ns) half
from spans group by 1, 2 order by 1, 2
