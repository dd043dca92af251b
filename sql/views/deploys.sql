-- Deploys and rollbacks: the changes that put another version of a service to work, one row each however many of their
-- states were reported; the latest state says how it went. duration is the time from the beginning of the change to its end.
SELECT
    change_id,
    min(kind) AS kind,
    service_name,
    min(environment) AS environment,
    min(version) AS version,
    min(previous_version) AS previous_version,
    min(revision) AS revision,
    min(repository) AS repository,
    min(artifact_id) AS artifact_id,
    min(pipeline_run_id) AS pipeline_run_id,
    min(actor) AS actor,
    last_value(status ORDER BY coalesce(finished_at, started_at) NULLS FIRST, finished_at NULLS FIRST) AS status,
    min(started_at) AS started_at,
    max(finished_at) AS finished_at,
    max(finished_at) - min(started_at) AS duration,
    min(ref_url) AS ref_url,
    min(title) AS title,
    last_value(attributes ORDER BY coalesce(finished_at, started_at) NULLS FIRST, finished_at NULLS FIRST) AS attributes
FROM changes
WHERE kind IN ('deploy', 'rollback')
GROUP BY change_id, service_name
