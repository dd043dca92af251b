-- Deploys and rollbacks: the changes that put another version of a service to work. duration is the time from the
-- beginning of the change to its end.
SELECT
    change_id, kind, service_name, environment, version, previous_version, revision, repository, artifact_id,
    pipeline_run_id, actor, status, started_at, finished_at, finished_at - started_at AS duration, ref_url, title, attributes
FROM changes
WHERE kind IN ('deploy', 'rollback')
