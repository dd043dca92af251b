//! Every way into the lake goes through the rules.

use std::sync::Arc;

use ascribe::Database;
use ascribe::config::{Config, Live};
use ascribe::ingest::{self, Options, Progress, Summary};
use ascribe::server::http::{Receive, Secrets, receive};
use ascribe::server::{Serve, serve};
use ascribe::storage::Lake;
use bytes::Bytes;
use futures::SinkExt;
use tokio_postgres::NoTls;

use super::{KEYS, open};
use crate::live::client::{JSON, post};
use crate::rows;

const RULES: &str = "rules:
- {table: spans, column: attributes.enduser.id, action: pseudonym}
- {table: spans, column: attributes.http.request.header.*, action: drop}
- {table: changes, column: actor, action: pseudonym}
- {table: ownership, column: owner, action: pseudonym}
- {table: ownership, column: on_call, action: drop}
- {table: incidents, column: labels.user, action: pseudonym}
";

const SPAN: &str = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"00f067aa0ba902b7",
  "name":"pay","kind":2,"startTimeUnixNano":"1782820800000000000","endTimeUnixNano":"1782820800001000000","attributes":[
  {"key":"enduser.id","value":{"stringValue":"ada"}},{"key":"http.request.header.cookie","value":{"stringValue":"c=1"}},
  {"key":"k","value":{"stringValue":"v"}}]}]}]}]}"#;

const DEPLOYMENT: &str = r#"{"action":"created","deployment":{"id":7,"sha":"abc","ref":"v2","task":"deploy",
    "environment":"production","created_at":"2026-07-02T10:00:00Z","creator":{"login":"ada"}},
    "repository":{"name":"checkout","full_name":"acme/checkout","html_url":"https://github.com/acme/checkout"}}"#;

async fn import(
    lake: &Arc<Lake>,
    source: &str,
    name: &str,
    text: &str,
    table: &str,
) -> ascribe::error::Result<Summary> {
    let file = tempfile::tempdir().unwrap();
    let path = file.path().join(name);
    std::fs::write(&path, text).unwrap();
    let table = (!table.is_empty()).then(|| table.to_owned());
    let options = Options { table, ..Options::default() };
    let paths = [path.display().to_string()];
    ingest::import(lake, ingest::find(source).unwrap(), &paths, &options, &Arc::<Progress>::default()).await
}

async fn database(folder: &tempfile::TempDir, keys: Option<&str>) -> Database {
    let config = Config { pseudonym_keys: keys.map(str::to_owned), ..Config::default() };
    Database::open_with(&folder.path().display().to_string(), config).await.unwrap()
}

fn receiving() -> Receive {
    let live = Live { flush_interval: std::time::Duration::from_millis(20), ..Live::default() };
    let secrets = Secrets { github: None, gitlab: None, pagerduty: None };
    Receive { http: Some("127.0.0.1:0".to_owned()), grpc: None, live, secrets, ..Receive::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_into_the_lake_goes_through_the_rules() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("privacy.yaml"), RULES).unwrap();
    let database = database(&folder, Some(KEYS)).await;
    let lake = database.lake();
    let keys = lake.pseudonym_keys().unwrap().unwrap();
    let ada: Vec<String> = keys.all("ada").collect();
    assert!(ada[0].starts_with("p1_") && ada[1].starts_with("p2_"), "{ada:?}");

    import(lake, "otlp", "a.json", SPAN, "").await.unwrap();
    let receiver = receive(&database, receiving()).await.unwrap();
    let at = receiver.http_addr().unwrap();
    let live = SPAN.replace("00f067aa0ba902b7", "00f067aa0ba902b8");
    assert_eq!(post(at, "/v1/traces", &[JSON], live.as_bytes()).await.status, 200);
    assert_eq!(post(at, "/webhooks/github", &[JSON], DEPLOYMENT.as_bytes()).await.status, 200);
    receiver.shutdown().await.unwrap();
    let csv = "change_id,started_at,actor\nc,2026-06-01T00:00:00Z,ada\n";
    import(lake, "csv", "c.csv", csv, "changes").await.unwrap();
    let sql = "INSERT INTO spans (trace_id, span_id, start_time, user_id, attributes) VALUES \
        ('0af7651916cd43dd8448eb211c80319c', '00f067aa0ba902b9', '2026-06-30', 'ada', '{\"enduser.id\": \"ada\", \"k\": \"v\"}')";
    database.sql(sql).await.unwrap();
    let server =
        serve(database.clone(), Serve { listen: vec!["127.0.0.1:0".to_owned()], ..Serve::default() }).await.unwrap();
    let address = format!("host=127.0.0.1 port={} user=u dbname=ascribe", server.local_addr().port());
    let (client, connection) = tokio_postgres::connect(&address, NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    let copy = "COPY changes (change_id, started_at, actor) FROM STDIN (FORMAT csv)";
    let mut sink = Box::pin(client.copy_in::<_, Bytes>(copy).await.unwrap());
    sink.send(Bytes::from_static(b"d,2026-07-01T00:00:00Z,ada\n")).await.unwrap();
    assert_eq!(sink.as_mut().finish().await.unwrap(), 1);
    drop((sink, client));
    connection.await.unwrap().unwrap();
    server.shutdown().await;

    // Inside a period one person is one pseudonym in all tables, and in the next another.
    let found = rows(&database, "SELECT user_id, attributes FROM spans ORDER BY span_id").await;
    let expected = [
        format!("{}|{{k: v}}", ada[0]),
        format!("{}|{{k: v}}", ada[0]),
        format!("{}|{{enduser.id: {}, k: v}}", ada[0], ada[0]),
    ];
    assert_eq!(found, expected);
    let found = rows(&database, "SELECT change_id, actor FROM changes ORDER BY 1").await;
    let deployed = format!("github/acme/checkout/deployment/7|{}", ada[1]);
    assert_eq!(found, [format!("c|{}", ada[0]), format!("d|{}", ada[1]), deployed]);
    // What is in SQL is the same pseudonym.
    let session = "SET ascribe.pseudonym_key = 'never a real key, one'";
    database.sql(session).await.unwrap();
    assert_eq!(rows(&database, "SELECT pseudonymize('ada', 'lake')").await, [ada[0].clone()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_change_others_are_compared_as_they_are_stored() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("privacy.yaml"), RULES).unwrap();
    let database = database(&folder, Some(KEYS)).await;
    let owners = "entity_kind,entity,owner,on_call,valid_from\nservice,cart,ada,+49 30 1,2026-01-01T00:00:00Z\n";
    for name in ["a.csv", "b.csv"] {
        let owners = if name == "b.csv" { owners.replace("+49 30 1", "+49 30 2") } else { owners.to_owned() };
        import(database.lake(), "csv", name, &owners, "ownership").await.unwrap();
    }
    let found = rows(&database, "SELECT owner, on_call, valid_to FROM ownership").await;
    let keys = database.lake().pseudonym_keys().unwrap().unwrap();
    assert_eq!(found, [format!("{}||", keys.all("ada").next().unwrap())], "the same owner again changes nothing");
    for status in ["open", "resolved"] {
        let sql = format!(
            "INSERT INTO incidents (incident_id, status, started_at, labels) VALUES ('i', '{status}', '2026-06-01', '{{\"user\": \"ada\"}}')"
        );
        database.sql(&sql).await.unwrap();
    }
    let found = rows(&database, "SELECT DISTINCT labels FROM incidents").await;
    assert_eq!(found, [format!("{{user: {}}}", keys.all("ada").next().unwrap())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_gets_in_while_the_rules_cannot_be_applied() {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("privacy.yaml");
    let database = database(&folder, None).await;
    let lake = database.lake();
    let receiver = receive(&database, receiving()).await.unwrap();
    let at = receiver.http_addr().unwrap();
    let wrong = "rules: [{table: spans, column: user, action: drop}]";
    for (text, code, says) in [
        (wrong, "42601", "privacy.yaml: spans has no column user"),
        (RULES, "22023", "privacy.yaml asks for pseudonyms in spans, and there is no key"),
    ] {
        std::fs::write(&rules, text).unwrap();
        let error = import(lake, "otlp", "a.json", SPAN, "").await.unwrap_err().describe();
        assert_eq!((error.code, error.message.as_str()), (code, says));
        assert!(text == wrong || error.hint.unwrap().contains("ASCRIBE_PSEUDONYM_KEYS_FILE"));
        let sql = "INSERT INTO spans (trace_id, span_id, start_time, user_id) VALUES ('a', 'b', '2026-06-30', 'ada')";
        assert_eq!(database.sql(sql).await.unwrap_err().describe().message, says);
        let answer = post(at, "/v1/traces", &[JSON], SPAN.as_bytes()).await;
        assert_eq!(answer.status, 503, "{}", answer.text());
        assert!(answer.text().contains(says), "{}", answer.text());
    }
    // Tables without such a rule need no key.
    database.sql("INSERT INTO slos (slo) VALUES ('a')").await.unwrap();
    assert_eq!(rows(&database, "SELECT count(*) FROM spans").await, ["0"]);
    std::fs::write(&rules, wrong).unwrap();
    assert!(receive(&database, receiving()).await.is_err(), "a server says at once that it would refuse everything");
    std::fs::remove_file(&rules).unwrap();
    assert_eq!(post(at, "/v1/traces", &[JSON], SPAN.as_bytes()).await.status, 200);
    receiver.shutdown().await.unwrap();
    assert_eq!(rows(&database, "SELECT user_id FROM spans").await, ["ada"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_the_rules_are_recorded_once() {
    let folder = tempfile::tempdir().unwrap();
    let insert = "INSERT INTO slos (slo, owner) VALUES ('a', 'ada')";
    let nodes = [database(&folder, Some(KEYS)).await, database(&folder, Some(KEYS)).await];
    nodes[0].sql(insert).await.unwrap();
    assert_eq!(rows(&nodes[0], "SELECT count(*) FROM system.audit").await, ["0"], "a lake without rules");
    let first = "rules: [{table: slos, column: owner, action: drop}]";
    for text in [first, "rules: [{table: slos, column: owner, action: pseudonym}]", first, ""] {
        open(folder.path(), Some(text), None);
        if text.is_empty() {
            std::fs::remove_file(folder.path().join("privacy.yaml")).unwrap();
        }
        for node in nodes.iter().chain(&nodes) {
            node.sql(insert).await.unwrap();
        }
    }
    let found = rows(&nodes[0], "SELECT statement FROM system.audit ORDER BY \"at\"").await;
    let keys = "; keys 1, 2 from 2026-07-01";
    let expected = [
        format!("PRIVACY RULES: slos.owner drop{keys}"),
        format!("PRIVACY RULES: slos.owner pseudonym{keys}"),
        format!("PRIVACY RULES: slos.owner drop{keys}"),
        "PRIVACY RULES: none".to_owned(),
    ];
    assert_eq!(found, expected);
    drop(nodes);
    let mut verify = std::process::Command::new(env!("CARGO_BIN_EXE_ascribe"));
    let verified = verify.args(["audit", "verify", "--lake"]).arg(folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&verified.stdout);
    assert!(verified.status.success() && said.contains("4 records in"), "{said}");
}

#[test]
fn keys_are_not_kept_in_the_lake() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("lake")).unwrap();
    std::fs::write(folder.path().join("lake/privacy.yaml"), "rules: [{table: slos, column: owner, action: pseudonym}]")
        .unwrap();
    for (place, works) in [("keys.yaml", true), ("lake/keys.yaml", false), ("missing.yaml", false)] {
        if place != "missing.yaml" {
            std::fs::write(folder.path().join(place), KEYS).unwrap();
        }
        let done = std::process::Command::new(env!("CARGO_BIN_EXE_ascribe"))
            .current_dir(folder.path())
            .args(["sql", "--lake", "lake", "-c", "INSERT INTO slos (slo, owner) VALUES ('a', 'ada')"])
            .env("ASCRIBE_PSEUDONYM_KEYS_FILE", place)
            .env_remove("ASCRIBE_PSEUDONYM_KEYS")
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!(done.status.success(), works, "{place}: {error}");
        assert!(works || error.contains("ASCRIBE_PSEUDONYM_KEYS_FILE: "), "{error}");
    }
}
