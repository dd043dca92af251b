//! The server as a client sees it, over sockets.

use std::time::{Duration, Instant};

use ascribe::Database;
use ascribe::server::{Serve, Server, serve};
use futures::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

pub(crate) struct Fixture {
    _folder: tempfile::TempDir,
    server: Server,
}

impl Fixture {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().display().to_string()).await.unwrap();
        Self::over(folder, database).await
    }

    /// A server of a database whose files are in the folder.
    pub(crate) async fn over(folder: tempfile::TempDir, database: Database) -> Self {
        let options = Serve { listen: vec!["127.0.0.1:0".to_owned()], ..Serve::default() };
        Self::of(folder, serve(database, options).await.unwrap())
    }

    pub(crate) fn of(folder: tempfile::TempDir, server: Server) -> Self {
        Self { _folder: folder, server }
    }

    pub(crate) fn config(&self) -> Config {
        let mut config = Config::new();
        let port = self.server.local_addr().port();
        config.host("127.0.0.1").port(port).user("ada").dbname("ascribe").application_name("tests");
        config
    }

    pub(crate) async fn connect(&self) -> Client {
        let (client, connection) = self.config().connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }
}

pub(crate) fn code(error: &tokio_postgres::Error) -> String {
    error.code().map_or_else(|| format!("not of the server: {error:?}"), |state| state.code().to_owned())
}

/// The rows of the last statement of a message, as text; a null is `NULL`.
pub(crate) async fn simple(client: &Client, sql: &str) -> Vec<Vec<String>> {
    let messages = client.simple_query(sql).await.unwrap();
    let rows = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    rows.map(|row| (0..row.len()).map(|at| row.get(at).unwrap_or("NULL").to_owned()).collect()).collect()
}

pub(crate) async fn one(client: &Client, sql: &str) -> String {
    simple(client, sql).await.remove(0).remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_printed_like_postgresql_prints_them() {
    let fixture = Fixture::start().await;
    let client = fixture.connect().await;
    for (sql, expected) in [
        ("SELECT true", "t"),
        ("SELECT 1.5::numeric(38,12)", "1.500000000000"),
        ("SELECT 1e15::float8", "1e+15"),
        ("SELECT 'NaN'::float8", "NaN"),
        ("SELECT timestamptz '2026-03-01 10:00:00+00'", "2026-03-01 10:00:00+00"),
        ("SELECT timestamp '2026-03-01 10:00:00.120'", "2026-03-01 10:00:00.12"),
        ("SELECT date '2026-03-01'", "2026-03-01"),
        ("SELECT interval '1 month 2 days 3 hours 4 minutes 5 seconds'", "1 mon 2 days 03:04:05"),
        ("SELECT ARRAY['a', 'c d', NULL]", "{a,\"c d\",NULL}"),
        ("SELECT NULL::interval", "NULL"),
        ("SELECT 'a;b'; ", "a;b"),
    ] {
        assert_eq!(one(&client, sql).await, expected, "{sql}");
    }
    simple(&client, "SET TimeZone = 'Europe/Berlin'").await;
    assert_eq!(one(&client, "SELECT timestamptz '2026-07-01 10:00:00+00'").await, "2026-07-01 12:00:00+02");
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_are_typed_inferred_and_bound() {
    let fixture = Fixture::start().await;
    let client = fixture.connect().await;
    let insert = "INSERT INTO changes (change_id, service_name, kind, started_at) VALUES ($1, $2, $3, $4)";
    let when = std::time::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    for (id, service) in [("c1", "cart"), ("c2", "checkout"), ("c3", "payment")] {
        let rows = client.execute(insert, &[&id, &service, &"deploy", &when]).await.unwrap();
        assert_eq!(rows, 1);
    }
    let statement =
        client.prepare("SELECT change_id FROM changes WHERE service_name = any($1) ORDER BY 1").await.unwrap();
    assert_eq!(statement.params()[0].name(), "_text");
    let wanted: &[&(dyn ToSql + Sync)] = &[&vec!["cart", "payment"]];
    let rows = client.query(&statement, wanted).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>(), ["c1", "c3"]);

    let row = client
        .query_one("SELECT started_at, count(*) FROM changes WHERE started_at >= $1 GROUP BY 1", &[&when])
        .await
        .unwrap();
    assert_eq!((row.get::<_, std::time::SystemTime>(0), row.get::<_, i64>(1)), (when, 3));
    assert_eq!(row.columns()[1].name(), "count");

    let row = client
        .query_one(
            "SELECT $1::int4, $2::float8, $3::bool, $4::text, $5::bytea, $6::int8[]",
            &[&42i32, &2.5f64, &true, &"x", &vec![0u8, 255], &vec![Some(1i64), None]],
        )
        .await
        .unwrap();
    assert_eq!(row.get::<_, i32>(0), 42);
    assert_eq!(row.get::<_, f64>(1), 2.5);
    assert!(row.get::<_, bool>(2));
    assert_eq!(row.get::<_, String>(3), "x");
    assert_eq!(row.get::<_, Vec<u8>>(4), [0, 255]);
    assert_eq!(row.get::<_, Vec<Option<i64>>>(5), [Some(1), None]);
    let null = client.query_one("SELECT $1::text", &[&None::<String>]).await.unwrap();
    assert_eq!(null.get::<_, Option<String>>(0), None);
}

const MANY: &str =
    "SELECT a.value * 3000 + b.value AS n FROM generate_series(0, 2999) AS a CROSS JOIN generate_series(0, 2999) AS b";

#[tokio::test(flavor = "multi_thread")]
async fn rows_arrive_while_the_query_runs_and_stop_when_nobody_wants_them() {
    let fixture = Fixture::start().await;
    let client = fixture.connect().await;
    let begin = Instant::now();
    let rows = client.query_raw(MANY, Vec::<String>::new()).await.unwrap();
    tokio::pin!(rows);
    for _ in 0..1000 {
        rows.next().await.unwrap().unwrap();
    }
    let first = begin.elapsed();
    let cancel = client.cancel_token();
    cancel.cancel_query(NoTls).await.unwrap();
    let mut count = 1000;
    let error = loop {
        match rows.next().await.unwrap() {
            Ok(_) => count += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(code(&error), "57014");
    assert!(count < 9_000_000);
    assert!(first < Duration::from_secs(20), "{first:?}");
    assert_eq!(one(&client, "SELECT 1").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_ends_at_its_timeout() {
    let fixture = Fixture::start().await;
    let client = fixture.connect().await;
    simple(&client, "SET statement_timeout = 300").await;
    let slow = format!("SELECT count(*) FROM ({MANY}) x JOIN ({MANY}) y ON x.n % 7 = y.n % 11");
    let begin = Instant::now();
    let error = client.simple_query(&slow).await.unwrap_err();
    assert_eq!(code(&error), "57014");
    assert!(begin.elapsed() < Duration::from_secs(10));
    assert_eq!(one(&client, "SHOW statement_timeout").await, "300ms");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_portal_is_read_in_parts() {
    let fixture = Fixture::start().await;
    let mut client = fixture.connect().await;
    let transaction = client.transaction().await.unwrap();
    let portal = transaction.bind("SELECT value FROM generate_series(1, 250) ORDER BY value", &[]).await.unwrap();
    let mut sizes = Vec::new();
    loop {
        let rows = transaction.query_portal(&portal, 100).await.unwrap();
        sizes.push(rows.len());
        if rows.len() < 100 {
            assert_eq!(rows.last().unwrap().get::<_, i64>(0), 250);
            break;
        }
    }
    assert_eq!(sizes, [100, 100, 50]);
    transaction.batch_execute("DECLARE c CURSOR FOR SELECT value FROM generate_series(1, 5) ORDER BY 1").await.unwrap();
    let rows = transaction.simple_query("FETCH 2 FROM c; MOVE c; FETCH ALL c").await.unwrap();
    let values: Vec<_> = rows
        .iter()
        .filter_map(|row| match row {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        })
        .collect();
    assert_eq!(values, ["1", "2", "4", "5"]);
    // At its end a cursor stays there.
    for (sql, tag) in [("FETCH c", 0), ("MOVE ALL c", 0), ("FETCH ALL c", 0)] {
        let done = transaction.simple_query(sql).await.unwrap();
        assert!(
            matches!(done.as_slice(), [.., SimpleQueryMessage::CommandComplete(rows)] if *rows == tag),
            "{sql}: {done:?}"
        );
    }
    transaction.commit().await.unwrap();
    let error = client.simple_query("FETCH c").await.unwrap_err();
    assert_eq!(code(&error), "34000");
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_have_the_codes_and_words_of_postgresql() {
    let fixture = Fixture::start().await;
    let client = fixture.connect().await;
    client.simple_query("INSERT INTO changes (change_id) VALUES ('a'), ('b')").await.unwrap();
    for (sql, state, message) in [
        ("SELECT * FROM nope", "42P01", "relation \"nope\" does not exist"),
        ("SELECT nope FROM spans", "42703", "column \"nope\" does not exist"),
        ("SELECT nope(1)", "42883", "function nope does not exist"),
        ("SELEC 1", "42601", "syntax error at or near \"SELEC\""),
        ("SELECT 1 / 0", "22012", "division by zero"),
        (
            "SELECT count(*) OVER (ORDER BY attributes) FROM changes",
            "0A000",
            "a window cannot be ordered by a map or a list",
        ),
        ("SELECT max(attributes) FROM changes", "42883", "the function has no such form"),
        (
            "INSERT INTO changes (change_id) VALUES ((SELECT change_id FROM changes LIMIT 1))",
            "0A000",
            "a subquery among VALUES is not supported",
        ),
        (
            "SELECT mann_whitney_u(1, t, 'x') FROM (VALUES ('a'), ('b')) v (t)",
            "22023",
            "mann_whitney_u: there is no part \"x\"",
        ),
        (
            "SELECT mann_whitney_u(1, t, t) OVER (ORDER BY t) FROM (VALUES ('a'), ('b')) v (t)",
            "22023",
            "mann_whitney_u: the part must be the same in every row",
        ),
        ("SELECT 'x'::int", "22P02", "invalid input syntax for type integer: \"x\""),
        ("SHOW nothing", "42704", "unrecognized configuration parameter \"nothing\""),
        ("FETCH c", "34000", "cursor \"c\" does not exist"),
        ("DELETE FROM spans", "0A000", "DELETE FROM is not supported"),
        ("COPY spans TO '/tmp/x'", "0A000", "COPY TO a file or program is not supported"),
    ] {
        let error = client.simple_query(sql).await.unwrap_err();
        assert_eq!((code(&error).as_str(), error.as_db_error().unwrap().message()), (state, message), "{sql}");
        let extended = client.query(sql, &[]).await.unwrap_err();
        assert_eq!(code(&extended), state, "{sql}");
    }
    let error = client.simple_query("SELECT 1,\n  nope FROM spans").await.unwrap_err();
    let position = error.as_db_error().unwrap().position().cloned();
    assert_eq!(position, Some(tokio_postgres::error::ErrorPosition::Original(13)));
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_do_not_see_each_other_and_rollback_takes_settings_back() {
    let fixture = Fixture::start().await;
    let (first, second) = (fixture.connect().await, fixture.connect().await);
    simple(&first, "SET application_name = 'one'; SET TimeZone = 'Asia/Tokyo'").await;
    simple(&first, "CREATE TEMP VIEW mine AS SELECT 7 AS n").await;
    assert_eq!(one(&first, "SELECT n FROM mine").await, "7");
    assert_eq!(one(&second, "SHOW application_name").await, "tests");
    assert_eq!(one(&second, "SHOW TimeZone").await, "UTC");
    assert_eq!(code(&second.simple_query("SELECT * FROM mine").await.unwrap_err()), "42P01");

    simple(&first, "BEGIN; SET TimeZone = 'Europe/Paris'; ROLLBACK").await;
    assert_eq!(one(&first, "SHOW TimeZone").await, "Asia/Tokyo");
    simple(&first, "BEGIN; SET LOCAL TimeZone = 'Europe/Paris'").await;
    assert_eq!(one(&first, "SHOW TimeZone").await, "Europe/Paris");
    simple(&first, "COMMIT").await;
    assert_eq!(one(&first, "SHOW TimeZone").await, "Asia/Tokyo");
    simple(&first, "DISCARD ALL").await;
    assert_eq!(one(&first, "SHOW TimeZone").await, "UTC");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_is_never_applied_and_then_kept_by_rollback() {
    let fixture = Fixture::start().await;
    let client = fixture.connect().await;
    simple(&client, "BEGIN").await;
    let insert = "INSERT INTO changes (change_id) VALUES ('x')";
    assert_eq!(code(&client.simple_query(insert).await.unwrap_err()), "0A000");
    assert_eq!(code(&client.simple_query("SELECT 1").await.unwrap_err()), "25P02");
    simple(&client, "ROLLBACK").await;
    assert_eq!(code(&client.simple_query(&format!("{insert}; SELECT 1/0")).await.unwrap_err()), "0A000");
    assert_eq!(one(&client, "SELECT count(*) FROM changes").await, "0");
    let messages = client.simple_query(insert).await.unwrap();
    assert!(matches!(messages.as_slice(), [SimpleQueryMessage::CommandComplete(1)]));
    assert_eq!(one(&client, "SELECT count(*) FROM changes").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_statements_in_a_message_only_the_last_may_write() {
    let fixture = Fixture::start().await;
    let client = fixture.connect().await;
    let insert = |id: &str| format!("INSERT INTO changes (change_id) VALUES ('{id}')");
    let ids = "SELECT string_agg(change_id, ',' ORDER BY change_id) FROM changes";
    let several = format!("{}; {}", insert("a"), insert("b"));
    assert_eq!(code(&client.simple_query(&several).await.unwrap_err()), "0A000");
    assert_eq!(one(&client, "SELECT count(*) FROM changes").await, "0");
    let messages = client.simple_query(&format!("SELECT 1; {}", insert("a"))).await.unwrap();
    let writes = messages.iter().filter(|message| matches!(message, SimpleQueryMessage::CommandComplete(1))).count();
    assert_eq!((writes, one(&client, ids).await.as_str()), (2, "a"));
    // Of a message that cannot be read nothing is written.
    assert_eq!(code(&client.simple_query(&format!("SELEC; {}", insert("b"))).await.unwrap_err()), "42601");
    assert_eq!(one(&client, ids).await, "a");
}

#[tokio::test(flavor = "multi_thread")]
async fn copy_sends_text_and_csv() {
    let fixture = Fixture::start().await;
    let client = fixture.connect().await;
    let copied = async |sql: &str| {
        let stream = client.copy_out(sql).await.unwrap();
        let parts: Vec<_> = stream.map(|part| part.unwrap().to_vec()).collect().await;
        String::from_utf8(parts.concat()).unwrap()
    };
    let query = "SELECT * FROM (VALUES (1, 'a,b'), (2, NULL)) AS t(n, s) ORDER BY n";
    assert_eq!(copied(&format!("COPY ({query}) TO STDOUT")).await, "1\ta,b\n2\t\\N\n");
    assert_eq!(copied(&format!("COPY ({query}) TO STDOUT WITH (FORMAT csv, HEADER)")).await, "n,s\n1,\"a,b\"\n2,\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_message_end_only_their_own_connection() {
    let fixture = Fixture::start().await;
    let client = fixture.connect().await;
    for garbage in
        [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 64], &[0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f], b"\0\0\0\x09\0\x03\0\0\0"]
    {
        let mut socket = tokio::net::TcpStream::connect(fixture.server.local_addr()).await.unwrap();
        socket.write_all(garbage).await.unwrap();
        socket.shutdown().await.unwrap();
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(10), socket.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "{garbage:?}");
    }
    let mut socket = tokio::net::TcpStream::connect(fixture.server.local_addr()).await.unwrap();
    socket.write_all(b"\0\0\0\x12\0\x03\0\0user\0ada\0\0").await.unwrap();
    socket.write_all(b"Q\x3f\xff\xff\xff").await.unwrap();
    let mut rest = Vec::new();
    tokio::time::timeout(Duration::from_secs(10), socket.read_to_end(&mut rest)).await.unwrap().unwrap();
    assert!(rest.windows(5).any(|window| window == b"08P01"));
    assert_eq!(one(&client, "SELECT 1").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_listens_to_the_machine_only_and_says_goodbye() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(&folder.path().display().to_string()).await.unwrap();
    let open = |allow: bool| Serve {
        listen: vec!["0.0.0.0:0".to_owned()],
        allow_unauthenticated_remote: allow,
        ..Serve::default()
    };
    let refused = serve(database.clone(), open(false)).await.unwrap_err();
    assert_eq!(refused.sqlstate(), "28000");
    serve(database, open(true)).await.unwrap().shutdown().await;

    let fixture = Fixture::start().await;
    let client = fixture.connect().await;
    let running = tokio::spawn(async move {
        client.simple_query(&format!("SELECT count(*) FROM ({MANY}) x JOIN ({MANY}) y ON x.n % 7 = y.n % 11")).await
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let begin = Instant::now();
    fixture.server.shutdown().await;
    assert_eq!(code(&running.await.unwrap().unwrap_err()), "57P01");
    assert!(begin.elapsed() < Duration::from_secs(5));
}
