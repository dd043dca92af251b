-- What a real PostgreSQL has to hold so that psycopg2_*.py, odbc_test.py, pgcli_test.py and node_more.mjs pass against it, in a database
-- `ascribe`. They say what its clients rely on, and are to be tried there when they change.
CREATE TABLE IF NOT EXISTS changes (change_id text, kind text, service_name text, environment text, version text, previous_version text,
  revision text, repository text, artifact_id text, pipeline_run_id text, actor text, status text, started_at timestamptz,
  finished_at timestamptz, ref_url text, title text, attributes jsonb);
COMMENT ON TABLE changes IS 'Everything that somebody changed: deploys.';
TRUNCATE changes;
CREATE TABLE IF NOT EXISTS spans (trace_id text);
CREATE TABLE IF NOT EXISTS costs (cost_id text);
CREATE OR REPLACE FUNCTION deploy_impact(change_id text) RETURNS TABLE (metric text, before float8, after float8) LANGUAGE sql
  AS 'SELECT NULL::text, NULL::float8, NULL::float8';
