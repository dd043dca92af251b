//! What those who run a server see of it, and what one query may take.

use std::sync::Arc;
use std::time::Duration;

use ascribe::Database;
use ascribe::config::{Config, SESSION_REST};
use ascribe::server::http::{Receive, receive};
use ascribe::server::{Serve, serve};
use tokio_postgres::Client;

use crate::live::client::{Sender, encoded};
use crate::pgwire::{Fixture, one, simple};
use crate::security::{Guarded, PASSWORD, refused};

/// The value of a line of metrics.
fn metric(text: &str, name: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in\n{text}")).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_does_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(&folder.path().display().to_string()).await.unwrap();
    let options = Serve { listen: vec!["127.0.0.1:0".to_owned()], ..Serve::default() };
    let server = serve(database.clone(), options).await.unwrap();
    let receiving = receive(
        &database,
        Receive {
            http: Some("127.0.0.1:0".to_owned()),
            grpc: None,
            token: Some("secret".to_owned()),
            meters: Some(Arc::clone(server.meters())),
            ..Receive::default()
        },
    )
    .await
    .unwrap();
    let config = format!("host=127.0.0.1 port={} user=ada dbname=ascribe", server.local_addr().port());
    let (client, connection) = tokio_postgres::connect(&config, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    assert_eq!(simple(&client, "SELECT * FROM generate_series(1, 70)").await.len(), 70);
    client.simple_query("SELECT 1 / 0").await.unwrap_err();
    client.query("SELECT $1::int", &[&7]).await.unwrap();
    let mut sender = Sender::connect(receiving.http_addr().unwrap()).await.unwrap();
    let shown = [("authorization", "Bearer secret"), ("content-type", "application/x-protobuf")];
    let spans = encoded(1..4);
    assert_eq!(sender.send("POST", "/v1/traces", &shown, &spans).await.unwrap().status, 200);
    assert_eq!(sender.send("POST", "/v1/traces", &shown, b"\xff\xff").await.unwrap().status, 400);

    assert_eq!(sender.send("GET", "/metrics", &[], b"").await.unwrap().status, 401);
    let answer = sender.send("GET", "/metrics", &shown[..1], b"").await.unwrap();
    assert!(answer.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    let text = answer.text();
    assert!(text.ends_with("# EOF\n"), "{text}");
    assert_eq!(metric(&text, "ascribe_statements_total{sqlstate=\"00000\"}"), 2.0);
    assert_eq!(metric(&text, "ascribe_statements_total{sqlstate=\"22012\"}"), 1.0);
    assert_eq!(metric(&text, "ascribe_statement_duration_seconds_count"), 3.0);
    assert_eq!(metric(&text, "ascribe_rows_sent_total"), 71.0);
    assert_eq!(metric(&text, "ascribe_connections{state=\"idle\"}"), 1.0);
    assert_eq!(metric(&text, "ascribe_logins_total"), 1.0);
    assert_eq!(metric(&text, "ascribe_memory_limit_bytes"), 4.0 * f64::from(1 << 30));
    let endpoint = "{source=\"otlp\",endpoint=\"/v1/traces\"}";
    assert_eq!(metric(&text, &format!("ascribe_ingest_rows_total{endpoint}")), 3.0);
    assert_eq!(metric(&text, &format!("ascribe_ingest_requests_total{endpoint}")), 2.0);
    assert_eq!(metric(&text, &format!("ascribe_ingest_rejected_total{endpoint}")), 1.0);
    drop(client);
    receiving.shutdown().await.unwrap();
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_are_seen_while_they_run_and_when_they_have_ended() {
    let fixture = Fixture::start().await;
    let (client, other) = (fixture.connect().await, fixture.connect().await);
    simple(&client, "SELECT * FROM generate_series(1, 9)").await;
    client.simple_query("SELECT nothing").await.unwrap_err();
    client.simple_query("CREATE ROLE x PASSWORD 'sesame'").await.unwrap_err();
    let ended = "SELECT role, application_name, client_address, state, statement, rows, sqlstate, duration_micros >= 0, started_at <= now()
        FROM system.queries WHERE state = 'ended' ORDER BY started_at LIMIT 2";
    let told = |statement: &str, rows: &str, sqlstate: &str| {
        ["ada", "tests", "127.0.0.1", "ended", statement, rows, sqlstate, "t", "t"].map(str::to_owned).to_vec()
    };
    assert_eq!(
        simple(&other, ended).await,
        [told("SELECT * FROM generate_series(1, 9)", "9", "00000"), told("SELECT nothing", "NULL", "42703")]
    );
    assert_eq!(one(&other, "SELECT count(*) FROM system.queries WHERE statement LIKE 'CREATE%sesame%'").await, "0");
    // Itself is running.
    let active = "SELECT statement, sqlstate, pid = pg_backend_pid() FROM system.queries WHERE state = 'active'";
    assert_eq!(simple(&other, active).await, [[active, "NULL", "t"]]);
    // What a sort had in memory is told when it has ended.
    simple(&client, "SELECT * FROM generate_series(1, 100000) AS g(x) ORDER BY -x LIMIT 90000").await;
    let peak =
        "SELECT max(peak_memory) > 300000 FROM system.queries WHERE statement LIKE '%100000%' AND state = 'ended'";
    assert_eq!(one(&other, peak).await, "t");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_sees_its_own_statements_only() {
    let (_guarded, admin, ada) = Guarded::with_rows().await;
    simple(&ada, "SELECT 7").await;
    let roles = "SELECT DISTINCT role FROM system.queries ORDER BY 1";
    assert_eq!(simple(&ada, roles).await, [["ada"]]);
    assert_eq!(simple(&admin, roles).await, [["ada"], ["root"]]);
    assert_eq!(refused(&ada, "SELECT * FROM system.tables").await.0, "42501");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_session_has_the_memory_of_all() {
    let folder = tempfile::tempdir().unwrap();
    let config =
        Config { memory_limit: 128 << 20, session_memory_limit: 24 << 20, target_partitions: 1, ..Config::default() };
    let database = Database::open_with(&folder.path().display().to_string(), config).await.unwrap();
    let fixture = Fixture::over(folder, database).await;
    let (greedy, modest) = (fixture.connect().await, fixture.connect().await);
    // A hash join cannot do with files: it needs what its session may not have.
    let join = "SELECT count(*) FROM generate_series(1, 1000000) AS a(x) JOIN generate_series(1, 1000000) AS b(y) ON x::text = y::text";
    let error = greedy.simple_query(join).await.unwrap_err();
    let told = error.as_db_error().unwrap();
    assert_eq!(told.code().code(), "53200");
    assert!(told.hint().unwrap().contains("--session-memory"), "{told:?}");
    assert!(told.detail().unwrap().contains("one may have"), "{told:?}");
    // A sort can.
    let sort = "SELECT max(x) FROM (SELECT x FROM generate_series(1, 2000000) AS g(x) ORDER BY -x OFFSET 5) AS s";
    assert_eq!(one(&greedy, sort).await, "1999995");
    assert_eq!(one(&modest, "SELECT count(*) FROM generate_series(1, 100)").await, "100");
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_wait_for_others_but_not_for_slow_clients() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(&folder.path().display().to_string()).await.unwrap();
    let options = Serve {
        listen: vec!["127.0.0.1:0".to_owned()],
        active_statements: 1,
        queue_timeout: Duration::from_millis(300),
        ..Serve::default()
    };
    let fixture = Fixture::of(folder, serve(database, options).await.unwrap());
    let (busy, other) = (fixture.connect().await, fixture.connect().await);
    // A client that takes its time keeps nobody from computing.
    simple(&busy, "BEGIN").await;
    simple(&busy, "DECLARE c CURSOR FOR SELECT * FROM generate_series(1, 10000000)").await;
    assert_eq!(simple(&busy, "FETCH 1 FROM c").await.len(), 1);
    assert_eq!(one(&other, "SELECT count(*) FROM spans").await, "0");
    assert_eq!(simple(&busy, "FETCH 2 FROM c").await.len(), 2);
    simple(&busy, "COMMIT").await;
    // One that computes does, and the catalog does not wait.
    let endless = "SELECT count(*) FROM generate_series(1, 1000000000000) AS g(x) WHERE x % 7 = 3";
    let stop = busy.cancel_token();
    let computing = tokio::spawn(async move { busy.simple_query(endless).await.unwrap_err() });
    until_active(&other, "%1000000000000%").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let (code, message) = refused(&other, "SELECT count(*) FROM spans").await;
    assert_eq!(code, "53400", "{message}");
    assert_eq!(one(&other, "SELECT count(*) FROM pg_class WHERE relname = 'spans'").await, "1");
    assert_eq!(one(&other, "SELECT 1 + 1").await, "2");
    stop.cancel_query(tokio_postgres::NoTls).await.unwrap();
    assert_eq!(crate::pgwire::code(&computing.await.unwrap()), "57014");
    assert_eq!(one(&other, "SELECT count(*) FROM spans").await, "0");
}

/// A million millions of pairs, hardly any of which is a row.
const PAIRS: &str = "SELECT count(*) FROM generate_series(1, 1000000) AS a(x), generate_series(1, 1000000) AS b(y)
    WHERE (a.x * 7 + b.y) % 1000 = 3";

/// Wait until a statement runs that looks so.
async fn until_active(client: &Client, like: &str) {
    let running = format!(
        "SELECT count(*) FROM system.queries WHERE state = 'active' AND statement LIKE '{like}' AND pid <> pg_backend_pid()"
    );
    while one(client, &running).await == "0" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_join_that_looks_for_pairs_lets_others_ask_and_is_stopped() {
    let fixture = Fixture::start().await;
    let (busy, other) = (fixture.connect().await, fixture.connect().await);
    let stop = busy.cancel_token();
    let computing = tokio::spawn(async move { (busy.simple_query(PAIRS).await.unwrap_err(), busy) });
    until_active(&other, "%a.x * 7%").await;
    for at in 1..=20 {
        assert_eq!(one(&other, &format!("SELECT {at} + count(*) FROM spans")).await, at.to_string());
    }
    assert!(!computing.is_finished());
    stop.cancel_query(tokio_postgres::NoTls).await.unwrap();
    let (error, busy) = computing.await.unwrap();
    assert_eq!(crate::pgwire::code(&error), "57014");
    assert_eq!(one(&busy, "SELECT 1 + 1").await, "2");
    simple(&busy, "SET statement_timeout = 300").await;
    assert_eq!(crate::pgwire::code(&busy.simple_query(PAIRS).await.unwrap_err()), "57014");
    assert_eq!(one(&busy, "SELECT 1 + 1").await, "2");
}

/// The one thread of this test computes and looks at the clock.
#[tokio::test]
async fn a_join_in_the_same_process_is_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config { target_partitions: 1, ..Config::default() };
    let database = Database::open_with(&folder.path().display().to_string(), config).await.unwrap();
    database.sql("SET statement_timeout = 300").await.unwrap();
    assert_eq!(database.sql(PAIRS).await.unwrap_err().sqlstate(), "57014");
    assert_eq!(database.sql("SELECT 1").await.unwrap()[0].num_rows(), 1);
}

/// The severity and the code of an error.
fn told(error: &tokio_postgres::Error) -> (&str, &str) {
    let told = error.as_db_error().unwrap_or_else(|| panic!("{error}"));
    (told.severity(), told.code().code())
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_and_connections_are_ended_by_others() {
    let fixture = Fixture::start().await;
    let (busy, other) = (fixture.connect().await, fixture.connect().await);
    let pid = one(&busy, "SELECT pg_backend_pid()").await;
    // Nothing is done by planning.
    simple(&other, &format!("EXPLAIN SELECT pg_terminate_backend({pid})")).await;
    let prepared = other.prepare(&format!("SELECT pg_cancel_backend(0), pg_terminate_backend({pid})")).await.unwrap();
    assert_eq!(one(&busy, "SELECT 1").await, "1");
    let nobody = "SELECT pg_cancel_backend(0), pg_terminate_backend(2147483647), pg_cancel_backend(NULL::int)
        FROM generate_series(1, 2)";
    assert_eq!(simple(&other, nobody).await, [["f", "f", "NULL"], ["f", "f", "NULL"]]);
    for (sql, code) in [("SELECT pg_terminate_backend(0, -1)", "22003"), ("SELECT pg_terminate_backend(0, 5)", "0A000")]
    {
        assert_eq!(refused(&other, sql).await.0, code, "{sql}");
    }

    // Who does nothing is not cancelled later.
    assert_eq!(one(&other, &format!("SELECT pg_cancel_backend({pid})")).await, "t");
    assert_eq!(one(&busy, "SELECT 1").await, "1");
    let computing = tokio::spawn(async move { (busy.simple_query(PAIRS).await.unwrap_err(), busy) });
    until_active(&other, "%a.x * 7%").await;
    let stop = "SELECT pid::text, pg_cancel_backend(pid) FROM pg_stat_activity
        WHERE query LIKE '%a.x * 7%' AND pid <> pg_backend_pid()";
    assert_eq!(simple(&other, stop).await, [[pid.as_str(), "t"]]);
    let (error, busy) = computing.await.unwrap();
    assert_eq!(told(&error), ("ERROR", "57014"));
    assert_eq!(one(&busy, "SELECT pg_backend_pid()").await, pid);

    let computing = tokio::spawn(async move { busy.simple_query(PAIRS).await.unwrap_err() });
    until_active(&other, "%a.x * 7%").await;
    let ended = other.query_one(&prepared, &[]).await.unwrap();
    assert_eq!((ended.get::<_, bool>(0), ended.get::<_, bool>(1)), (false, true));
    assert_eq!(told(&computing.await.unwrap()), ("FATAL", "57P01"));

    // Who waits for its client is told as well.
    let (client, connection) = fixture.config().connect(tokio_postgres::NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    let pid = one(&client, "SELECT pg_backend_pid()").await;
    assert_eq!(one(&other, &format!("SELECT pg_terminate_backend({pid}, 0)")).await, "t");
    assert_eq!(told(&connection.await.unwrap().unwrap_err()), ("FATAL", "57P01"));
    while one(&other, &format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {pid}")).await != "0" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(one(&other, &format!("SELECT pg_terminate_backend({pid})")).await, "f");

    // Oneself.
    let error = other.simple_query("SELECT pg_cancel_backend(pg_backend_pid())").await.unwrap_err();
    assert_eq!(told(&error), ("ERROR", "57014"));
    let error = other.simple_query("SELECT pg_terminate_backend(pg_backend_pid())").await.unwrap_err();
    assert_eq!(told(&error), ("FATAL", "57P01"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_ends_what_its_own_roles_do_only() {
    let (guarded, admin, ada) = Guarded::with_rows().await;
    simple(&admin, &format!("CREATE USER bob PASSWORD '{PASSWORD}'")).await;
    let (bob, again) = (guarded.connect("bob").await, guarded.connect("ada").await);
    let root = one(&admin, "SELECT pg_backend_pid()").await;
    let others = one(&bob, "SELECT pg_backend_pid()").await;
    let own = one(&again, "SELECT pg_backend_pid()").await;
    let last = one(&ada, "SELECT pg_backend_pid()").await;
    for (sql, message) in [
        (format!("SELECT pg_cancel_backend({root})"), "must be a superuser to cancel superuser query"),
        (format!("SELECT pg_terminate_backend({root})"), "must be a superuser to terminate superuser process"),
        (
            format!("SELECT pg_cancel_backend({others})"),
            "must be a member of the role whose query is being canceled or member of pg_signal_backend",
        ),
        (
            format!("SELECT pg_terminate_backend({others})"),
            "must be a member of the role whose process is being terminated or member of pg_signal_backend",
        ),
    ] {
        assert_eq!(refused(&ada, &sql).await, ("42501".to_owned(), message.to_owned()), "{sql}");
    }
    assert_eq!(one(&bob, "SELECT 1").await, "1");
    assert_eq!(one(&ada, &format!("SELECT pg_terminate_backend({own})")).await, "t");
    simple(&admin, "GRANT bob TO ada").await;
    assert_eq!(one(&ada, &format!("SELECT pg_terminate_backend({others})")).await, "t");
    assert_eq!(one(&admin, &format!("SELECT pg_terminate_backend({last})")).await, "t");
    for client in [again, bob, ada] {
        while !client.is_closed() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_has_set_and_made_outlasts_its_silence() {
    let fixture = Fixture::start().await;
    let client = fixture.connect().await;
    simple(&client, "SET TimeZone = 'Asia/Tokyo'").await;
    simple(&client, "SET datafusion.optimizer.max_passes = 2").await;
    simple(&client, "CREATE TEMP VIEW mine AS SELECT timestamptz '2026-03-01 00:00Z' AS at").await;
    simple(&client, "PREPARE asked AS SELECT at FROM mine").await;
    let prepared = client.prepare("SELECT $1::int + count(*) FROM mine").await.unwrap();
    tokio::time::sleep(SESSION_REST + Duration::from_secs(1)).await;
    assert_eq!(simple(&client, "EXECUTE asked").await, [["2026-03-01 09:00:00+09"]]);
    assert_eq!(one(&client, "SHOW datafusion.optimizer.max_passes").await, "2");
    let row = client.query_one(&prepared, &[&7]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 8);
    // What is begun needs what it has begun with.
    simple(&client, "BEGIN; DECLARE c CURSOR FOR SELECT * FROM generate_series(1, 100000)").await;
    assert_eq!(simple(&client, "FETCH 1 FROM c").await.len(), 1);
    tokio::time::sleep(SESSION_REST + Duration::from_secs(1)).await;
    assert_eq!(simple(&client, "FETCH ALL FROM c").await.len(), 99_999);
    simple(&client, "COMMIT").await;
}
