//! Which node looks after the lake: a row of numbered objects, of which the newest names the one.
//!
//! An object is made only if it is not there yet, the one thing that every object store can do and that the log of a
//! table rests on as well. Whoever makes the next number has the lease until the number is older than the lease lasts, by
//! the clock of the object store. Two nodes that believe to have it do no harm: what they do is decided by commits.

use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions};

use crate::error::Result;
use crate::storage::Lake;

const FOLDER: &str = "maintenance/lease";

/// The right to look after a lake, for a time.
#[derive(Debug)]
pub(super) struct Lease {
    store: Arc<dyn ObjectStore>,
    number: u64,
    /// When it was taken or renewed, milliseconds since the epoch, by the object store's clock.
    pub since_ms: i64,
}

fn object(number: u64) -> Path {
    Path::from(format!("{FOLDER}/{number:020}"))
}

async fn all(store: &Arc<dyn ObjectStore>) -> Result<Vec<(u64, ObjectMeta)>> {
    let found: Vec<ObjectMeta> = store.list(Some(&Path::from(FOLDER))).try_collect().await?;
    let numbered = found.into_iter().filter_map(|meta| Some((meta.location.filename()?.parse().ok()?, meta)));
    let mut numbered: Vec<(u64, ObjectMeta)> = numbered.collect();
    numbered.sort_by_key(|(number, _)| *number);
    Ok(numbered)
}

impl Lease {
    /// Take the lease. None while another node has it.
    pub(super) async fn take(lake: &Lake, lasts: Duration) -> Result<Option<Self>> {
        let store = lake.store();
        let now_ms = lake.clock().now_micros() / 1000;
        let newest = all(&store).await?.pop();
        let lasts = i64::try_from(lasts.as_millis()).unwrap_or(i64::MAX);
        if let Some((_, meta)) = &newest
            && meta.last_modified.timestamp_millis().saturating_add(lasts) > now_ms
        {
            return Ok(None);
        }
        Self::make(store, newest.map_or(1, |(number, _)| number + 1)).await
    }

    async fn make(store: Arc<dyn ObjectStore>, number: u64) -> Result<Option<Self>> {
        let only_new = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match store.put_opts(&object(number), Vec::new().into(), only_new).await {
            Ok(_) => {}
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        }
        // A node that slept may make a number that others have made and removed long ago.
        let mut since_ms = None;
        for (other, meta) in all(&store).await? {
            if other > number {
                return Ok(None);
            }
            if other < number {
                store.delete(&meta.location).await.ok();
            } else {
                since_ms = Some(meta.last_modified.timestamp_millis());
            }
        }
        Ok(since_ms.map(|since_ms| Self { store, number, since_ms }))
    }

    /// Keep it for another time. False when it is another's by now.
    pub(super) async fn renew(&mut self) -> Result<bool> {
        match Self::make(Arc::clone(&self.store), self.number + 1).await? {
            Some(renewed) => {
                *self = renewed;
                Ok(true)
            }
            None => Ok(false),
        }
    }

    /// Give it back, so that the next need not wait.
    pub(super) async fn release(self) {
        // If that fails, it ends by itself.
        self.store.delete(&object(self.number)).await.ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::config::Config;

    const LASTS: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn one_has_it_at_a_time_and_the_next_when_it_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(0);
        let url = folder.path().display().to_string();
        let lake = Lake::open_with_clock(&url, &Config::default(), clock.clone()).unwrap();
        let mut first = Lease::take(&lake, LASTS).await.unwrap().unwrap();
        clock.set(first.since_ms * 1000 + 59_000_000);
        assert!(Lease::take(&lake, LASTS).await.unwrap().is_none());
        assert!(first.renew().await.unwrap());
        assert_eq!(first.number, 2);
        clock.set(first.since_ms * 1000 + 61_000_000);
        let second = Lease::take(&lake, LASTS).await.unwrap().unwrap();
        assert!(!first.renew().await.unwrap(), "it is another's");
        second.release().await;
        assert!(Lease::take(&lake, LASTS).await.unwrap().is_some());
    }
}
