//! Two nodes that receive and look after one lake, killed again and again: no acknowledged row is missing, none is there
//! twice, and the lake is sound.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ascribe::Database;
use ascribe::maintenance::{check, stored_tables};
use rand::{RngExt, SeedableRng};
use tokio::task::JoinSet;

use super::kill::{KILLS, free_port, keep_sending, serve};
use super::rows;

const SENDERS: u64 = 6;
const SPANS: u64 = 28;

/// Of each seven spans one is soon too old.
const RULES: &str = "rules: [{table: spans, where: \"span_name = 'operation 6'\", keep: 2s}]\nholds: {before: 0s}\n";

/// What is deleted soon, and what is not: files of commits under way must stay, and those that are being checked.
const EAGER: [&str; 8] = ["--lease", "2s", "--retention", "8s", "--orphans", "20s", "--log-retention", "5s"];

fn node(lake: &Path, port: u16) -> Child {
    serve(lake, port, &[&["--maintain", "1s"], &EAGER[..]].concat())
}

fn maintain(lake: &Path) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ascribe"));
    let command = command.args(["maintain", "--once", "--lake"]).arg(lake).args(EAGER);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_they_look_after_the_lake_they_lose_and_double_nothing() {
    let kills = std::env::var("ASCRIBE_TEST_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS);
    let folder = tempfile::tempdir().unwrap();
    let lake = folder.path();
    std::fs::write(lake.join("retention.yaml"), RULES).unwrap();
    let ports = [free_port(), free_port()];
    let addresses = ports.map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let stop = Arc::new(AtomicBool::new(false));
    let mut senders = JoinSet::new();
    (0..SENDERS).for_each(|sender| {
        drop(senders.spawn(keep_sending([sender, SENDERS, SPANS], addresses.into(), Arc::clone(&stop))));
    });
    let mut nodes = ports.map(|port| node(lake, port));
    for seed in 0..kills {
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let which = usize::from(random.random_range(0..2_u8) == 1);
        // A third process looks after the lake as well, and is killed in the middle of it most of the time.
        let mut third = maintain(lake);
        tokio::time::sleep(Duration::from_millis(random.random_range(20..600))).await;
        third.kill().unwrap();
        third.wait().unwrap();
        tokio::time::sleep(Duration::from_millis(random.random_range(0..1800))).await;
        nodes[which].kill().unwrap();
        nodes[which].wait().unwrap();
        sound(lake, seed).await;
        nodes[which] = node(lake, ports[which]);
    }
    tokio::time::sleep(Duration::from_millis(1500)).await;
    stop.store(true, Ordering::Relaxed);
    let requests: u64 = senders.join_all().await.into_iter().sum();
    for mut node in nodes {
        Command::new("kill").args(["-TERM", &node.id().to_string()]).status().unwrap();
        assert!(node.wait().unwrap().success());
    }
    assert!(requests > kills / 2, "only {requests} requests got through");
    sound(lake, kills).await;
    // Of the last operation 6 is too old now, and no lease is left.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(maintain(lake).wait().unwrap().success());
    let database = Database::open(&lake.display().to_string()).await.unwrap();
    let found = rows(&database, "SELECT count(*), count(DISTINCT span_id) FROM spans WHERE span_name <> 'operation 6'");
    assert_eq!(found.await, [format!("{0}|{0}", requests * SPANS / 7 * 6)]);
    let expired = rows(&database, "SELECT count(*) FROM spans WHERE span_name = 'operation 6'");
    assert_eq!(expired.await, ["0"]);
    let report = check(&database, &stored_tables()).await.unwrap();
    let repeated = report.findings.iter().any(|finding| finding.kind == "repeated rows");
    assert!(report.sound() && !repeated, "{:?}", report.findings);
}

async fn sound(lake: &Path, seed: u64) {
    let database = Database::open(&lake.display().to_string()).await.unwrap();
    let report = check(&database, &stored_tables()).await.unwrap();
    assert!(report.sound(), "after kill {seed}: {:?}", report.findings);
}
