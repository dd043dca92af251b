//! What is recorded of statements.

use ascribe::Database;
use datafusion::arrow::array::AsArray;
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
