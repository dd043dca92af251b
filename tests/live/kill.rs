//! The program killed while it receives: no acknowledged span is missing, none is there twice.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ascribe::Database;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinSet;

use super::client::{PROTOBUF, Sender, encoded};
use super::rows;

/// Kills of a normal run; `ASCRIBE_TEST_KILLS` asks for more.
pub const KILLS: u64 = 100;
const SENDERS: u64 = 8;
const SPANS: u64 = 25;

pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A node that receives at a port, with further arguments.
pub fn serve(lake: &std::path::Path, port: u16, more: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_ascribe"))
        .args(["serve", "--listen", "127.0.0.1:0", "--otlp-grpc", "off", "--lake"])
        .arg(lake)
        .args(["--otlp-http", &format!("127.0.0.1:{port}")])
        .args(more)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Send requests, each again and again to one node or another until it is acknowledged, as an exporter does: the numbers
/// are the sender's own, of how many, and how many spans a request has. Tells how many were.
pub async fn keep_sending([sender, of, spans]: [u64; 3], nodes: Vec<SocketAddr>, stop: Arc<AtomicBool>) -> u64 {
    let mut turns = nodes.iter().cycle();
    let mut connection = None;
    for request in 0.. {
        if stop.load(Ordering::Relaxed) {
            return request;
        }
        let first = (request * of + sender) * spans;
        let body = encoded(first..first + spans);
        loop {
            if connection.is_none()
                && let Some(node) = turns.next()
            {
                connection = Sender::connect(*node).await.ok();
            }
            let answer = match &mut connection {
                Some(open) => open.send("POST", "/v1/traces", &[PROTOBUF], &body).await.ok(),
                None => None,
            };
            match answer {
                Some(answer) if answer.status == 200 => break,
                Some(_) => {}
                None => connection = None,
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    0
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_it_receives_it_loses_and_doubles_nothing() {
    let kills = std::env::var("ASCRIBE_TEST_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS);
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let at = SocketAddr::from(([127, 0, 0, 1], port));
    let stop = Arc::new(AtomicBool::new(false));
    let mut senders = JoinSet::new();
    (0..SENDERS)
        .for_each(|sender| drop(senders.spawn(keep_sending([sender, SENDERS, SPANS], vec![at], Arc::clone(&stop)))));
    for seed in 0..kills {
        let mut child = serve(folder.path(), port, &["--maintain", "off"]);
        // Commits take some tens of milliseconds once a second: the instants cover them from begin to end.
        let wait = rand_chacha::ChaCha8Rng::seed_from_u64(seed).random_range(500..2500);
        tokio::time::sleep(Duration::from_millis(wait)).await;
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let mut child = serve(folder.path(), port, &["--maintain", "off"]);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    stop.store(true, Ordering::Relaxed);
    let requests: u64 = senders.join_all().await.into_iter().sum();
    Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(child.wait().unwrap().success());
    assert!(requests > kills / 2, "only {requests} requests got through");
    let database = Database::open(&folder.path().display().to_string()).await.unwrap();
    let found = rows(&database, "SELECT count(*), count(DISTINCT span_id) FROM spans").await;
    assert_eq!(found, [format!("{0}|{0}", requests * SPANS)]);
}
