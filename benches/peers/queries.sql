-- A question is a line "-- NAME: what is asked", followed by statements, each behind the engines that it is for:
-- "-- for ENGINE, …". A word behind an engine names the form; the best form of each counts.
-- "-- columns …" are what has to be decoded of the spans. "-- not compared: …" says why the answers differ.

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

-- Q5: time of services that is their own
-- columns trace_id, span_id, parent_span_id, service_name, kind, start_ns, duration_ns
-- for duckdb
with pairs as (select p.service_name, c.trace_id, c.parent_span_id, greatest(c.start_ns, p.start_ns) b,
least(c.start_ns + c.duration_ns, p.start_ns + p.duration_ns) e
from spans c join spans p on c.trace_id = p.trace_id and c.parent_span_id = p.span_id),
seen as (select service_name, b, e,
max(e) over (partition by trace_id, parent_span_id order by b, e rows between unbounded preceding and 1 preceding) before
from pairs where e > b),
covered as (select service_name, sum(greatest(0, e - greatest(b, coalesce(before, b)))) covered from seen group by 1)
select a.service_name, a.n, a.total, a.total - coalesce(covered, 0) own
from (select service_name, count(*) n, sum(duration_ns) total from spans group by 1) a left join covered using (service_name)
order by 1
-- for chdb joined
with covered as (select service, sum(part) covered from (select any(p.service_name) service,
intervalLengthSum(greatest(c.start_ns, p.start_ns), least(c.start_ns + c.duration_ns, p.start_ns + p.duration_ns)) part
from spans c join spans p on c.trace_id = p.trace_id and c.parent_span_id = p.span_id
where least(c.start_ns + c.duration_ns, p.start_ns + p.duration_ns) > greatest(c.start_ns, p.start_ns)
group by c.trace_id, c.parent_span_id) group by service)
select a.service_name, a.n, a.total, toInt64(a.total - covered.covered) own
from (select service_name, count() n, sum(duration_ns) total from spans group by service_name) a
left join covered on a.service_name = covered.service order by a.service_name
-- for chdb arrays
with traces as (select groupArray((span_id, ifNull(parent_span_id, toFixedString('', 8)), toInt64(start_ns),
toInt64(start_ns + duration_ns), service_name)) a from spans group by trace_id)
select service, count() n, toInt64(sum(length)) total, toInt64(sum(length) - sum(covered)) own from (
select x.5 service, x.4 - x.3 length, length(children) = 0 ? 0 : arrayReduce('intervalLengthSum',
arrayMap(c -> greatest(c.3, x.3), children), arrayMap(c -> least(c.4, x.4), children)) covered
from (select arrayJoin(a) x, arrayFilter(c -> c.2 = x.1 and least(c.4, x.4) > greatest(c.3, x.3), a) children from traces))
group by service order by service
-- for ascribe
select service_name, count(*) n, sum(duration_nano) total, sum(self_time_nano) own
from span_tree((select trace_id, span_id, parent_span_id, service_name, kind as span_kind,
start_ns as start_unix_nano, duration_ns as duration_nano from spans))
group by 1 order by 1

-- Q6: critical paths by service
-- columns trace_id, span_id, parent_span_id, service_name, kind, start_ns, duration_ns
-- not compared: SQL follows the last child to end only; ascribe goes back to whatever was waited for before it
-- for duckdb
with recursive last as materialized (select trace_id, parent_span_id parent, arg_max(span_id, start_ns + duration_ns) id,
arg_max(service_name, start_ns + duration_ns) service, arg_max(duration_ns, start_ns + duration_ns) length
from spans where parent_span_id is not null group by 1, 2),
path as (select trace_id, span_id id, service_name service, duration_ns length, null::varchar above
from spans where parent_span_id is null
union all select path.trace_id, last.id, last.service, last.length, path.service
from path join last on path.trace_id = last.trace_id and path.id = last.parent)
select service, sum(part)::bigint own from (select service, length part from path
union all select above, -length from path where above is not null) group by 1 order by 1
-- for chdb
with recursive last as (select assumeNotNull(trace_id) trace_id, assumeNotNull(parent_span_id) parent,
argMax(assumeNotNull(span_id), start_ns + duration_ns) id, argMax(assumeNotNull(service_name), start_ns + duration_ns) service,
argMax(assumeNotNull(duration_ns), start_ns + duration_ns) length
from spans where parent_span_id is not null group by trace_id, parent),
path as (select assumeNotNull(trace_id) trace_id, assumeNotNull(span_id) id, assumeNotNull(service_name) service,
assumeNotNull(duration_ns) length, '' above from spans where parent_span_id is null
union all select path.trace_id, last.id, last.service, last.length, path.service above
from last join path on path.trace_id = last.trace_id and path.id = last.parent)
select service, sum(part) own from (select service, length part from path
union all select above service, -length part from path where above != '') group by service order by service
-- for ascribe
select service_name, sum(critical_path_nano) own
from critical_path_stats((select trace_id, span_id, parent_span_id, service_name, kind as span_kind,
start_ns as start_unix_nano, duration_ns as duration_nano from spans))
group by 1 order by 1

-- Q7: spans whose parent is missing
-- columns trace_id, span_id, parent_span_id, service_name, kind, start_ns, duration_ns
-- for duckdb, ascribe joined
select c.service_name, count(*) n, count(*) filter (where c.parent_span_id is not null and p.span_id is null) orphans
from spans c left join (select trace_id, span_id from spans) p on c.trace_id = p.trace_id and c.parent_span_id = p.span_id
group by 1 order by 1
-- for chdb
select c.service_name, count() n, countIf(c.parent_span_id is not null and p.here = 0) orphans
from spans c left join (select trace_id, span_id, 1 here from spans) p
on c.trace_id = p.trace_id and c.parent_span_id = p.span_id group by c.service_name order by c.service_name
-- for ascribe
select service_name, count(*) n, count(*) filter (where is_orphan) orphans
from span_tree((select trace_id, span_id, parent_span_id, service_name, kind as span_kind,
start_ns as start_unix_nano, duration_ns as duration_nano from spans))
group by 1 order by 1

-- Q8: who calls whom
-- columns trace_id, span_id, parent_span_id, service_name, kind, start_ns, duration_ns
-- for duckdb, ascribe joined
select p.service_name caller, c.service_name callee, count(*) calls
from spans c join spans p on c.trace_id = p.trace_id and c.parent_span_id = p.span_id
where c.service_name <> p.service_name or (c.kind = 'SERVER' and p.kind = 'CLIENT') group by 1, 2 order by 1, 2
-- for chdb
select p.service_name caller, c.service_name callee, count() calls
from spans c join spans p on c.trace_id = p.trace_id and c.parent_span_id = p.span_id
where c.service_name <> p.service_name or (c.kind = 'SERVER' and p.kind = 'CLIENT')
group by caller, callee order by caller, callee
-- for ascribe
select caller, callee, calls
from service_dependencies((select trace_id, span_id, parent_span_id, service_name, kind as span_kind,
start_ns as start_unix_nano, duration_ns as duration_nano from spans))
where not is_external order by 1, 2

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

-- Q11: percentiles of services by five minutes
-- columns service_name, start_ns, duration_ns
-- for duckdb
select service_name, slot, n, q[1], q[2], q[3] from (select service_name, start_ns {div} 300000000000 slot, count(*) n,
quantile_cont(duration_ns, [0.5, 0.95, 0.99]) q from spans group by 1, 2) order by 1, 2
-- for chdb
select service_name, slot, n, q[1], q[2], q[3] from (select service_name, intDiv(start_ns, 300000000000) slot, count() n,
quantilesExactInclusive(0.5, 0.95, 0.99)(duration_ns) q from spans group by service_name, slot) order by service_name, slot
-- for ascribe
select service_name, start_ns {div} 300000000000 as slot, count(*) n, percentile_cont(0.5) within group (order by duration_ns),
percentile_cont(0.95) within group (order by duration_ns), percentile_cont(0.99) within group (order by duration_ns)
from spans group by 1, 2 order by 1, 2

-- Q11a: the same, approximately
-- columns service_name, start_ns, duration_ns
-- not compared: every engine has another sketch
-- for duckdb
select service_name, start_ns {div} 300000000000 slot, count(*) n, approx_quantile(duration_ns, [0.5, 0.95, 0.99]) q
from spans group by 1, 2
-- for chdb
select service_name, intDiv(start_ns, 300000000000) slot, count() n, quantilesTDigest(0.5, 0.95, 0.99)(duration_ns) q
from spans group by service_name, slot
-- for ascribe
select service_name, start_ns {div} 300000000000 as slot, count(*) n, approx_percentile_cont(duration_ns, 0.5),
approx_percentile_cont(duration_ns, 0.95), approx_percentile_cont(duration_ns, 0.99) from spans group by 1, 2

-- Q12: which deployment it was
-- columns service_name, start_ns
-- for duckdb, ascribe
with near as (select * from spans where start_ns >= 1773663600000000000 and start_ns < 1773672600000000000 and env = 'prod'),
counts as (select service_name, count(*) filter (where start_ns >= 1773670800000000000) n1, count(*) filter (where start_ns < 1773670800000000000) n0,
count(*) filter (where start_ns >= 1773670800000000000 and status_code = 'ERROR') e1, count(*) filter (where start_ns < 1773670800000000000 and status_code = 'ERROR') e0
from near where kind = 'SERVER' group by 1),
lift as (select service_name, cast(e1 as double precision) / greatest(n1, 1) - cast(e0 as double precision) / greatest(n0, 1) lift, n1 from counts),
victim as (select service_name v from lift order by lift * sqrt(cast(n1 as double precision)) desc, service_name limit 1),
edges as (select distinct p.service_name caller, c.service_name callee
from near c join near p on c.trace_id = p.trace_id and c.parent_span_id = p.span_id where c.kind = 'SERVER'),
candidates as (select deploy_id, service_name, start_ns from deploys
where env = 'prod' and start_ns >= 1773663600000000000 and start_ns < 1773672600000000000)
select c.deploy_id deploy, round(greatest(cast(0 as double precision), l.lift) * exp(-abs(cast(1773670800000000000 - c.start_ns as double precision)) / 1.8e12) * case when c.service_name = v.v then 2.0 when e.callee is not null then 1.5 else 1.0 end, 9) score
from candidates c cross join victim v left join lift l on c.service_name = l.service_name
left join edges e on e.caller = v.v and e.callee = c.service_name order by 2 desc, 1
-- for chdb
with near as (select * from spans where start_ns >= 1773663600000000000 and start_ns < 1773672600000000000 and env = 'prod'),
counts as (select service_name, countIf(start_ns >= 1773670800000000000) n1, countIf(start_ns < 1773670800000000000) n0,
countIf(start_ns >= 1773670800000000000 and status_code = 'ERROR') e1, countIf(start_ns < 1773670800000000000 and status_code = 'ERROR') e0
from near where kind = 'SERVER' group by service_name),
lift as (select service_name, toFloat64(e1) / greatest(n1, 1) - toFloat64(e0) / greatest(n0, 1) lift, n1 from counts),
victim as (select service_name v from lift order by lift * sqrt(toFloat64(n1)) desc, service_name limit 1),
edges as (select distinct p.service_name caller, c.service_name callee
from near c join near p on c.trace_id = p.trace_id and c.parent_span_id = p.span_id where c.kind = 'SERVER'),
candidates as (select deploy_id, service_name, start_ns from deploys
where env = 'prod' and start_ns >= 1773663600000000000 and start_ns < 1773672600000000000)
select c.deploy_id deploy, round(greatest(toFloat64(0), l.lift) * exp(-abs(toFloat64(1773670800000000000 - c.start_ns)) / 1.8e12) * multiIf(c.service_name = c.v, 2.0, e.callee != '', 1.5, 1.0), 9) score
from (select candidates.*, victim.v v from candidates cross join victim) c left join lift l on c.service_name = l.service_name
left join edges e on e.caller = c.v and e.callee = c.service_name order by 2 desc, 1
