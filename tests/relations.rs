//! What users add to a lake: views for all, and tables that others write.

use std::path::Path;

use ascribe::Database;
use datafusion::parquet::arrow::ArrowWriter;

use crate::pgwire::{Fixture, one, simple};
use crate::rows;
use crate::security::{Guarded, refused};

async fn open(folder: &Path) -> Database {
    Database::open(&folder.display().to_string()).await.unwrap()
}

/// The SQLSTATE and the message of what is refused.
async fn wrong(database: &Database, sql: &str) -> (String, String) {
    let Err(error) = database.sql(sql).await else { panic!("not refused: {sql}") };
    let told = error.describe();
    (told.code.to_owned(), told.message)
}

async fn code(database: &Database, sql: &str) -> String {
    wrong(database, sql).await.0
}

fn put(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// The answer to a query as a Parquet file.
async fn put_parquet(database: &Database, folder: &Path, name: &str, sql: &str) {
    let batches = database.sql(sql).await.unwrap();
    put(folder, name, "");
    let file = std::fs::File::create(folder.join(name)).unwrap();
    let mut writer = ArrowWriter::try_new(file, batches[0].schema(), None).unwrap();
    for batch in &batches {
        writer.write(batch).unwrap();
    }
    writer.close().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_outlives_its_session_and_means_what_its_author_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path()).await;
    first.sql("INSERT INTO incidents (incident_id, severity) VALUES ('a', 'critical'), ('b', 'minor')").await.unwrap();
    first
        .sql("CREATE VIEW bad (id, half) AS SELECT incident_id, 7 / 2 FROM incidents WHERE severity = 'critical'")
        .await
        .unwrap();
    first.sql("CREATE VIEW counted AS SELECT count(*), 'x' || 1 AS t FROM public.bad").await.unwrap();
    let second = open(folder.path()).await;
    assert_eq!(rows(&second, "SELECT * FROM bad").await, ["a|3"]);
    assert_eq!(rows(&second, "SELECT count, t FROM counted").await, ["1|x1"]);
    // What is landed later is seen by it.
    second.sql("INSERT INTO incidents (incident_id, severity) VALUES ('c', 'critical')").await.unwrap();
    assert_eq!(rows(&first, "SELECT count FROM counted").await, ["2"]);

    assert_eq!(code(&second, "CREATE VIEW bad AS SELECT 1").await, "42P07");
    second.sql("CREATE OR REPLACE VIEW bad AS SELECT incident_id AS id FROM incidents").await.unwrap();
    assert_eq!(rows(&second, "SELECT count FROM counted").await, ["3"]);
    assert_eq!(code(&second, "CREATE OR REPLACE VIEW bad AS SELECT * FROM counted").await, "42P17");
    let kept = wrong(&second, "DROP VIEW bad").await;
    let message = "cannot drop view bad because other objects depend on it";
    assert_eq!((kept.0.as_str(), kept.1.as_str()), ("2BP01", message));
    second.sql("COMMENT ON VIEW counted IS 'how many'").await.unwrap();
    let told = "SELECT c.relname, d.description FROM pg_class c LEFT JOIN pg_description d ON d.objoid = c.oid AND d.objsubid = 0
        WHERE c.relname IN ('bad', 'counted') ORDER BY 1";
    assert_eq!(rows(&second, told).await, ["bad|", "counted|how many"]);
    let defined = "SELECT definition FROM pg_views WHERE viewname = 'bad'";
    assert_eq!(rows(&second, defined).await, ["SELECT incident_id AS id FROM incidents"]);
    second.sql("DROP VIEW bad CASCADE").await.unwrap();
    assert_eq!(code(&second, "SELECT * FROM counted").await, "42P01");
    assert_eq!(code(&open(folder.path()).await, "SELECT * FROM bad").await, "42P01");
    second.sql("DROP VIEW IF EXISTS bad").await.unwrap();
    assert_eq!(code(&second, "DROP VIEW bad").await, "42P01");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_temporary_view_is_nobody_elses() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (open(folder.path()).await, open(folder.path()).await);
    first.sql("CREATE TEMPORARY VIEW mine AS SELECT 1 AS x").await.unwrap();
    assert_eq!(rows(&first, "SELECT x FROM mine").await, ["1"]);
    assert_eq!(code(&second, "SELECT x FROM mine").await, "42P01");
    assert_eq!(code(&first, "CREATE VIEW mine AS SELECT 2 AS x").await, "42P07");
    first.sql("CREATE OR REPLACE TEMP VIEW mine AS SELECT 3 AS x").await.unwrap();
    assert_eq!(rows(&first, "SELECT x FROM mine").await, ["3"]);
    first.sql("DISCARD TEMP").await.unwrap();
    assert_eq!(code(&first, "SELECT x FROM mine").await, "42P01");
    first.sql("CREATE TEMP VIEW mine AS SELECT 4 AS x").await.unwrap();
    // In a transaction nothing is made that lasts, for ROLLBACK could not take it back.
    first.sql("BEGIN").await.unwrap();
    first.sql("DROP VIEW mine").await.unwrap();
    assert_eq!(code(&first, "CREATE VIEW lasting AS SELECT 1").await, "0A000");
    first.sql("ROLLBACK").await.unwrap();
    assert_eq!(code(&first, "SELECT x FROM mine").await, "42P01");
    for (sql, expected) in [
        ("CREATE VIEW twice AS SELECT 1 AS a, 2 AS a", "42701"),
        ("CREATE VIEW v (a, b) AS SELECT 1", "42601"),
        ("CREATE VIEW v AS SELECT no_such_column FROM spans", "42703"),
        ("CREATE VIEW v AS SELECT $1::int", "42P02"),
        ("CREATE VIEW other.v AS SELECT 1", "3F000"),
        ("CREATE VIEW system.v AS SELECT 1", "42501"),
        ("COMMENT ON VIEW v IS 'x'", "42P01"),
    ] {
        assert_eq!(code(&first, sql).await, expected, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comment_is_any_literal_of_text() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path()).await;
    database.sql("CREATE VIEW v AS SELECT 1 AS x").await.unwrap();
    let told = "SELECT obj_description('v'::regclass, 'pg_class')";
    for (literal, expected) in [
        ("$$it's $1$$", "it's $1"),
        ("$said$two\n$$lines$said$", "two\n$$lines"),
        (r"E'it\'s\ta tab'", "it's\ta tab"),
        ("'it''s'", "it's"),
        ("NULL", ""),
    ] {
        database.sql(&format!("COMMENT ON VIEW v IS {literal}")).await.unwrap();
        assert_eq!(rows(&database, told).await, [expected], "{literal}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_users_made_is_called_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path()).await;
    for sql in [
        "CREATE VIEW a AS SELECT 1 AS x",
        "COMMENT ON VIEW a IS 'one'",
        "CREATE VIEW reader AS SELECT x FROM a",
        "CREATE VIEW other AS SELECT 2 AS x",
    ] {
        first.sql(sql).await.unwrap();
    }
    let Err(error) = first.sql("ALTER VIEW a RENAME TO b").await else { panic!("what a view names was renamed") };
    let told = error.describe();
    assert_eq!((told.code, told.detail.as_deref()), ("2BP01", Some("view reader depends on view a")));
    assert_eq!(rows(&first, "SELECT x FROM reader").await, ["1"]);
    first.sql("DROP VIEW reader").await.unwrap();
    first.sql("ALTER VIEW a RENAME TO \"B c\"").await.unwrap();
    assert_eq!(rows(&first, "SELECT x FROM \"B c\"").await, ["1"]);
    let told = "SELECT description FROM pg_description d JOIN pg_class c ON c.oid = d.objoid WHERE relname = 'B c' AND objsubid = 0";
    assert_eq!(rows(&first, told).await, ["one"]);
    assert_eq!(code(&first, "SELECT x FROM a").await, "42P01");
    // Of a view ALTER TABLE does the same; what is not there may be.
    first.sql("ALTER TABLE public.\"B c\" RENAME TO b").await.unwrap();
    first.sql("ALTER VIEW IF EXISTS a RENAME TO c").await.unwrap();
    put(folder.path(), "files/a.csv", "tenant\nred\n");
    let path = folder.path().join("files/a.csv").display().to_string();
    first.sql(&format!("CREATE EXTERNAL TABLE bills STORED AS CSV LOCATION '{path}'")).await.unwrap();
    for (sql, expected) in [
        ("ALTER VIEW a RENAME TO c", "42P01"),
        ("ALTER VIEW bills RENAME TO c", "42809"),
        ("ALTER TABLE bills RENAME TO b", "42P07"),
        ("ALTER VIEW b RENAME TO other", "42P07"),
        ("ALTER VIEW b RENAME TO spans", "42P07"),
        ("ALTER VIEW deploys RENAME TO c", "42501"),
        ("ALTER TABLE spans RENAME TO c", "42501"),
        ("ALTER TABLE system.ingests RENAME TO c", "42501"),
        ("ALTER TABLE bills RENAME COLUMN tenant TO c", "0A000"),
    ] {
        assert_eq!(code(&first, sql).await, expected, "{sql}");
    }
    first.sql("ALTER TABLE bills RENAME TO charges").await.unwrap();
    assert_eq!(rows(&open(folder.path()).await, "SELECT tenant FROM charges").await, ["red"]);
    // A temporary view is renamed for the session, in a transaction as well.
    first.sql("CREATE TEMP VIEW mine AS SELECT 3 AS x").await.unwrap();
    first.sql("BEGIN").await.unwrap();
    first.sql("ALTER VIEW mine RENAME TO yours").await.unwrap();
    assert_eq!(rows(&first, "SELECT x FROM yours").await, ["3"]);
    assert_eq!(code(&first, "ALTER VIEW b RENAME TO c").await, "0A000");
    first.sql("ROLLBACK").await.unwrap();
    assert_eq!(code(&first, "ALTER VIEW yours RENAME TO b").await, "42P07");
}

#[tokio::test(flavor = "multi_thread")]
async fn privileges_policies_and_masks_go_with_a_new_name() {
    let (guarded, admin, ada) = Guarded::with_rows().await;
    put(guarded.folder.path(), "files/a.csv", "tenant,amount\nred,1\nblue,2\n");
    let path = guarded.folder.path().join("files/a.csv").display().to_string();
    let create = format!("CREATE EXTERNAL TABLE bills STORED AS CSV LOCATION '{path}'");
    simple(&admin, &create).await;
    simple(&admin, "GRANT SELECT ON bills TO ada").await;
    simple(&admin, "CREATE POLICY own ON bills USING (tenant = 'red')").await;
    simple(&admin, "SECURITY LABEL ON COLUMN bills.amount IS 'MASKED WITH NULL'").await;
    assert_eq!(simple(&ada, "SELECT tenant, amount FROM bills").await, [["red", "NULL"]]);
    assert_eq!(refused(&ada, "ALTER TABLE bills RENAME TO charges").await.0, "42501");
    simple(&admin, "ALTER TABLE bills RENAME TO charges").await;
    assert_eq!(simple(&ada, "SELECT tenant, amount FROM charges").await, [["red", "NULL"]]);
    // What is called so later has nothing of it.
    simple(&admin, &create).await;
    assert_eq!(refused(&ada, "SELECT tenant FROM bills").await.0, "42501");
    assert_eq!(one(&admin, "SELECT count(*) FROM bills").await, "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn views_of_views_end_somewhere() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path()).await;
    database.sql("CREATE VIEW v0 AS SELECT 1 AS x").await.unwrap();
    for at in 1..32 {
        database.sql(&format!("CREATE VIEW v{at} AS SELECT x + 1 AS x FROM v{}", at - 1)).await.unwrap();
    }
    assert_eq!(rows(&database, "SELECT x FROM v31").await, ["32"]);
    assert_eq!(code(&database, "CREATE VIEW v33 AS SELECT x FROM (SELECT x FROM v31) AS s, v32").await, "42P01");
    database.sql("CREATE VIEW v32 AS SELECT x FROM v31").await.unwrap();
    assert_eq!(code(&database, "SELECT x FROM v32").await, "54001");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_others_are_tables() {
    let folder = tempfile::tempdir().unwrap();
    let (lake, files) = (folder.path().join("lake"), folder.path().join("files"));
    let database = open(&lake).await;
    let at = |name: &str| files.join(name).display().to_string();
    let spans = |day: u32| {
        format!(
            "SELECT 't' || g AS trace, arrow_cast(g, 'Int64') AS took, timestamptz '2026-01-0{day} 12:00Z' AS at
             FROM generate_series(1, {day}) AS s(g)"
        )
    };
    put_parquet(&database, &files, "spans/day=2026-01-01/x.parquet", &spans(1)).await;
    put_parquet(&database, &files, "spans/day=2026-01-02/x.parquet", &spans(2)).await;
    database.sql(&format!("CREATE EXTERNAL TABLE plain STORED AS PARQUET LOCATION '{}'", at("spans"))).await.unwrap();
    let typed =
        format!("CREATE EXTERNAL TABLE theirs STORED AS PARQUET PARTITIONED BY (day DATE) LOCATION '{}'", at("spans"));
    database.sql(&typed).await.unwrap();
    let expected = [
        "t1|1|2026-01-01T12:00:00Z|2026-01-01",
        "t1|1|2026-01-02T12:00:00Z|2026-01-02",
        "t2|2|2026-01-02T12:00:00Z|2026-01-02",
    ];
    for name in ["plain", "theirs"] {
        assert_eq!(rows(&database, &format!("SELECT * FROM {name} ORDER BY day, trace")).await, expected, "{name}");
    }
    let other = open(&lake).await;
    assert_eq!(rows(&other, "SELECT count(*) FROM theirs WHERE day > '2026-01-01' AND took = 2").await, ["1"]);
    // The plan reads the one folder.
    let plan = rows(&other, "EXPLAIN SELECT took FROM theirs WHERE day = '2026-01-02'").await.join("\n");
    assert!(plan.contains("day=2026-01-02") && !plan.contains("day=2026-01-01"), "{plan}");
    // A file that comes later is read by the next statement.
    put_parquet(&database, &files, "spans/day=2026-01-03/y.parquet", &spans(3)).await;
    assert_eq!(rows(&other, "SELECT count(*), max(day) FROM theirs").await, ["6|2026-01-03"]);

    // A pattern is of what is not said by the folders' names.
    let pattern = |name: &str, at: &str| format!("CREATE EXTERNAL TABLE {name} STORED AS PARQUET LOCATION '{at}'");
    database.sql(&pattern("by_path", &at("spans/*.parquet"))).await.unwrap();
    assert_eq!(rows(&database, "SELECT count(*), min(day) FROM by_path").await, ["6|2026-01-01"]);
    let error = database.sql(&pattern("no", &at("spans/*/*.parquet"))).await.err().unwrap().describe();
    assert_eq!(error.code, "58P01");
    assert!(error.hint.unwrap().contains("leaves out folders called name=value"));

    put(&files, "csv/a.csv", "id;cost\n1;2.50\n2;\n");
    let csv = format!(
        "CREATE EXTERNAL TABLE bills (id text, cost numeric(10, 4)) STORED AS CSV OPTIONS ('format.delimiter' ';') LOCATION '{}'",
        at("csv")
    );
    database.sql(&csv).await.unwrap();
    assert_eq!(rows(&database, "SELECT id, cost FROM bills ORDER BY 1").await, ["1|2.5000", "2|"]);
    put(&files, "csv/b.csv", "id;cost\n3;much\n");
    assert_eq!(code(&database, "SELECT sum(cost) FROM bills").await, "22P02");
    put(&files, "json/a.json", "{\"a\": 1, \"b\": \"x\"}\n{\"a\": 2}\n");
    put(&files, "json/deep/b.json", "{\"a\": 3}\n");
    database.sql(&format!("CREATE EXTERNAL TABLE lines STORED AS JSON LOCATION '{}'", at("json"))).await.unwrap();
    assert_eq!(rows(&database, "SELECT a, b FROM lines ORDER BY a").await, ["1|x", "2|", "3|"]);

    for (sql, expected) in [
        (typed.clone(), "42P07"),
        ("INSERT INTO theirs VALUES ('x')".into(), "42809"),
        ("DROP VIEW theirs".into(), "42809"),
        (format!("CREATE EXTERNAL TABLE x STORED AS PARQUET LOCATION '{}'", at("csv")), "22023"),
        (format!("CREATE EXTERNAL TABLE x STORED AS PARQUET LOCATION '{}'", at("absent")), "58P01"),
        (format!("CREATE EXTERNAL TABLE x STORED AS PARQUET LOCATION '{}'", at("absent/*.parquet")), "58P01"),
        (format!("CREATE EXTERNAL TABLE x STORED AS PARQUET LOCATION '{}'", at("csv/a.csv")), "22023"),
        (format!("CREATE EXTERNAL TABLE x STORED AS DELTATABLE LOCATION '{}'", at("csv")), "58P01"),
        (format!("CREATE EXTERNAL TABLE x STORED AS CSV OPTIONS ('format.no' '1') LOCATION '{}'", at("csv")), "22023"),
        (format!("CREATE EXTERNAL TABLE x STORED AS CSV OPTIONS ('key' '1') LOCATION '{}'", at("csv")), "22023"),
        (format!("CREATE EXTERNAL TABLE x (a int, a int) STORED AS CSV LOCATION '{}'", at("csv")), "42701"),
        (
            format!("CREATE EXTERNAL TABLE x STORED AS PARQUET PARTITIONED BY (hour int) LOCATION '{}'", at("spans")),
            "22023",
        ),
        ("CREATE EXTERNAL TABLE x STORED AS PARQUET LOCATION 'http://example.com/x'".into(), "22023"),
    ] {
        assert_eq!(code(&database, &sql).await, expected, "{sql}");
    }
    database
        .sql(&format!("CREATE OR REPLACE EXTERNAL TABLE theirs STORED AS JSON LOCATION '{}'", at("json")))
        .await
        .unwrap();
    assert_eq!(rows(&database, "SELECT count(*) FROM theirs").await, ["3"]);
    database.sql("DROP TABLE theirs, plain").await.unwrap();
    assert_eq!(code(&database, "SELECT * FROM theirs").await, "42P01");
    assert!(files.join("spans/day=2026-01-01/x.parquet").exists(), "files of others are left alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn telemetry_of_others_is_attributed_through_a_view() {
    let folder = tempfile::tempdir().unwrap();
    let (lake, files) = (folder.path().join("lake"), folder.path().join("files"));
    let database = open(&lake).await;
    put(
        &files,
        "vendor.csv",
        "trace,span,parent,service,name,from_ms,to_ms\nt,a,,shop,GET /,0,100\nt,b,a,cart,add,10,60\n",
    );
    let path = files.join("vendor.csv").display().to_string();
    database.sql(&format!("CREATE EXTERNAL TABLE vendor STORED AS CSV LOCATION '{path}'")).await.unwrap();
    database
        .sql(
            "CREATE VIEW vendor_spans AS SELECT trace AS trace_id, span AS span_id, parent AS parent_span_id,
             service AS service_name, name AS span_name, to_timestamp(from_ms / 1000.0) AS start_time,
             (to_ms - from_ms) * 1000000 AS duration_nano FROM vendor",
        )
        .await
        .unwrap();
    let tree = "SELECT span_id, depth, self_time_nano / 1000000 FROM span_tree(TABLE vendor_spans) ORDER BY depth";
    assert_eq!(rows(&database, tree).await, ["a|0|50", "b|1|50"]);
    // A table of another lake, by its newest version.
    let theirs = open(&folder.path().join("theirs")).await;
    theirs.sql("INSERT INTO incidents (incident_id) VALUES ('a')").await.unwrap();
    let delta = folder.path().join("theirs/tables/incidents").display().to_string();
    database.sql(&format!("CREATE EXTERNAL TABLE old STORED AS DELTATABLE LOCATION '{delta}'")).await.unwrap();
    assert_eq!(rows(&database, "SELECT incident_id FROM old").await, ["a"]);
    theirs.sql("INSERT INTO incidents (incident_id) VALUES ('b')").await.unwrap();
    assert_eq!(rows(&database, "SELECT incident_id FROM old ORDER BY 1").await, ["a", "b"]);
    database.sql("INSERT INTO incidents SELECT * FROM old").await.unwrap();
    assert_eq!(rows(&database, "SELECT count(*) FROM incidents").await, ["2"]);
    let inside = format!("CREATE EXTERNAL TABLE raw STORED AS PARQUET LOCATION '{delta}'");
    assert_eq!(code(&database, &inside).await, "22023");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_all_see_is_made_by_a_superuser_and_guarded_like_a_table() {
    let (guarded, admin, ada) = Guarded::with_rows().await;
    put(guarded.folder.path(), "files/a.csv", "tenant,amount\nred,1\nblue,2\n");
    let path = guarded.folder.path().join("files/a.csv").display().to_string();
    let create = format!("CREATE EXTERNAL TABLE bills STORED AS CSV LOCATION '{path}'");
    for sql in [create.as_str(), "CREATE VIEW v AS SELECT 1 AS x", "COMMENT ON VIEW v IS 'x'", "DROP TABLE bills"] {
        assert_eq!(refused(&ada, sql).await.0, "42501", "{sql}");
    }
    simple(&ada, "CREATE TEMP VIEW v AS SELECT 1 AS x").await;
    simple(&admin, &create).await;
    simple(&admin, "CREATE VIEW totals AS SELECT tenant, amount * 2 AS twice FROM bills").await;
    for sql in ["SELECT * FROM bills", "SELECT * FROM totals"] {
        assert_eq!(refused(&ada, sql).await.0, "42501", "{sql}");
    }
    let names = "SELECT table_name, table_type, is_insertable_into FROM information_schema.tables
        WHERE table_name IN ('bills', 'totals') ORDER BY 1";
    assert_eq!(simple(&ada, names).await.len(), 0);
    assert_eq!(simple(&admin, names).await, [["bills", "BASE TABLE", "NO"], ["totals", "VIEW", "NO"]]);
    let ask =
        "SELECT has_table_privilege('totals', 'SELECT'), has_table_privilege('bills', 'SELECT'), to_regclass('totals')";
    assert_eq!(simple(&ada, ask).await, [["f", "f", "totals"]]);
    // Who may read a view needs no right to its tables, and sees what policies and masks show.
    simple(&admin, "GRANT SELECT ON totals TO ada").await;
    assert_eq!(simple(&ada, "SELECT * FROM totals ORDER BY 1").await, [["blue", "4"], ["red", "2"]]);
    assert_eq!(simple(&ada, ask).await, [["t", "f", "totals"]]);
    assert_eq!(refused(&ada, "SELECT * FROM bills").await.0, "42501");
    simple(&admin, "ALTER TABLE bills ENABLE ROW LEVEL SECURITY").await;
    simple(&admin, "CREATE POLICY own ON bills USING (tenant = 'red')").await;
    assert_eq!(simple(&ada, "SELECT * FROM totals").await, [["red", "2"]]);
    assert_eq!(one(&admin, "SELECT count(*) FROM totals").await, "2");
    // What comes later by the same name has none of the rights of what is gone.
    simple(&admin, "GRANT SELECT ON bills TO ada").await;
    assert_eq!(one(&ada, "SELECT count(*) FROM bills").await, "1");
    simple(&admin, "DROP TABLE bills CASCADE").await;
    simple(&admin, &create).await;
    assert_eq!(refused(&ada, "SELECT * FROM bills").await.0, "42501");
    simple(&admin, "GRANT SELECT ON ALL TABLES IN SCHEMA public TO ada").await;
    assert_eq!(one(&ada, "SELECT count(*) FROM bills").await, "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_around_the_rights_of_what_others_made() {
    let (guarded, admin, ada) = Guarded::with_rows().await;
    put(guarded.folder.path(), "files/a.csv", "tenant,amount\nred,1\nblue,2\n");
    let path = guarded.folder.path().join("files/a.csv").display().to_string();
    let create = |columns: &str| format!("EXTERNAL TABLE bills {columns} STORED AS CSV LOCATION '{path}'");
    // A temporary view of the same name is not what DROP TABLE means.
    simple(&ada, "CREATE TEMP VIEW bills AS SELECT 1 AS x").await;
    simple(&admin, &format!("CREATE {}", create(""))).await;
    assert_eq!(refused(&ada, "DROP TABLE bills CASCADE").await.0, "42501");
    assert_eq!(one(&ada, "SELECT x FROM bills").await, "1");
    let listed = "SELECT table_name, table_type FROM information_schema.tables WHERE table_name = 'bills'";
    assert_eq!(simple(&ada, listed).await, [["bills", "VIEW"]]);
    simple(&ada, "DROP VIEW bills").await;
    // Tables of one name in two schemas are two, in a transaction as well.
    simple(&admin, &format!("CREATE EXTERNAL TABLE ingests STORED AS CSV LOCATION '{path}'")).await;
    simple(&admin, "CREATE VIEW landed AS SELECT count(*) FROM system.ingests").await;
    simple(&admin, "GRANT SELECT ON ingests, landed TO ada").await;
    simple(&ada, "BEGIN").await;
    assert_eq!(one(&ada, "SELECT count FROM landed").await, "0");
    assert_eq!(one(&ada, "SELECT sum(amount) FROM ingests").await, "3");
    assert_eq!(one(&ada, "SELECT count FROM landed").await, "0");
    simple(&ada, "ROLLBACK").await;
    // What a view says is for those who may read it.
    simple(&admin, "CREATE VIEW secret AS SELECT 'x' AS password").await;
    simple(&admin, "COMMENT ON VIEW secret IS 'of the vault'").await;
    let told = "SELECT pg_get_viewdef('secret'::regclass), obj_description('secret'::regclass, 'pg_class')";
    assert_eq!(simple(&ada, told).await, [["NULL", "NULL"]]);
    assert_eq!(simple(&admin, told).await, [["SELECT 'x' AS password", "of the vault"]]);
    // A temporary view over another one has no more rights than its role has by then.
    simple(&admin, "CREATE VIEW totals AS SELECT tenant, amount FROM bills").await;
    simple(&admin, "GRANT SELECT ON totals TO ada").await;
    simple(&ada, "CREATE TEMP VIEW keepit AS SELECT * FROM totals").await;
    assert_eq!(simple(&ada, "SELECT * FROM keepit ORDER BY 1").await, [["blue", "2"], ["red", "1"]]);
    simple(&admin, "CREATE OR REPLACE VIEW totals AS SELECT tenant FROM bills").await;
    assert_eq!(simple(&ada, "SELECT * FROM keepit ORDER BY 1").await, [["blue"], ["red"]]);
    simple(&admin, "REVOKE SELECT ON totals FROM ada").await;
    assert_eq!(refused(&ada, "SELECT * FROM keepit").await.0, "42501");
    // A policy that asks a view of its own table sees the table as it is.
    simple(&admin, "GRANT SELECT ON bills TO ada").await;
    simple(&admin, "ALTER TABLE bills ENABLE ROW LEVEL SECURITY").await;
    simple(&admin, "CREATE POLICY own ON bills USING (tenant IN (SELECT max(tenant) FROM totals))").await;
    assert_eq!(simple(&ada, "SELECT tenant FROM bills").await, [["red"]]);
    // A masked column is not shown by another name.
    simple(&admin, "SECURITY LABEL ON COLUMN bills.tenant IS 'MASKED WITH NULL'").await;
    let renamed = format!("CREATE OR REPLACE {}", create("(owner text, amount bigint)"));
    assert_eq!(refused(&admin, &renamed).await.0, "2BP01");
    simple(&admin, &format!("CREATE OR REPLACE {}", create("(tenant text, amount numeric)"))).await;
    assert_eq!(simple(&ada, "SELECT tenant, amount::int FROM bills").await, [["NULL", "1"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_roles_reads_no_files_for_anybody() {
    let fixture = Fixture::start().await;
    let client = fixture.connect().await;
    let sql = "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'";
    assert_eq!(refused(&client, sql).await.0, "42501");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_agree_on_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let (lake, files) = (folder.path().join("lake"), folder.path().join("files"));
    let (one, other) = (open(&lake).await, open(&lake).await);
    put(&files, "a.csv", "x\n1\n");
    let external = format!("CREATE EXTERNAL TABLE zz STORED AS CSV LOCATION '{}'", files.join("a.csv").display());
    one.sql("CREATE VIEW zz AS SELECT 1 AS x").await.unwrap();
    assert_eq!(rows(&other, "SELECT x FROM zz").await, ["1"]);
    one.sql("DROP VIEW zz").await.unwrap();
    one.sql(&external).await.unwrap();
    one.sql("CREATE VIEW overzz AS SELECT x FROM zz").await.unwrap();
    assert_eq!(code(&other, "DROP VIEW zz").await, "42809");
    assert_eq!(rows(&one, "SELECT x FROM overzz").await, ["1"]);
    // What a late one has granted on what is gone is not for what comes by that name.
    one.sql("CREATE ROLE root LOGIN SUPERUSER PASSWORD 'x'").await.unwrap();
    one.sql("CREATE ROLE ada LOGIN PASSWORD 'x'").await.unwrap();
    other.sql("SELECT x FROM overzz").await.unwrap();
    one.sql("DROP VIEW overzz").await.unwrap();
    other.sql("GRANT SELECT ON overzz TO ada").await.unwrap();
    one.sql("CREATE VIEW overzz AS SELECT x FROM zz").await.unwrap();
    let state = open(&lake).await.roles().current().await.unwrap();
    assert!(state.grants.is_empty(), "{:?}", state.grants);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_can_be_read_wherever_it_can_be_made() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path()).await;
    for name in ["c1", "c2", "c3", "c4", "c5"] {
        let sql = format!("CREATE VIEW {name} AS SELECT relname FROM pg_class WHERE relname LIKE 'c_'");
        database.sql(&sql).await.unwrap();
    }
    assert_eq!(rows(&database, "SELECT relname FROM c3 ORDER BY 1").await, ["c1", "c2", "c3", "c4", "c5"]);
    let sql = "CREATE VIEW t AS SELECT count(*) AS n FROM information_schema.tables WHERE table_name = 'c1'";
    database.sql(sql).await.unwrap();
    assert_eq!(rows(&database, "SELECT n FROM t").await, ["1"]);
    // As it was written, not as it would be printed.
    database.sql("CREATE VIEW n1 AS SELECT - -1 AS x, -- one\n 'it''s' AS y").await.unwrap();
    assert_eq!(rows(&database, "SELECT x, y FROM n1").await, ["1|it's"]);
    database.sql("CREATE TEMP VIEW mine AS SELECT 1 AS x").await.unwrap();
    assert_eq!(code(&database, "CREATE VIEW lasting AS SELECT x FROM mine").await, "42P16");
    database.sql("CREATE TEMP VIEW more AS SELECT x + 1 AS x FROM mine").await.unwrap();
    assert_eq!(rows(&database, "SELECT x FROM more").await, ["2"]);
    database.sql("SET search_path = system").await.unwrap();
    assert_eq!(code(&database, "CREATE VIEW sp AS SELECT 1 AS x").await, "42501");
    assert_eq!(code(&database, "CREATE VIEW public.sp AS SELECT count(*) FROM ingests").await, "42P01");
    database.sql("CREATE VIEW public.sp AS SELECT count(*) AS n FROM system.ingests").await.unwrap();
    database.sql("RESET search_path").await.unwrap();
    assert_eq!(rows(&database, "SELECT n FROM sp").await, ["0"]);
    database.sql("CREATE VIEW IF NOT EXISTS sp AS SELECT 7 AS n").await.unwrap();
    assert_eq!(rows(&database, "SELECT n FROM sp").await, ["0"]);
    // Each twice the one before it: to plan all of them would never end.
    database.sql("CREATE VIEW d0 AS SELECT 1 AS x").await.unwrap();
    let double = |at| format!("VIEW d{at} AS SELECT a.x FROM d{0} AS a JOIN d{0} AS b ON a.x = b.x", at - 1);
    for at in 1..6 {
        database.sql(&format!("CREATE {}", double(at))).await.unwrap();
    }
    assert_eq!(rows(&database, "SELECT x FROM d5").await, ["1"]);
    let mut at = 6;
    while database.sql(&format!("CREATE {}", double(at))).await.is_ok() {
        at += 1;
    }
    assert_eq!(code(&database, &format!("CREATE {}", double(at))).await, "54001");
    // Nor does one grow that was small when those made of it were made.
    let larger = ["(SELECT 1 AS x)"; 20].join(" UNION ALL ");
    database.sql(&format!("CREATE OR REPLACE VIEW d0 AS {larger}")).await.unwrap();
    assert_eq!(code(&database, &format!("SELECT x FROM d{}", at - 1)).await, "54001");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_do_to_their_files_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let (lake, files) = (folder.path().join("lake"), folder.path().join("it's files"));
    let database = open(&lake).await;
    put(&files, "a.csv", "x,y\n1,'a,b'\n");
    put(&files, "_SUCCESS", "");
    let at = files.display().to_string().replace('\'', "''");
    let sql = format!("CREATE EXTERNAL TABLE t STORED AS CSV OPTIONS ('format.quote' '''') LOCATION '{at}'");
    database.sql(&sql).await.unwrap();
    assert_eq!(rows(&database, "SELECT x, y FROM t").await, ["1|a,b"]);
    put(&files, "_temporary/part-0.csv", "x,y\n2,c\n");
    put(&files, ".hidden.csv", "x,y\n3,d\n");
    assert_eq!(rows(&database, "SELECT x FROM t").await, ["1"]);
    put(&files, "b.csv", "x,y\n4,e\n");
    assert_eq!(rows(&database, "SELECT x FROM t ORDER BY x").await, ["1", "4"]);
    // A Delta table made anew at its place is another table.
    let place = folder.path().join("theirs");
    let theirs = open(&place).await;
    for id in ["a", "b", "c"] {
        theirs.sql(&format!("INSERT INTO incidents (incident_id) VALUES ('{id}')")).await.unwrap();
    }
    let delta = place.join("tables/incidents").display().to_string();
    database.sql(&format!("CREATE EXTERNAL TABLE d STORED AS DELTATABLE LOCATION '{delta}'")).await.unwrap();
    assert_eq!(rows(&database, "SELECT count(*) FROM d").await, ["3"]);
    std::fs::remove_dir_all(&place).unwrap();
    let theirs = open(&place).await;
    for id in ["d", "e", "f", "g", "h", "i"] {
        theirs.sql(&format!("INSERT INTO incidents (incident_id) VALUES ('{id}')")).await.unwrap();
    }
    let all = "SELECT string_agg(incident_id, '' ORDER BY incident_id) FROM d";
    assert_eq!(rows(&database, all).await, ["defghi"]);
}
