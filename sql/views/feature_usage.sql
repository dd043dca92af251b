-- Evaluations of feature flags, one row each: the events feature_flag.evaluation of spans and of logs (and the span
-- events named feature_flag of earlier semantic conventions).
SELECT
    to_timestamp_micros(event['time_unix_nano'] / 1000) AT TIME ZONE 'UTC' AS time,
    event['attributes']['feature_flag.key'] AS flag,
    coalesce(
        event['attributes']['feature_flag.result.variant'],
        event['attributes']['feature_flag.variant'],
        event['attributes']['feature_flag.result.value']
    ) AS variant,
    event['attributes']['feature_flag.result.reason'] AS reason,
    coalesce(
        event['attributes']['feature_flag.provider.name'], event['attributes']['feature_flag.provider_name']
    ) AS provider_name,
    event['attributes']['feature_flag.context.id'] AS context_id,
    tenant_id, user_id, service_name, service_version, environment, trace_id, span_id, adjusted_count,
    'span' AS reported_by
FROM (
    SELECT
        unnest(events) AS event, tenant_id, user_id, service_name, service_version, environment, trace_id, span_id,
        adjusted_count
    FROM spans
) AS evaluations
WHERE event['name'] IN ('feature_flag.evaluation', 'feature_flag')
UNION ALL
SELECT
    time,
    attributes['feature_flag.key'] AS flag,
    coalesce(
        attributes['feature_flag.result.variant'],
        attributes['feature_flag.variant'],
        attributes['feature_flag.result.value']
    ) AS variant,
    attributes['feature_flag.result.reason'] AS reason,
    coalesce(attributes['feature_flag.provider.name'], attributes['feature_flag.provider_name']) AS provider_name,
    attributes['feature_flag.context.id'] AS context_id,
    tenant_id, attributes['user.id'] AS user_id, service_name, service_version, environment, trace_id, span_id,
    CAST(NULL AS double) AS adjusted_count, 'log' AS reported_by
FROM logs
WHERE event_name = 'feature_flag.evaluation'
