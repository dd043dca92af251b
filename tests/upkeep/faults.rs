//! The object store fails, throttles, times out, loses answers: nothing is lost, nothing doubled, no wrong answer.

use std::sync::Arc;

use ascribe::clock::SystemClock;
use ascribe::config::{Config, Maintenance};
use ascribe::maintenance::{Eagerness, Maintainer};
use ascribe::model::telemetry::SPANS;
use ascribe::storage::{Commit, Lake};
use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::Int64Type;
use object_store::local::LocalFileSystem;

use super::store::Faulty;
use super::{MARCH, at_once, damage, database, number, open, report, spans};

const BATCH: u64 = 20;

async fn try_to_land(lake: &Arc<Lake>, number: u64) -> ascribe::error::Result<()> {
    let first = number * BATCH;
    let mut writer = lake.writer(&SPANS).await?;
    writer.write(spans(first..first + BATCH, i64::try_from(number % 2).unwrap(), MARCH)).await?;
    let transactions = vec![format!("batch/{number}")];
    writer.commit(Commit { transactions, ..Commit::default() }).await?;
    Ok(())
}

/// Right, or an error.
async fn count(lake: &Arc<Lake>) -> Option<(i64, i64)> {
    let rows = database(lake).sql("SELECT count(*), count(DISTINCT span_id) FROM spans").await.ok()?;
    let cell = |column: usize| rows[0].column(column).as_primitive::<Int64Type>().value(0);
    Some((cell(0), cell(1)))
}

async fn storm(seed: u64) {
    let folder = tempfile::tempdir().unwrap();
    let store = Faulty::new(Arc::new(LocalFileSystem::new()), seed);
    let url = format!("file://{}", folder.path().display());
    let config = Config::default();
    let shared: Arc<dyn object_store::ObjectStore> = store.clone();
    // Two nodes of one lake.
    let nodes = [0, 1].map(|_| Lake::open_over(&url, Arc::clone(&shared), &config, Arc::new(SystemClock)).unwrap());
    try_to_land(&nodes[0], 0).await.unwrap();
    store.fail(60);
    // The files of writers under way must stay.
    let settings = Maintenance { orphans: std::time::Duration::from_secs(3600), ..at_once() };
    let (mut landed, mut answers, mut rounds) = (1, 0, 0);
    for number in 1..40_u64 {
        let node = &nodes[usize::from(number.is_multiple_of(3))];
        let mut attempts = 0;
        while let Err(error) = try_to_land(node, number).await {
            attempts += 1;
            // A long log is read in as many requests, so that most attempts meet a fault; but not all of them.
            assert!(attempts < 2000, "seed {seed}: batch {number} never landed: {error}");
        }
        landed += 1;
        if let Some(found) = count(&nodes[usize::from(number.is_multiple_of(2))]).await {
            let expected = i64::try_from(landed * BATCH).unwrap();
            assert_eq!(found, (expected, expected), "seed {seed}, batch {number}");
            answers += 1;
        }
        if number % 8 == 0 {
            let maintainer = Maintainer::new(&nodes[1], settings.clone()).unwrap();
            rounds += u64::from(maintainer.once(&[&SPANS], Eagerness::All).await.is_ok());
        }
    }
    store.fail(0);
    assert!(store.failed() > 50 && answers > 5, "{} faults, {answers} answers, {rounds} rounds", store.failed());
    let lake = open(&folder);
    assert_eq!(number(&lake, "SELECT count(DISTINCT span_id) FROM spans").await, 800, "seed {seed}");
    assert_eq!(number(&lake, "SELECT count(*) FROM spans").await, 800, "seed {seed}");
    let found = report(&lake).await;
    assert!(found.sound(), "seed {seed}: {:?}", damage(&found));
    // A lease whose answer was lost ends by itself.
    let settings = Maintenance { lease: std::time::Duration::ZERO, ..at_once() };
    Maintainer::new(&lake, settings).unwrap().once(&[&SPANS], Eagerness::All).await.unwrap();
    let found = report(&lake).await;
    assert!(found.findings.is_empty(), "seed {seed}: {:?}", found.findings);
    assert_eq!((found.rows, found.files), (800, 2), "seed {seed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_when_the_store_fails() {
    let seeds = std::env::var("ASCRIBE_TEST_STORMS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(3);
    for seed in 0..seeds {
        storm(seed).await;
    }
}
