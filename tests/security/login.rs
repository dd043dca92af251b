//! Logging in.

use std::time::Duration;

use ascribe::Database;
use ascribe::security::{Change, RoleOptions};
use ascribe::server::{Serve, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{ADMIN, Guarded, PASSWORD, change, refused};
use crate::pgwire::{code, one, simple};

fn failed(connected: Result<tokio_postgres::Client, tokio_postgres::Error>) -> (String, String) {
    let error = connected.err().unwrap();
    (code(&error), error.as_db_error().map(|error| error.message().to_owned()).unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_knows_the_password_is_let_in() {
    let guarded = Guarded::start().await;
    let admin = guarded.connect(ADMIN).await;
    assert_eq!(one(&admin, "SELECT current_user").await, ADMIN);
    let wrong = failed(guarded.try_connect(ADMIN, "another").await);
    assert_eq!(wrong, ("28P01".to_owned(), "password authentication failed for user \"root\"".to_owned()));
    let unknown = failed(guarded.try_connect("nobody", PASSWORD).await);
    assert_eq!(unknown, ("28P01".to_owned(), "password authentication failed for user \"nobody\"".to_owned()));

    simple(&admin, "CREATE ROLE team PASSWORD 'p'").await;
    assert_eq!(failed(guarded.try_connect("team", "p").await).0, "28000");
    simple(&admin, "CREATE USER late PASSWORD 'p' VALID UNTIL '2020-01-01'").await;
    assert_eq!(failed(guarded.try_connect("late", "p").await).0, "28P01");
    simple(&admin, "CREATE USER once PASSWORD 'p' CONNECTION LIMIT 1").await;
    let first = guarded.try_connect("once", "p").await.unwrap();
    assert_eq!(failed(guarded.try_connect("once", "p").await).0, "53300");
    drop(first);
    simple(&admin, "CREATE USER bare").await;
    assert_eq!(failed(guarded.try_connect("bare", "").await).0, "28P01");
    simple(&admin, "ALTER ROLE team LOGIN; ALTER ROLE team PASSWORD 'q'").await;
    assert_eq!(failed(guarded.try_connect("team", "p").await).0, "28P01");
    guarded.try_connect("team", "q").await.unwrap();
}

/// The first message of an exchange for a user: salt and iterations, without the nonce.
async fn challenge(guarded: &Guarded, user: &str) -> String {
    let mut socket = tokio::net::TcpStream::connect(guarded.server.local_addr()).await.unwrap();
    let mut packet = b"\0\x03\0\0user\0".to_vec();
    packet.extend_from_slice(user.as_bytes());
    packet.extend_from_slice(b"\0\0");
    socket.write_all(&u32::try_from(packet.len() + 4).unwrap().to_be_bytes()).await.unwrap();
    socket.write_all(&packet).await.unwrap();
    let mut message = async || {
        let mut head = [0; 5];
        socket.read_exact(&mut head).await.unwrap();
        let mut body = vec![0; usize::try_from(u32::from_be_bytes(head[1..].try_into().unwrap())).unwrap() - 4];
        socket.read_exact(&mut body).await.unwrap();
        body
    };
    assert_eq!(message().await, b"\0\0\0\x0aSCRAM-SHA-256\0\0");
    let first = b"n,,n=,r=abcdefgh";
    let mut answer = b"p".to_vec();
    answer.extend_from_slice(&u32::try_from(4 + 14 + 4 + first.len()).unwrap().to_be_bytes());
    answer.extend_from_slice(b"SCRAM-SHA-256\0");
    answer.extend_from_slice(&u32::try_from(first.len()).unwrap().to_be_bytes());
    answer.extend_from_slice(first);
    socket.write_all(&answer).await.unwrap();
    let mut reply = vec![0; 4096];
    let read = socket.read(&mut reply).await.unwrap();
    let text = String::from_utf8_lossy(&reply[9..read]).into_owned();
    text.split_once(',').unwrap().1.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_exist_is_not_told_from_who_does() {
    let guarded = Guarded::start().await;
    let (one, again) = (challenge(&guarded, "nobody").await, challenge(&guarded, "nobody").await);
    assert_eq!(one, again);
    let (real, other) = (challenge(&guarded, ADMIN).await, challenge(&guarded, "nobody else").await);
    assert_ne!(one, other);
    for text in [&one, &real, &other] {
        assert!(text.starts_with("s=") && text.ends_with("==,i=4096") && text.len() == real.len(), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_fails_often_has_to_wait() {
    let mut options = Serve::default();
    options.login.first = Duration::from_secs(3600);
    options.login.longest = Duration::from_secs(3600);
    let guarded = Guarded::with(options).await;
    for _ in 0..5 {
        assert_eq!(failed(guarded.try_connect(ADMIN, "wrong").await).0, "28P01");
    }
    // Whoever knows the password waits as well; the hour is far away.
    assert!(tokio::time::timeout(Duration::from_secs(3), guarded.try_connect(ADMIN, PASSWORD)).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_says_nothing_is_not_waited_for() {
    let mut options = Serve::default();
    options.login.timeout = Duration::from_millis(500);
    let guarded = Guarded::with(options).await;
    let mut silent = tokio::net::TcpStream::connect(guarded.server.local_addr()).await.unwrap();
    let mut rest = Vec::new();
    tokio::time::timeout(Duration::from_secs(5), silent.read_to_end(&mut rest)).await.unwrap().unwrap();
    assert!(rest.is_empty());
    let mut silent = tokio::net::TcpStream::connect(guarded.server.local_addr()).await.unwrap();
    silent.write_all(b"\0\0\0\x12\0\x03\0\0user\0ada\0\0").await.unwrap();
    tokio::time::timeout(Duration::from_secs(5), silent.read_to_end(&mut rest)).await.unwrap().unwrap();
    assert!(rest.windows(7).any(|window| window == b"timeout"), "{}", String::from_utf8_lossy(&rest));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lake_without_roles_is_open_to_this_machine_only() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(&folder.path().display().to_string()).await.unwrap();
    let beyond = || Serve { listen: vec!["0.0.0.0:0".to_owned()], ..Serve::default() };
    assert_eq!(serve(database.clone(), beyond()).await.unwrap_err().sqlstate(), "28000");
    let first = change(&database, Change::CreateRole("a".to_owned(), RoleOptions::default())).await;
    assert_eq!(first.unwrap_err().sqlstate(), "2BP01");
    let mut options = RoleOptions { login: Some(true), superuser: Some(true), ..RoleOptions::default() };
    options.password("x").unwrap();
    change(&database, Change::CreateRole("a".to_owned(), options)).await.unwrap();
    serve(database.clone(), beyond()).await.unwrap().shutdown().await;
    let encrypted = Serve { tls_required: true, ..beyond() };
    assert_eq!(serve(database, encrypted).await.unwrap_err().sqlstate(), "22023");
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_are_made_changed_and_dropped() {
    let guarded = Guarded::start().await;
    let admin = guarded.connect(ADMIN).await;
    simple(&admin, "CREATE ROLE readers; CREATE USER ada WITH PASSWORD 'p' IN ROLE readers").await;
    for (sql, state) in [
        ("CREATE ROLE ada", "42710"),
        ("CREATE ROLE pg_x", "42939"),
        ("ALTER ROLE nobody LOGIN", "42704"),
        ("DROP ROLE nobody", "42704"),
        ("GRANT nobody TO ada", "42704"),
        ("GRANT ada TO readers", "0LP01"),
        ("DROP ROLE root", "2BP01"),
        ("ALTER ROLE root NOSUPERUSER", "2BP01"),
        ("CREATE ROLE x CREATEDB", "0A000"),
        ("CREATE ROLE x PASSWORD ''", "22023"),
        ("CREATE ROLE x PASSWORD 'md5aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'", "0A000"),
        ("CREATE ROLE x SHINY", "42601"),
        ("CREATE ROLE x PASSWORD", "42601"),
        ("BEGIN; CREATE ROLE x; COMMIT", "0A000"),
    ] {
        assert_eq!(refused(&admin, sql).await.0, state, "{sql}");
        simple(&admin, "ROLLBACK").await;
    }
    simple(&admin, "DROP ROLE IF EXISTS nobody").await;
    let ada = guarded.try_connect("ada", "p").await.unwrap();
    assert_eq!(refused(&ada, "CREATE ROLE x").await.0, "42501");
    assert_eq!(refused(&ada, "ALTER ROLE ada SUPERUSER").await.0, "42501");
    assert_eq!(refused(&ada, "ALTER ROLE ada PASSWORD 'x' SUPERUSER").await.0, "42501");
    assert_eq!(refused(&ada, "ALTER ROLE root PASSWORD 'x'").await.0, "42501");
    simple(&ada, "ALTER ROLE ada PASSWORD 'new'").await;
    guarded.try_connect("ada", "new").await.unwrap();
    let shown = "SELECT rolname, rolsuper, rolcanlogin, rolpassword FROM pg_roles WHERE rolname IN ('ada', 'readers', 'root') ORDER BY 1";
    assert_eq!(
        simple(&ada, shown).await,
        [["ada", "f", "t", "********"], ["readers", "f", "f", "********"], ["root", "t", "t", "********"]]
    );
    assert_eq!(one(&ada, "SELECT pg_has_role('readers', 'member')").await, "t");
    simple(&admin, "REVOKE readers FROM ada").await;
    assert_eq!(one(&ada, "SELECT pg_has_role('readers', 'member')").await, "f");
    simple(&admin, "DROP USER ada").await;
    assert_eq!(refused(&ada, "SELECT * FROM changes").await.0, "42501");
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_are_not_shown_to_anybody() {
    let guarded = Guarded::start().await;
    let admin = guarded.connect(ADMIN).await;
    simple(&admin, "CREATE ROLE a PASSWORD 'hunter2'").await;
    for sql in [
        "CREATE ROLE b PASSWORD PASSWORD 'hunter2' 'x'",
        "CREATE ROLE a PASSWORD 'hunter2'",
        "ALTER ROLE a PASWORD 'hunter2'",
        "ALTER ROLE a PASSWORD 'hunter2",
    ] {
        let error = admin.simple_query(sql).await.unwrap_err();
        assert!(!format!("{:?}", error.as_db_error().unwrap()).contains("hunter2"), "{error:?}");
    }
    let other = guarded.connect(ADMIN).await;
    let queries = simple(&other, "SELECT query FROM pg_stat_activity").await;
    assert!(queries.iter().flatten().any(|query| query.contains("hidden")), "{queries:?}");
    assert!(!queries.iter().flatten().any(|query| query.contains("hunter2")));
    // Nor to who can read the lake's files.
    let path = guarded.folder.path().join("security");
    for entry in std::fs::read_dir(path).unwrap() {
        assert!(!std::fs::read_to_string(entry.unwrap().path()).unwrap().contains("hunter2"));
    }
}
