//! A statement means the same whoever asks: over the wire, with the library, by the command line, which is the library.

use ascribe::Database;
use ascribe::dialect::encode::Style;
use ascribe::session::{self, Answer, Statement};
use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::execution::context::SessionContext;
use futures::TryStreamExt;

use super::pgwire::{Fixture, code, simple};

async fn library() -> (tempfile::TempDir, SessionContext) {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(&folder.path().display().to_string()).await.unwrap();
    (folder, database.new_session().unwrap())
}

/// What a session answers: rows as text, or the tag.
async fn asked(session: &SessionContext, sql: &str) -> Result<Vec<Vec<String>>, String> {
    let failed = |error: ascribe::error::Error| error.sqlstate().to_owned();
    let stream = match session::answer_text(session, sql).await.map_err(failed)? {
        Answer::Done(tag, _) => return Ok(vec![vec![tag]]),
        answer => answer.stream(),
    };
    let batches: Vec<RecordBatch> =
        stream.try_collect().await.map_err(|error| ascribe::error::Error::from(error).sqlstate().to_owned())?;
    let style: Style = session::style(session);
    let mut rows = Vec::new();
    for batch in &batches {
        let texts = style.row_texts(batch).unwrap();
        let shown = |cell: Option<String>| cell.unwrap_or_else(|| "NULL".to_owned());
        rows.extend(texts.into_iter().map(|row| row.into_iter().map(shown).collect::<Vec<_>>()));
    }
    Ok(rows)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_wire_refuses_the_library_refuses() {
    let fixture = Fixture::start().await;
    let client = fixture.connect().await;
    let (_folder, session) = library().await;
    for (sql, expected) in [
        ("DROP TABLE spans", "42501"),
        ("DROP TABLE deploys", "42809"),
        ("COMMENT ON TABLE spans IS 'x'", "42501"),
        ("CREATE TABLE t (a int)", "0A000"),
        ("CREATE SCHEMA s", "0A000"),
        ("DROP SCHEMA public", "0A000"),
        ("DROP FUNCTION now", "0A000"),
        ("TRUNCATE spans", "0A000"),
        ("DELETE FROM spans", "0A000"),
        ("UPDATE spans SET span_id = 'x'", "0A000"),
        ("ALTER TABLE spans ADD COLUMN x int", "0A000"),
        ("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION 's9://bucket/file.csv'", "22023"),
        ("CREATE EXTERNAL TABLE t STORED AS AVRO LOCATION '/'", "0A000"),
        ("CREATE EXTERNAL TABLE t LOCATION '/'", "42601"),
        ("CREATE EXTERNAL TABLE spans STORED AS CSV LOCATION '/'", "42P07"),
        ("COPY spans TO '/tmp/x'", "0A000"),
        ("SELECT 1 INTO t", "0A000"),
        ("DROP VIEW deploys", "42501"),
        ("DROP VIEW spans", "42809"),
        ("DROP VIEW absent", "42P01"),
        ("CREATE VIEW deploys AS SELECT 1", "42P07"),
        ("CREATE OR REPLACE VIEW deploys AS SELECT 1", "42P07"),
        // Where no relation is called so, a column that is does not stand for one.
        ("SELECT x.nothing FROM costs k", "42P01"),
        ("SELECT (SELECT count(*) FROM costs k WHERE k.sku_id = x.sku_id) FROM costs x", "42P01"),
        ("SELECT * FROM span_tree('2026-03-17', now() + 5)", "42883"),
        ("SELECT * FROM span_tree('2026-03-17', max(now()))", "42883"),
        ("SELECT owner_of('service', 'b')", "42883"),
        ("SHOW nothing", "42704"),
        ("SET TIME ZONE 'Mars/Base'", "22023"),
        ("DECLARE c CURSOR FOR SELECT 1", "25P01"),
        ("FETCH ALL FROM c", "34000"),
        ("EXECUTE absent", "26000"),
        ("SAVEPOINT a", "25P01"),
        ("INSERT INTO incidents (incident_id) VALUES ('a', 'b')", "42601"),
        ("SELECT repeat('a', 2000000000)", "54000"),
    ] {
        let wire = client.simple_query(sql).await.map_err(|error| code(&error));
        assert_eq!(wire.err().as_deref(), Some(expected), "{sql} over the wire");
        assert_eq!(asked(&session, sql).await.err().as_deref(), Some(expected), "{sql} with the library");
    }
    // Nothing of it has happened.
    assert_eq!(asked(&session, "SELECT count(*) FROM spans").await.unwrap(), [["0"]]);
    assert_eq!(simple(&client, "SELECT count(*) FROM deploys").await, [["0"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_are_found_by_the_names_of_their_schemas() {
    let (_folder, session) = library().await;
    for (sql, expected) in [
        ("SELECT public.wilson_low(5, 10) = wilson_low(5, 10), pg_catalog.lower('A')", vec!["t", "a"]),
        (
            "SELECT PUBLIC.Error_Rate(s, 1.0), pg_catalog.count(*) FROM (VALUES ('OK'), ('ERROR')) AS v(s)",
            vec!["0.5", "2"],
        ),
        (
            "SELECT count(*) FROM public.span_tree('2026-03-01', '2026-03-02') WHERE public.owner_of('service', 'b', now()) IS NULL",
            vec!["0"],
        ),
        ("SELECT public.wilson_low(5, 10) = 0 FROM pg_class WHERE relname = 'spans'", vec!["f"]),
    ] {
        assert_eq!(asked(&session, sql).await.unwrap(), [expected], "{sql}");
    }
    assert_eq!(asked(&session, "SELECT other.lower('A')").await.unwrap_err(), "42883");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_the_library_has_settings_transactions_and_cursors() {
    let (_folder, session) = library().await;
    let ask = |sql: &'static str| asked(&session, sql);
    assert_eq!(ask("SET TIME ZONE 'Europe/Berlin'").await.unwrap(), [["SET"]]);
    assert_eq!(ask("SHOW TimeZone").await.unwrap(), [["Europe/Berlin"]]);
    assert_eq!(ask("SELECT timestamptz '2026-07-01 12:00'").await.unwrap(), [["2026-07-01 12:00:00+02"]]);
    assert_eq!(ask("BEGIN").await.unwrap(), [["BEGIN"]]);
    assert_eq!(ask("SET LOCAL TimeZone = 'UTC'").await.unwrap(), [["SET"]]);
    assert_eq!(ask("INSERT INTO incidents VALUES ('a')").await.unwrap_err(), "0A000");
    assert_eq!(ask("SELECT 1").await.unwrap_err(), "25P02");
    assert_eq!(ask("COMMIT").await.unwrap(), [["ROLLBACK"]]);
    assert_eq!(ask("SHOW TimeZone").await.unwrap(), [["Europe/Berlin"]]);
    assert_eq!(ask("BEGIN READ ONLY").await.unwrap(), [["BEGIN"]]);
    assert_eq!(
        ask("DECLARE c CURSOR FOR SELECT g FROM generate_series(1, 5) AS s(g)").await.unwrap(),
        [["DECLARE CURSOR"]]
    );
    assert_eq!(ask("FETCH 2 FROM c").await.unwrap(), [["1"], ["2"]]);
    assert_eq!(ask("MOVE 1 FROM c").await.unwrap(), [["MOVE 1"]]);
    assert_eq!(ask("FETCH ALL FROM c").await.unwrap(), [["4"], ["5"]]);
    assert_eq!(ask("COMMIT").await.unwrap(), [["COMMIT"]]);
    assert_eq!(ask("FETCH ALL FROM c").await.unwrap_err(), "34000");
    assert_eq!(ask("PREPARE p(int) AS SELECT $1 + 1").await.unwrap(), [["PREPARE"]]);
    assert_eq!(ask("EXECUTE p(41)").await.unwrap(), [["42"]]);
    assert_eq!(ask("EXECUTE p").await.unwrap_err(), "42601");
    assert_eq!(ask("PREPARE exact AS SELECT $1::numeric").await.unwrap(), [["PREPARE"]]);
    assert_eq!(ask("EXECUTE exact('1.50')").await.unwrap(), [["1.50"]]);
    assert_eq!(ask("EXECUTE exact(3.125)").await.unwrap(), [["3.125"]]);
    assert_eq!(ask("SET statement_timeout = '100ms'").await.unwrap(), [["SET"]]);
    let long = "SELECT count(a.g + b.g) FROM generate_series(1, 1000000) AS a(g), generate_series(1, 1000000) AS b(g)";
    assert_eq!(ask(long).await.unwrap_err(), "57014");
    assert_eq!(ask("RESET ALL").await.unwrap(), [["RESET"]]);
    assert_eq!(ask("SHOW TimeZone").await.unwrap(), [["UTC"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_ends_with_the_savepoint_that_it_is_inside_of() {
    let fixture = Fixture::start().await;
    let client = fixture.connect().await;
    let (_folder, session) = library().await;
    for (sql, expected) in [
        ("BEGIN", None),
        ("DECLARE before CURSOR FOR SELECT g FROM generate_series(1, 3) AS s(g)", None),
        ("SAVEPOINT s", None),
        ("DECLARE inside CURSOR FOR SELECT 1", None),
        ("DECLARE held CURSOR WITH HOLD FOR SELECT 1", None),
        ("ROLLBACK TO s", None),
        ("FETCH 1 FROM before", None),
        ("FETCH 1 FROM inside", Some("34000")),
        ("ROLLBACK TO s", None),
        ("FETCH 1 FROM held", Some("34000")),
        ("ROLLBACK TO s", None),
        ("SAVEPOINT t", None),
        ("DECLARE kept CURSOR WITH HOLD FOR SELECT g FROM generate_series(1, 9) AS s(g)", None),
        ("RELEASE t", None),
        ("FETCH 1 FROM kept", None),
        ("SAVEPOINT u", None),
        ("ROLLBACK TO u", None),
        ("FETCH 1 FROM kept", None),
        ("COMMIT", None),
        ("BEGIN", None),
        ("SAVEPOINT s", None),
        ("ROLLBACK TO s", None),
        ("FETCH 1 FROM kept", None),
        ("COMMIT", None),
        ("FETCH 1 FROM before", Some("34000")),
    ] {
        let wire = client.simple_query(sql).await.map_err(|error| code(&error));
        assert_eq!(wire.err().as_deref(), expected, "{sql} over the wire");
        assert_eq!(asked(&session, sql).await.err().as_deref(), expected, "{sql} with the library");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_copied_without_a_server() {
    let (_folder, session) = library().await;
    let statement = Statement::parse("COPY incidents (incident_id, started_at, labels) FROM STDIN").unwrap().remove(0);
    assert!(statement.takes_rows());
    let rows = "a\t2026-03-17 10:30\t{\"k\": \"v\"}\nb\t\\N\t\\N\n";
    let written: Vec<RecordBatch> =
        session::copied(&session, statement, rows).await.unwrap().stream().try_collect().await.unwrap();
    assert_eq!(written[0].column(0).as_primitive::<datafusion::arrow::datatypes::UInt64Type>().value(0), 2);
    let lines = asked(
        &session,
        "COPY (SELECT incident_id, started_at, labels FROM incidents ORDER BY 1) TO STDOUT WITH (FORMAT csv, HEADER)",
    );
    let lines = lines.await.unwrap().concat().concat();
    assert_eq!(lines, "incident_id,started_at,labels\na,2026-03-17 10:30:00+00,\"{\"\"k\"\": \"\"v\"\"}\"\nb,,\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_information_schema_has_the_types_of_postgresql() {
    let (_folder, session) = library().await;
    let sql =
        "SELECT column_name, data_type, udt_name, numeric_precision, is_nullable, column_default, ordinal_position > 0
        FROM information_schema.columns WHERE table_name = 'costs'
        AND column_name IN ('billed_cost', 'charge_period_start', 'tags', 'billing_account_id') ORDER BY column_name";
    assert_eq!(
        asked(&session, sql).await.unwrap(),
        [
            ["billed_cost", "numeric", "numeric", "38", "YES", "NULL", "t"],
            ["billing_account_id", "text", "text", "NULL", "YES", "NULL", "t"],
            ["charge_period_start", "timestamp with time zone", "timestamptz", "NULL", "YES", "NULL", "t"],
            ["tags", "jsonb", "jsonb", "NULL", "YES", "NULL", "t"],
        ]
    );
    let arrow =
        "SELECT count(*) FROM information_schema.columns c LEFT JOIN pg_catalog.pg_type t ON t.typname = c.udt_name
        WHERE t.oid IS NULL OR c.data_type LIKE '%(%'";
    assert_eq!(asked(&session, arrow).await.unwrap(), [["0"]]);
    let arrays = "SELECT DISTINCT data_type FROM information_schema.columns WHERE udt_name LIKE '\\_%'";
    assert_eq!(asked(&session, arrays).await.unwrap(), [["ARRAY"]]);
    let kinds = "SELECT DISTINCT table_type FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1";
    assert_eq!(asked(&session, kinds).await.unwrap(), [["BASE TABLE"], ["VIEW"]]);
}
