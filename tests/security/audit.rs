//! What is recorded of statements.

use std::process::Command;

use ascribe::Database;
use ascribe::model::system::AUDIT;
use ascribe::storage::{Commit, Replace};
use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::util::pretty::pretty_format_batches;

use super::{ADMIN, Guarded, refused};
use crate::pgwire::simple;

#[tokio::test(flavor = "multi_thread")]
async fn every_statement_is_recorded_with_its_end() {
    let (guarded, admin, ada) = Guarded::with_rows().await;
    assert!(guarded.try_connect(ADMIN, "wrong").await.is_err());
    refused(&ada, "SELECT * FROM changes").await;
    refused(&ada, "SELEC").await;
    assert!(ada.prepare("SELECT 1 FROM logs").await.is_err());
    simple(&admin, "SELECT * FROM changes; SELECT 1").await;
    simple(&admin, "ALTER ROLE ada PASSWORD 'hunter2'").await;
    assert_eq!(admin.query("SELECT change_id FROM changes WHERE kind = $1", &[&"deploy"]).await.unwrap().len(), 3);
    assert_eq!(refused(&admin, "INSERT INTO system.audit (role) VALUES ('x')").await.0, "42501");
    drop((admin, ada));
    let Guarded { folder, server, .. } = guarded;
    server.shutdown().await;
    let database = Database::open(&folder.path().display().to_string()).await.unwrap();
    let sql = "SELECT role, statement, \"rows\", sqlstate, application, address FROM system.audit
               WHERE statement NOT LIKE 'INSERT%' OR sqlstate <> '00000' ORDER BY sequence";
    let found = database.sql(sql).await.unwrap();
    let shown = pretty_format_batches(&found).unwrap().to_string();
    let lines: Vec<Vec<&str>> = shown
        .lines()
        .skip(3)
        .filter(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    let expected: &[[&str; 4]] = &[
        ["root", "CONNECT", "", "00000"],
        ["root", "CREATE USER ada PASSWORD '<hidden>'", "", "00000"],
        ["ada", "CONNECT", "", "00000"],
        ["root", "CONNECT", "", "28P01"],
        ["ada", "SELECT * FROM changes", "", "42501"],
        ["ada", "SELEC", "", "42601"],
        ["ada", "SELECT 1 FROM logs", "", "42501"],
        ["root", "SELECT * FROM changes", "3", "00000"],
        ["root", "SELECT 1", "1", "00000"],
        ["root", "ALTER ROLE ada PASSWORD '<hidden>'", "", "00000"],
        ["root", "SELECT change_id FROM changes WHERE kind = $1", "3", "00000"],
        ["root", "INSERT INTO system.audit (role) VALUES ('x')", "", "42501"],
    ];
    let told: Vec<&[&str]> = lines.iter().map(|line| &line[..4]).collect();
    assert_eq!(told, expected.iter().map(|line| &line[..]).collect::<Vec<_>>(), "{shown}");
    assert!(lines.iter().all(|line| line[4] == "tests" && line[5] == "127.0.0.1"), "{shown}");
    let count = database.sql("SELECT count(DISTINCT node), max(sequence) - count(*) FROM system.audit").await.unwrap();
    let number = |at: usize| count[0].column(at).as_primitive::<datafusion::arrow::datatypes::Int64Type>().value(0);
    assert_eq!((number(0), number(1)), (1, 0));
}

/// Put other rows in the place of all records, as somebody may who can write the lake's files.
async fn rewrite(database: &Database, sql: &str) {
    let mut writer = database.lake().writer(&AUDIT).await.unwrap();
    let schema = AUDIT.schema();
    for batch in database.sql(sql).await.unwrap() {
        let columns = schema
            .fields()
            .iter()
            .map(|field| cast(batch.column_by_name(field.name()).unwrap(), field.data_type()).unwrap());
        writer.write(RecordBatch::try_new(schema.clone(), columns.collect()).unwrap()).await.unwrap();
    }
    writer.commit(Commit { replace: vec![Replace::All], ..Commit::default() }).await.unwrap();
}

/// Whether the record is whole, and what is said of it.
fn verify(folder: &tempfile::TempDir, expect: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ascribe"));
    command.args(["audit", "verify", "--lake"]).arg(folder.path());
    for head in expect {
        command.args(["--expect", head]);
    }
    let done = command.output().unwrap();
    (done.status.success(), String::from_utf8(done.stdout).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn tampering_is_found() {
    let (Guarded { folder, server, .. }, admin, ada) = Guarded::with_rows().await;
    simple(&admin, "SELECT 'evidence'").await;
    drop((admin, ada));
    server.shutdown().await;
    let database = Database::open(&folder.path().display().to_string()).await.unwrap();
    let (whole, said) = verify(&folder, &[]);
    assert!(whole && said.ends_with("7 records in 1 chain, 0 wrong\n"), "{said}");
    let head = said.lines().next().unwrap().to_owned();
    assert!(verify(&folder, &[&head]).0);

    let columns = AUDIT.all_columns().into_iter().map(|column| match column.name {
        "statement" => "CASE WHEN sequence = 7 THEN 'SELECT 1' ELSE statement END AS statement".to_owned(),
        name => format!("\"{name}\""),
    });
    let columns: Vec<String> = columns.collect();
    rewrite(&database, &format!("SELECT {} FROM system.audit", columns.join(", "))).await;
    let (whole, said) = verify(&folder, &[]);
    assert!(!whole && said.contains("record 7: it was changed"), "{said}");
    rewrite(&database, "SELECT * FROM system.audit WHERE sequence <> 3").await;
    let (whole, said) = verify(&folder, &[]);
    assert!(!whole && said.contains("record 4: 1 record before it is missing"), "{said}");
    rewrite(&database, "SELECT * FROM system.audit WHERE sequence < 3").await;
    let (whole, said) = verify(&folder, &[]);
    assert!(!whole && said.contains("record 7: it and maybe others at the end are missing"), "{said}");
    rewrite(&database, "SELECT * FROM system.audit WHERE sequence < 0").await;
    assert!(!verify(&folder, &[&head]).0);
}
