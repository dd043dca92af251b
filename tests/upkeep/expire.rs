//! Expiry by tier, and what incidents hold.

use std::sync::Arc;

use ascribe::clock::ManualClock;
use ascribe::config::{Config, Maintenance};
use ascribe::maintenance::{Eagerness, Expired, Maintainer};
use ascribe::model::telemetry::SPANS;
use ascribe::storage::Lake;

use super::{DAY, MARCH, damage, database, land, number, report, spans};

const RULES: &str = "rules:\n  - {table: spans, where: status_code = 'ERROR', keep: 400d}\n  - {table: spans, keep: 14d}\n\
    holds: {before: 0s, after: 0s, resolved: 30d}\n";

struct Kept {
    folder: tempfile::TempDir,
    clock: Arc<ManualClock>,
    lake: Arc<Lake>,
}

impl Kept {
    fn new(rules: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("retention.yaml"), rules).unwrap();
        let clock = ManualClock::at(MARCH);
        let url = folder.path().display().to_string();
        let lake = Lake::open_with_clock(&url, &Config::default(), clock.clone()).unwrap();
        Self { folder, clock, lake }
    }

    async fn at(&self, day: i64) -> ascribe::error::Result<Expired> {
        self.clock.set(MARCH + day * DAY);
        let settings = Maintenance { lease: std::time::Duration::ZERO, ..Maintenance::default() };
        let maintainer = Maintainer::new(&self.lake, settings)?;
        let done = maintainer.once(&[&SPANS], Eagerness::All).await?;
        Ok(done.get("spans").map(|done| done.expired).unwrap_or_default())
    }

    async fn spans(&self) -> i64 {
        number(&self.lake, "SELECT count(*) FROM spans").await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_go_when_the_rule_of_their_tier_says() {
    let kept = Kept::new(RULES);
    land(&kept.lake, &SPANS, spans(0..100, 0, MARCH)).await;
    // What a sender says of the time decides nothing: these happened long ago and landed today.
    land(&kept.lake, &SPANS, spans(200..210, -400, MARCH)).await;
    land(&kept.lake, &SPANS, spans(300..340, 5, MARCH + 5 * DAY)).await;
    assert_eq!(kept.at(13).await.unwrap(), Expired::default());
    assert_eq!(kept.spans().await, 150);
    assert_eq!(kept.at(15).await.unwrap(), Expired { rows: 99, files: 0, rewritten: 2 });
    assert_eq!(kept.spans().await, 51);
    assert_eq!(number(&kept.lake, "SELECT count(*) FROM spans WHERE status_code = 'ERROR'").await, 15);
    assert_eq!(kept.at(401).await.unwrap(), Expired { rows: 47, files: 2, rewritten: 1 });
    assert_eq!(kept.spans().await, 4);
    assert_eq!(kept.at(406).await.unwrap(), Expired { rows: 4, files: 1, rewritten: 0 });
    assert_eq!(kept.spans().await, 0);
    let found = report(&kept.lake).await;
    assert!(found.sound(), "{:?}", damage(&found));
    drop(kept.folder);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_of_an_incident_is_held() {
    let kept = Kept::new(RULES);
    land(&kept.lake, &SPANS, spans(0..100, 0, MARCH)).await;
    let database = database(&kept.lake);
    // Spans are a millisecond apart: this one holds those from 20 on.
    let open =
        "INSERT INTO incidents (incident_id, started_at, status) VALUES ('i', '2026-03-01T00:00:00.020Z', 'open')";
    database.sql(open).await.unwrap();
    // And this one held those before 10, until 30 days after its end.
    let over = "INSERT INTO incidents (incident_id, started_at, resolved_at, status) \
        VALUES ('j', '2026-03-01T00:00:00Z', '2026-03-01T00:00:00.010Z', 'resolved')";
    database.sql(over).await.unwrap();
    assert_eq!(kept.at(20).await.unwrap().rows, 9, "10 to 19 without the error");
    assert_eq!(kept.spans().await, 91);
    assert_eq!(kept.at(31).await.unwrap().rows, 9, "0 to 9 without the error");
    assert_eq!(kept.at(399).await.unwrap().rows, 0);
    assert_eq!(kept.spans().await, 82);
    assert_eq!(kept.at(401).await.unwrap().rows, 2, "the two errors outside the incident");
    assert_eq!(kept.spans().await, 80);
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_are_not_understood_let_nothing_expire() {
    for wrong in ["rules: [{table: spans, keep: soon}]", "rules: [{table: span, keep: 1d}]", "rule: []"] {
        let kept = Kept::new(wrong);
        land(&kept.lake, &SPANS, spans(0..10, 0, MARCH)).await;
        let error = kept.at(1000).await.unwrap_err().to_string();
        assert!(error.contains("retention.yaml") || error.contains("length of time"), "{error}");
        assert_eq!(kept.spans().await, 10);
    }
    let kept = Kept::new("rules: [{table: spans, where: no_such_column = 1, keep: 1d}]");
    land(&kept.lake, &SPANS, spans(0..10, 0, MARCH)).await;
    assert!(kept.at(1000).await.is_err());
    assert_eq!(kept.spans().await, 10);
    let none = Kept::new("");
    land(&none.lake, &SPANS, spans(0..10, 0, MARCH)).await;
    std::fs::remove_file(none.folder.path().join("retention.yaml")).unwrap();
    assert_eq!(none.at(1000).await.unwrap(), Expired::default());
}
