//! The command line as a user has it: what it prints, where it says that something is wrong, what it leaves behind.

use std::path::Path;
use std::process::{Command, Output};

use ascribe::Database;
use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::Int64Type;

/// Run the program in a folder; its lake is the one there, if there is one.
fn ascribe(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ascribe"));
    command.current_dir(folder).args(arguments).env_remove("ASCRIBE_LAKE").output().unwrap()
}

fn out(done: &Output) -> String {
    String::from_utf8(done.stdout.clone()).unwrap()
}

fn err(done: &Output) -> String {
    String::from_utf8(done.stderr.clone()).unwrap()
}

#[test]
fn a_script_runs_as_far_as_it_is_right() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("lake")).unwrap();
    let run = |script: &str| {
        std::fs::write(folder.path().join("s.sql"), script).unwrap();
        ascribe(folder.path(), &["sql", "-f", "s.sql", "--format", "csv"])
    };
    let done = run("SELECT 1 AS a;\n\nSELECT 2 AS b;\nSELECT * FORM spans;\nSELECT 3 AS c;\n");
    assert_eq!((out(&done).as_str(), done.status.success()), ("a\n1\nb\n2\n", false));
    assert!(err(&done).starts_with("ERROR: s.sql:4:15: syntax error at or near \"spans\""), "{}", err(&done));
    let done = run("SELECT 1 AS a;\nSELECT 1 / (g - 2) AS b\nFROM generate_series(2, 2) AS s(g);\nSELECT 3 AS c;\n");
    assert_eq!((out(&done).as_str(), done.status.success()), ("a\n1\n", false));
    assert!(err(&done).starts_with("ERROR: s.sql:2: division by zero"), "{}", err(&done));
    let done = run("SELECT 1 AS a; SELECT 'no end");
    assert_eq!(out(&done), "a\n1\n");
    assert!(err(&done).contains("s.sql:1:23: unterminated quoted string"), "{}", err(&done));
    // Several statements of one argument are one message, as psql has it.
    let done = ascribe(folder.path(), &["sql", "-c", "SELECT 1 AS a; SELECT * FORM spans"]);
    assert_eq!((out(&done).as_str(), done.status.success()), ("", false));
    let done = ascribe(
        folder.path(),
        &["sql", "-c", "COPY (SELECT 1 / (g - 2) FROM generate_series(2, 2) AS s(g)) TO STDOUT (FORMAT csv, HEADER)"],
    );
    assert_eq!((out(&done).as_str(), done.status.success()), ("", false));
    let done = ascribe(folder.path(), &["sql", "--format", "csv", "-c", "SELECT 1 AS a WHERE false"]);
    assert_eq!((out(&done).as_str(), done.status.success()), ("a\n", true));
}

#[test]
fn a_command_that_only_looks_makes_no_lake() {
    let folder = tempfile::tempdir().unwrap();
    let done = ascribe(folder.path(), &["report", "list"]);
    assert!(done.status.success() && out(&done).contains("monthly_chargeback"), "{done:?}");
    for command in [
        &["report", "list", "--lake", "lakke"][..],
        &["report", "run", "monthly_chargeback"],
        &["sql", "-c", "SELECT 1"],
        &["check"],
        &["audit", "verify"],
        &["role", "list"],
        &["maintain", "--once"],
    ] {
        let done = ascribe(folder.path(), command);
        assert!(!done.status.success() && err(&done).contains("there is no lake at"), "{command:?}: {done:?}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_without_a_beginning_hold_from_now_on_and_the_import_says_so() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("owners.csv"), "service,team\ncart,shop\n").unwrap();
    let as_in_readme = [
        "import",
        "csv",
        "owners.csv",
        "--table",
        "ownership",
        "--map",
        "entity=service",
        "--map",
        "owner=team",
        "--set",
        "entity_kind=service",
        "--set",
        "valid_from=2020-01-01",
    ];
    let done = ascribe(folder.path(), &as_in_readme);
    assert_eq!((out(&done).trim(), done.status.success()), ("1 row landed in ownership", true), "{}", err(&done));
    std::fs::write(folder.path().join("owners.csv"), "service,team\nsearch,find\n").unwrap();
    let done = ascribe(folder.path(), &as_in_readme[..as_in_readme.len() - 2]);
    assert!(out(&done).contains("1 row landed in ownership\n"), "{done:?}");
    assert!(out(&done).contains("1 row of it without valid_from: valid from the time of this import on"), "{done:?}");
    let database = Database::open(&folder.path().join("lake").display().to_string()).await.unwrap();
    let sql = "SELECT count(*) FILTER (WHERE valid_from = '2020-01-01'), count(*), \
               count(*) FILTER (WHERE owner_of('service', entity, '2021-06-01') IS NULL) FROM ownership";
    let rows = database.sql(sql).await.unwrap();
    let counts: Vec<i64> = rows[0].columns().iter().map(|column| column.as_primitive::<Int64Type>().value(0)).collect();
    assert_eq!(counts, [1, 2, 1]);
}
