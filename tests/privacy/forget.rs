//! Forgetting a person: afterwards no byte of the lake says who it was, and everything else is as it was.

use std::borrow::Cow;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use ascribe::config::{Config, Maintenance};
use ascribe::maintenance::{Eagerness, Forgotten, Maintainer, forget};
use ascribe::model::change::{CHANGES, ChangeBuilder, ChangeRow};
use ascribe::model::identity::{IAM_EVENTS, IamEventBuilder, IamEventRow};
use ascribe::model::ownership::{INCIDENTS, IncidentBuilder, IncidentRow};
use ascribe::model::telemetry::{LOGS, LogBuilder, LogRow, SPANS, SpanBuilder, SpanRow};
use ascribe::model::{RowBuilder, SpanEvent};
use ascribe::privacy::{Keys, Person, holds};
use ascribe::storage::Lake;
use datafusion::arrow::array::RecordBatch;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::{DAY, JUNE, KEYS, land, open};
use crate::upkeep::{damage, database, number, report};

const ADA: &str = "ada@example.com";
const OTHER: &str = "canada@example.com";

fn spans(numbers: std::ops::Range<u64>, user: &str) -> RecordBatch {
    let mut builder = SpanBuilder::default();
    for number in numbers {
        let attributes = vec![("app.customer".into(), user.to_owned().into()), ("k".into(), "v".into())];
        let events = vec![SpanEvent {
            time_unix_nano: 1,
            name: "mail".into(),
            attributes: vec![("to".into(), user.to_owned().into()), ("k".into(), "v".into())],
        }];
        builder.append(&SpanRow {
            trace_id: Some(format!("{number:032x}").into()),
            span_id: Some(format!("{number:016x}").into()),
            start_time: Some(JUNE + i64::try_from(number).unwrap()),
            span_name: Some("pay".into()),
            user_id: Some(user.to_owned().into()),
            attributes,
            events,
            ..SpanRow::default()
        });
    }
    builder.finish("otlp", JUNE)
}

/// Rows of two persons in many tables, some of them changed, merged and replaced since.
async fn company(folder: &Path) -> Arc<Lake> {
    let lake = open(folder, None, Some(KEYS));
    for (at, user) in (0..).zip([ADA, OTHER, "bob"]) {
        let user = || -> Cow<'static, str> { user.into() };
        land(&lake, &SPANS, spans(at * 10..at * 10 + 10, &user())).await;
        let mut logs = LogBuilder::default();
        let body = format!("mail to {} sent", user());
        logs.append(&LogRow { time: Some(JUNE), body: Some(body.into()), ..LogRow::default() });
        logs.append(&LogRow { time: Some(JUNE), body: Some("nothing".into()), ..LogRow::default() });
        land(&lake, &LOGS, logs.finish("otlp", JUNE)).await;
        let mut changes = ChangeBuilder::default();
        let id = Some(format!("c{at}").into());
        changes.append(&ChangeRow {
            change_id: id,
            started_at: Some(JUNE),
            actor: Some(user()),
            ..ChangeRow::default()
        });
        land(&lake, &CHANGES, changes.finish("github", JUNE)).await;
        let mut events = IamEventBuilder::default();
        events.append(&IamEventRow {
            event_id: Some(format!("e{at}").into()),
            provider: Some("aws".into()),
            event_time: Some(JUNE),
            principal_arn: Some(format!("arn:aws:sts::1:assumed-role/dev/{}", user()).into()),
            resource_ids: Some(vec![user(), "bucket".into()]),
            raw: Some(format!("{{\"user\":\"{}\"}}", user()).into()),
            ..IamEventRow::default()
        });
        land(&lake, &IAM_EVENTS, events.finish("cloudtrail", JUNE)).await;
        let mut incidents = IncidentBuilder::default();
        incidents.append(&IncidentRow {
            incident_id: Some(format!("i{at}").into()),
            started_at: Some(JUNE),
            labels: vec![("reporter".into(), user())],
            ..IncidentRow::default()
        });
        land(&lake, &INCIDENTS, incidents.finish("pagerduty", JUNE)).await;
        let owner = user();
        let sql = format!(
            "INSERT INTO ownership (entity_kind, entity, owner, on_call, valid_from) VALUES ('service', 's{at}', '{owner}', '{owner}', '2026-01-01')"
        );
        database(&lake).sql(&sql).await.unwrap();
    }
    // Checkpoints with their least and greatest values, and old versions behind merged files.
    let settings = Maintenance { checkpoint_commits: 1, lease: Duration::ZERO, ..Maintenance::default() };
    Maintainer::new(&lake, settings).unwrap().once(&[&SPANS, &CHANGES], Eagerness::All).await.unwrap();
    // From here on under rules: the pseudonyms of both keys.
    let rules = "rules:\n- {table: spans, column: user_id, action: pseudonym}\n- {table: spans, column: attributes.*, action: drop}\n\
        - {table: spans, column: events, action: drop}\n";
    let lake = open(folder, Some(rules), Some(KEYS));
    land(&lake, &SPANS, spans(100..110, ADA)).await;
    let mut later = SpanBuilder::default();
    later.append(&SpanRow {
        trace_id: Some(format!("{:032x}", 200).into()),
        span_id: Some(format!("{:016x}", 200).into()),
        start_time: Some(JUNE + 10 * DAY),
        user_id: Some(ADA.into()),
        ..SpanRow::default()
    });
    land(&lake, &SPANS, later.finish("otlp", JUNE)).await;
    std::fs::create_dir_all(folder.join("reports/r")).unwrap();
    std::fs::write(folder.join("reports/r/a.csv"), format!("user,cost\n{ADA},1\n")).unwrap();
    std::fs::write(folder.join("reports/r/b.csv"), format!("user,cost\n{OTHER},1\n")).unwrap();
    lake
}

/// The files below a folder of which a byte, or a value, fits.
fn naming(folder: &Path, needles: &[String]) -> Vec<String> {
    let names = |text: &str| {
        let text = text.to_lowercase();
        needles.iter().any(|needle| text.match_indices(needle).any(|(at, _)| !text[..at].ends_with("can")))
    };
    let mut found = Vec::new();
    for entry in walkdir::WalkDir::new(folder).sort_by_file_name() {
        let entry = entry.unwrap();
        if !entry.file_type().is_file() {
            continue;
        }
        let bytes = std::fs::read(entry.path()).unwrap();
        let mut hit = names(&String::from_utf8_lossy(&bytes));
        if entry.path().extension().is_some_and(|ending| ending == "parquet") {
            let reader = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(bytes)).unwrap();
            for batch in reader.build().unwrap() {
                hit |= batch.unwrap().columns().iter().any(|column| holds(column, &names).unwrap());
            }
        }
        if hit {
            found.push(entry.path().strip_prefix(folder).unwrap().display().to_string());
        }
    }
    found
}

fn needles() -> Vec<String> {
    Keys::parse(KEYS).unwrap().all(ADA).chain([ADA.to_owned()]).collect()
}

fn person() -> Person {
    Person::new(ADA, Some(&Keys::parse(KEYS).unwrap())).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_byte_of_the_lake_says_who_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let lake = company(folder.path()).await;
    let before = naming(folder.path(), &needles());
    let logs = before.iter().filter(|path| path.contains("_delta_log")).count();
    let checkpoints = before.iter().filter(|path| path.ends_with(".checkpoint.parquet")).count();
    assert!(logs > 5 && checkpoints > 0 && before.len() > 20, "{before:?}");

    let counted = forget(&lake, &person(), true).await.unwrap();
    assert_eq!(naming(folder.path(), &needles()), before, "nothing was changed");
    let done = forget(&lake, &person(), false).await.unwrap();
    assert!(done.complete(), "{done:?}");
    assert_eq!(naming(folder.path(), &needles()), Vec::<String>::new());
    for (table, rows) in
        [("spans", 21), ("logs", 1), ("changes", 1), ("iam_events", 1), ("incidents", 1), ("ownership", 1)]
    {
        assert_eq!((done.tables[table].rows, counted.tables[table].rows), (rows, rows), "{table}");
        assert!(done.tables[table].deleted > 0, "{table}: {done:?}");
    }
    assert_eq!((done.reports, counted.reports), (1, 1));
    assert_eq!(std::fs::read_dir(folder.path().join("reports/r")).unwrap().count(), 1);

    // Everything else is as it was, and whole.
    let found = report(&lake).await;
    assert!(found.sound(), "{:?}", damage(&found));
    for (sql, expected) in [
        ("SELECT count(*) FROM spans", 41),
        ("SELECT count(*) FROM spans WHERE user_id IS NULL", 21),
        ("SELECT count(*) FROM spans WHERE attributes['k'] = 'v'", 30),
        ("SELECT count(*) FROM spans WHERE attributes['app.customer'] = 'canada@example.com'", 10),
        ("SELECT count(*) FROM logs WHERE body IS NOT NULL", 5),
        ("SELECT count(*) FROM changes WHERE actor IS NOT NULL", 2),
        ("SELECT count(*) FROM iam_events WHERE raw IS NOT NULL AND principal_arn IS NOT NULL", 2),
        ("SELECT count(*) FROM iam_events WHERE 'bucket' = ANY(resource_ids)", 3),
        ("SELECT count(*) FROM ownership WHERE owner = 'forgotten' AND on_call IS NULL", 1),
        ("SELECT count(*) FROM ownership WHERE owner = on_call", 2),
        ("SELECT count(*) FROM system.audit WHERE statement LIKE 'FORGET sha256:%: done: %'", 1),
    ] {
        assert_eq!(number(&lake, sql).await, expected, "{sql}");
    }
    let again = forget(&lake, &person(), false).await.unwrap();
    assert!(again.tables.is_empty() && again.reports == 0, "{again:?}");
    // Another program reads the log as it is now.
    let other = Lake::open(&folder.path().display().to_string(), &Config::default()).unwrap();
    assert_eq!(number(&other, "SELECT count(*) FROM spans").await, 41);
    land(&lake, &SPANS, spans(300..301, "bob")).await;
    assert_eq!(number(&other, "SELECT count(*) FROM spans").await, 42);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lands_meanwhile_is_found_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(folder.path(), None, Some(KEYS));
    land(&lake, &SPANS, spans(0..10, ADA)).await;
    let other = Lake::open(&folder.path().display().to_string(), &Config::default()).unwrap();
    let writer = tokio::spawn(async move {
        for commit in 1..=15 {
            land(&other, &SPANS, spans(commit * 10..commit * 10 + 10, ADA)).await;
        }
    });
    let mut erased = 0;
    while !writer.is_finished() {
        erased += forget(&lake, &person(), false).await.unwrap().tables.get("spans").map_or(0, |done| done.rows);
    }
    writer.await.unwrap();
    let last = forget(&lake, &person(), false).await.unwrap();
    assert!(last.complete(), "{last:?}");
    erased += last.tables.get("spans").map_or(0, |done| done.rows);
    assert_eq!(erased, 160);
    assert_eq!(naming(folder.path(), &needles()), Vec::<String>::new());
    assert_eq!(number(&lake, "SELECT count(*) FROM spans WHERE user_id IS NULL").await, 160, "no row was lost");
    let found = report(&lake).await;
    assert!(found.sound(), "{:?}", damage(&found));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_wait_for_those_who_read_them() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(folder.path(), None, None);
    land(&lake, &SPANS, spans(0..10, ADA)).await;
    let person = Person::new(ADA, None).unwrap();
    let file = lake.files(&SPANS).await.unwrap()[0].path.clone();
    let file = folder.path().join("tables/spans").join(file);
    let pin = lake.pin(&SPANS, lake.version(&SPANS).await.unwrap().unwrap());
    let reader = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert!(file.exists(), "it is read");
        drop(pin);
        file
    });
    let done = forget(&lake, &person, false).await.unwrap();
    assert!(done.complete(), "{done:?}");
    let expected = Forgotten { rows: 10, rewritten: 1, deleted: 1, log: 1, ..Forgotten::default() };
    assert_eq!(done.tables["spans"], expected);
    assert!(!reader.await.unwrap().exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn files_in_no_version_go_when_nobody_can_be_about_to_commit_them() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(folder.path(), None, None);
    land(&lake, &SPANS, spans(0..10, ADA)).await;
    let file = lake.files(&SPANS).await.unwrap()[0].path.clone();
    let file = folder.path().join("tables/spans").join(file);
    let [old, young] = ["part-old.parquet", "part-young.parquet"].map(|name| file.with_file_name(name));
    for (copy, age) in [(&old, 2 * 86_400), (&young, 0)] {
        std::fs::copy(&file, copy).unwrap();
        let time = std::time::SystemTime::now() - Duration::from_secs(age);
        std::fs::File::options().write(true).open(copy).unwrap().set_modified(time).unwrap();
    }
    let done = forget(&lake, &Person::new(ADA, None).unwrap(), false).await.unwrap();
    let expected = Forgotten { rows: 10, rewritten: 1, deleted: 2, log: 1, uncommitted: 1, ..Forgotten::default() };
    assert_eq!((done.complete(), &done.tables["spans"]), (false, &expected));
    assert!(young.exists() && !old.exists() && !file.exists());
    let found = report(&lake).await;
    assert!(found.sound(), "{:?}", damage(&found));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_record_of_statements_stays_a_chain() {
    let folder = tempfile::tempdir().unwrap();
    let database = ascribe::Database::open(&folder.path().display().to_string()).await.unwrap();
    let listen = vec!["127.0.0.1:0".to_owned()];
    let options = ascribe::server::Serve { listen, ..ascribe::server::Serve::default() };
    let server = ascribe::server::serve(database, options).await.unwrap();
    let address = format!("host=127.0.0.1 port={} user=u dbname=ascribe", server.local_addr().port());
    let (client, connection) = tokio_postgres::connect(&address, tokio_postgres::NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    for user in [ADA, OTHER, ADA] {
        client.simple_query(&format!("SELECT count(*) FROM spans WHERE user_id = '{user}'")).await.unwrap();
    }
    drop(client);
    connection.await.unwrap().unwrap();
    server.shutdown().await;
    let run = |arguments: &[&str]| -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ascribe"));
        command.args(arguments).arg("--lake").arg(folder.path()).env_remove("ASCRIBE_PSEUDONYM_KEYS");
        command.env_remove("ASCRIBE_PSEUDONYM_KEYS_FILE").output().unwrap()
    };
    let out = |done: &Output| String::from_utf8_lossy(&done.stdout).into_owned();
    let first = out(&run(&["audit", "verify"]));
    let end = first.lines().next().unwrap().to_owned();
    let counted = run(&["forget", ADA, "--dry-run"]);
    assert!(counted.status.success(), "{counted:?}");
    assert!(out(&counted).starts_with("audit: 2 rows changed, 1 file rewritten, 1 file deleted\n"), "{counted:?}");
    assert!(!naming(folder.path(), &needles()).is_empty());
    let done = run(&["forget", ADA]);
    assert!(done.status.success() && out(&done).starts_with("audit: 2 rows changed"), "{done:?}");
    assert_eq!(naming(folder.path(), &needles()), Vec::<String>::new());
    let verified = run(&["audit", "verify", "--expect", &end]);
    let told = out(&verified);
    assert!(verified.status.success(), "{told}");
    assert!(told.contains("from 2 records a person was erased, as recorded") && told.contains(", 0 wrong"), "{told}");
    let shown = out(&run(&[
        "sql",
        "--format",
        "csv",
        "-c",
        "SELECT count(*) FROM system.audit WHERE statement LIKE '%''forgotten''%'",
    ]));
    assert_eq!(shown.lines().nth(1), Some("2"), "{shown}");
    let none = run(&["forget", "  "]);
    assert!(!none.status.success() && String::from_utf8_lossy(&none.stderr).contains("identifies nobody"), "{none:?}");
}
