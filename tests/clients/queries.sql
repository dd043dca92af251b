-- What every client asks of the demo's lake, besides the demo's own questions; matrix.py runs it.
-- A line `-- fact NAME: SQL` names a value, which the queries behind it use as {NAME}; `-- query NAME` begins a query.

-- fact incident: SELECT incident_id FROM incidents ORDER BY started_at LIMIT 1
-- fact service: SELECT service_name FROM incidents ORDER BY started_at LIMIT 1
-- fact start: SELECT min(start_time) FROM spans WHERE service_namespace = 'shop'
-- fact end: SELECT max(start_time) FROM spans WHERE service_namespace = 'shop'
-- fact t0: SELECT started_at FROM incidents ORDER BY started_at LIMIT 1
-- fact t1: SELECT resolved_at FROM incidents ORDER BY started_at LIMIT 1
-- fact failed: SELECT trace_id FROM spans WHERE status_code = 'ERROR' AND service_namespace = 'shop' GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1
-- fact event: SELECT event_id FROM iam_events WHERE event_name = 'UpdateService' ORDER BY event_time DESC, 1 LIMIT 1
-- fact change: SELECT cause_id FROM attribute_incident('{incident}') WHERE rank = 1
-- fact attribution: SELECT attribution_id FROM attribute_incident('{incident}') WHERE rank = 1

-- query span_tree
SELECT trace_id, span_id, depth, root_service, self_time_nano, critical_path_nano, is_orphan, clock_offset_nano
FROM span_tree('{start}', timestamptz '{start}' + interval '30 seconds')
-- query trace_tree
SELECT * FROM trace_tree(trace_id => '{failed}') ORDER BY seq
-- query critical_path
SELECT * FROM critical_path('{failed}') ORDER BY seq
-- query critical_path_stats
SELECT * FROM critical_path_stats('{start}', '{end}', service => '{service}')
-- query service_dependencies
SELECT * FROM service_dependencies('{start}', '{end}')
-- query error_origin
SELECT * FROM error_origin('{failed}')
-- query error_origins
SELECT service_name, error_type, reached_root, count(*) FROM error_origins('{start}', '{end}') GROUP BY 1, 2, 3
-- query allocate_cost
SELECT owner, billing_currency, method, sum(allocated_cost) AS cost, avg(ratio) AS ratio
FROM allocate_cost('default', '2026-03-01', '2026-04-01') GROUP BY 1, 2, 3
-- query allocate_cost_rows
SELECT * FROM allocate_cost(rule_set => 'by-demand', t0 => '2026-03-17', t1 => '2026-03-18', cost => 'effective_cost')
-- query allocation_check
SELECT * FROM allocation_check('default', '2026-03-17', '2026-03-18')
-- query assume_role_chain
SELECT * FROM assume_role_chain('{event}') ORDER BY hop
-- query access_attribution
SELECT * FROM access_attribution('2026-03-01', '2026-04-01')
-- query version_changes
SELECT * FROM version_changes('{start}', '{end}')
-- query recent_changes
SELECT * FROM recent_changes('{service}', '{end}', lookback => interval '2 hours', hops => 2)
-- query attribute_incident
SELECT * FROM attribute_incident('{incident}') ORDER BY rank
-- query incident_services
SELECT rank, service_name, owner, is_external, round(blame::numeric, 6) AS blame, onset, resource_metric FROM incident_services('{incident}') ORDER BY rank
-- query incident_visits
SELECT * FROM incident_visits('{incident}') WHERE phase = 'during' AND in_scope ORDER BY start_time, trace_id, span_id, service_name LIMIT 200
-- query attribute_incident_window
SELECT * FROM attribute_incident('{service}', '{t0}', '{t1}') ORDER BY rank
-- query evidence
SELECT * FROM evidence('{attribution}') ORDER BY seq
-- query deploy_impact
SELECT * FROM deploy_impact('{change}', before => interval '20 minutes', after => interval '5 minutes')
-- query owner_of
SELECT service_name, owner_of('service', service_name, timestamptz '{end}') AS owner, count(*) FROM spans GROUP BY 1, 2
-- query deploys
SELECT * FROM deploys
-- query focus
SELECT * FROM focus WHERE "ChargePeriodStart" = timestamptz '2026-03-17'
-- query feature_usage
SELECT * FROM feature_usage
-- query functions
SELECT * FROM system.functions
-- query tables
SELECT * FROM system.tables WHERE table_name NOT IN ('report_runs', 'audit')
