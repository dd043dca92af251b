//! Watching prefixes for new files, such as the bucket that CloudTrail or a cost export delivers to.
//!
//! Every round lists the prefix and imports what is new or changed since it was imported. That a file lands once is the
//! import's doing, on however many nodes it is watched; what this remembers, and what `system.ingests` told when it
//! began, only spares reading the same again.
//!
//! - A file below a directory, and a delivery that takes the place of an earlier one, is left alone until a round finds it
//!   as the round before did: somebody may still be writing it. Objects of a store are whole when they are there.
//! - Where a delivery replaces an earlier one, all data files of its folder are one delivery.
//! - What fails is tried again after 1, 2, 4, … rounds. A file that is not what the source reads is told once, and left
//!   alone until it changes.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use tokio::sync::watch;

use super::files::{self, Listed};
use super::{Options, Progress, Source, import};
use crate::config;
use crate::error::{Result, UserError};
use crate::model::system::INGESTS;
use crate::storage::Lake;

/// What a file is like; another size or time is another content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    size: u64,
    /// Microseconds since the epoch.
    modified: i64,
}

/// A failed import.
#[derive(Debug, Clone, Copy)]
struct Failure {
    /// Rounds to wait after the next one.
    wait: u64,
    /// The round in which it is tried again.
    due: u64,
}

/// One prefix that is watched.
#[derive(Debug)]
pub struct Watch {
    lake: Arc<Lake>,
    source: &'static dyn Source,
    url: String,
    /// What was imported.
    done: HashMap<String, Stamp>,
    /// What the last round found.
    last: HashMap<String, Stamp>,
    failed: HashMap<String, Failure>,
    round: u64,
}

impl Watch {
    /// Watch what `SOURCE=URL` names.
    ///
    /// # Errors
    /// When it names no source, or one that needs to be told more, or no place.
    pub fn new(lake: &Arc<Lake>, given: &str) -> Result<Self> {
        let (name, url) = given.split_once('=').filter(|(_, url)| !url.is_empty()).unwrap_or((given, ""));
        if url.is_empty() || url == "-" {
            return Err(UserError::invalid(format!("--watch {given}: it is not SOURCE=URL")).into());
        }
        let source = super::find(name).ok_or_else(|| UserError::invalid(format!("\"{name}\" is not a source")))?;
        if source.is_generic() || name == "codeowners" {
            let what = format!("the source {name} needs options, so it cannot be watched");
            return Err(UserError::invalid(what).hint("run ascribe import when there is something new").into());
        }
        let (done, last, failed) = (HashMap::new(), HashMap::new(), HashMap::new());
        Ok(Self { lake: Arc::clone(lake), source, url: url.to_owned(), done, last, failed, round: 0 })
    }

    /// Look again and again until told to stop.
    pub async fn run(mut self, interval: Duration, mut stopped: watch::Receiver<bool>) {
        if let Err(error) = self.remember().await {
            tracing::warn!(%error, "what was imported before is not known");
        }
        loop {
            tokio::select! {
                _ = stopped.wait_for(|stopped| *stopped) => return,
                looked = self.look() => if let Err(error) = looked {
                    tracing::warn!(%error, url = self.url, "a watched prefix cannot be imported");
                },
            }
            tokio::select! {
                _ = stopped.wait_for(|stopped| *stopped) => return,
                () = tokio::time::sleep(interval) => {}
            }
        }
    }

    /// Learn from `system.ingests` what was imported, and since when it has not changed.
    async fn remember(&mut self) -> Result<()> {
        for batch in self.lake.read(&INGESTS).await? {
            let text = |name: &str| batch.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
            let bytes = batch.column_by_name("bytes").and_then(|column| column.as_primitive_opt::<Int64Type>());
            let times = batch.column_by_name("started_at");
            let times = times.and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
            let (Some(importers), Some(origins), Some(bytes), Some(times)) =
                (text("importer"), text("origin"), bytes, times)
            else {
                continue;
            };
            for row in 0..batch.num_rows() {
                if importers.value(row) == self.source.name() && origins.is_valid(row) {
                    let stamp =
                        Stamp { size: u64::try_from(bytes.value(row)).unwrap_or_default(), modified: times.value(row) };
                    self.done.insert(origins.value(row).to_owned(), stamp);
                }
            }
        }
        Ok(())
    }

    /// One round: import what is new. Tells how many files were.
    ///
    /// # Errors
    /// When the prefix cannot be listed or the lake not be written; the next round tries again.
    pub async fn look(&mut self) -> Result<u64> {
        self.round += 1;
        let mut listed = files::list(&self.url).await?;
        listed.retain(|file| self.is_data(&file.origin));
        if listed.len() > config::WATCH_FILES {
            let what = format!("{} holds more than {} files", self.url, config::WATCH_FILES);
            return Err(UserError::invalid(what).hint("watch a longer prefix, such as that of a year").into());
        }
        let deliveries = self.new_deliveries(&listed);
        self.last = listed.iter().map(|file| (file.origin.clone(), stamp(file))).collect();
        let (last, round) = (&self.last, self.round);
        // What is gone need not be remembered.
        self.done.retain(|origin, _| last.contains_key(origin));
        self.failed.retain(|origin, failure| last.contains_key(origin) && failure.due + failure.wait >= round);
        let mut imported = 0;
        let mut first_error = None;
        for delivery in deliveries {
            match self.import(&delivery).await {
                Ok(files) => imported += files,
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        first_error.map_or(Ok(imported), Err)
    }

    /// Whether a file may hold what is delivered, by its name.
    fn is_data(&self, origin: &str) -> bool {
        let name = origin.rsplit('/').next().unwrap_or_default();
        let about_others = ["/CloudTrail-Digest/", "/CloudTrail-Insight/"].iter().any(|part| origin.contains(part));
        // Manifests stand beside the files of a delivery.
        let manifest = self.source.replaces(&Options::default()) && name.to_ascii_lowercase().ends_with(".json");
        !name.is_empty() && !name.starts_with(['.', '_']) && !about_others && !manifest
    }

    /// Files that are imported together.
    fn new_deliveries(&self, listed: &[Listed]) -> Vec<Vec<Listed>> {
        let replaces = self.source.replaces(&Options::default());
        let is_new = |file: &Listed| match self.done.get(&file.origin) {
            // What a row of system.ingests tells is when the import began, at which the file was there.
            Some(done) => done.size != file.size || done.modified < file.modified,
            None => true,
        };
        let is_settled =
            |file: &Listed| (file.is_object && !replaces) || self.last.get(&file.origin) == Some(&stamp(file));
        let may_try = |file: &Listed| self.failed.get(&file.origin).is_none_or(|failure| failure.due <= self.round);
        if replaces {
            let mut folders: BTreeMap<&str, Vec<Listed>> = BTreeMap::new();
            for file in listed {
                let folder = file.origin.rsplit_once('/').map_or("", |(folder, _)| folder);
                folders.entry(folder).or_default().push(file.clone());
            }
            let due = |files: &Vec<Listed>| {
                files.iter().any(is_new) && files.iter().all(|file| is_settled(file) && may_try(file))
            };
            return folders.into_values().filter(due).collect();
        }
        let due = listed.iter().filter(|file| is_new(file) && is_settled(file) && may_try(file));
        let due: Vec<Listed> = due.cloned().collect();
        due.chunks(config::WATCH_BATCH_FILES).map(<[Listed]>::to_vec).collect()
    }

    async fn import(&mut self, delivery: &[Listed]) -> Result<u64> {
        let origins: Vec<String> = delivery.iter().map(|file| file.origin.clone()).collect();
        let progress = Arc::<Progress>::default();
        match import(&self.lake, self.source, &origins, &Options::default(), &progress).await {
            Ok(summary) => {
                for error in summary.unreadable.values() {
                    tracing::warn!(%error, "a watched file cannot be read");
                }
                for file in delivery {
                    self.failed.remove(&file.origin);
                    self.done.insert(file.origin.clone(), stamp(file));
                }
                Ok(summary.files)
            }
            Err(error) => {
                for origin in origins {
                    let wait =
                        self.failed.get(&origin).map_or(1, |failure| failure.wait * 2).min(config::WATCH_LONGEST_WAIT);
                    self.failed.insert(origin, Failure { wait, due: self.round + wait });
                }
                Err(error)
            }
        }
    }
}

fn stamp(file: &Listed) -> Stamp {
    Stamp { size: file.size, modified: file.modified }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn trail(id: &str) -> String {
        format!(
            r#"{{"Records":[{{"eventID":"{id}","eventName":"GetObject","eventSource":"s3.amazonaws.com","eventTime":"2024-08-01T09:00:00Z"}}]}}"#
        )
    }

    async fn rows(lake: &Arc<Lake>) -> usize {
        lake.files(&crate::model::identity::IAM_EVENTS).await.unwrap().iter().map(|file| file.rows.unwrap()).sum()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_delivered_lands_once_on_all_nodes() {
        let (folder, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let open = || Lake::open(&folder.path().display().to_string(), &Config::default()).unwrap();
        let given = format!("cloudtrail={}", place.path().display());
        let mut one = Watch::new(&open(), &given).unwrap();
        let mut other = Watch::new(&open(), &given).unwrap();
        assert_eq!(one.look().await.unwrap(), 0);
        std::fs::create_dir(place.path().join("2024")).unwrap();
        std::fs::write(place.path().join("2024/a.json"), trail("a")).unwrap();
        std::fs::write(place.path().join("2024/b.json"), trail("b")).unwrap();
        std::fs::create_dir(place.path().join("CloudTrail-Digest")).unwrap();
        std::fs::write(place.path().join("CloudTrail-Digest/d.json"), b"{}").unwrap();
        // Somebody may still be writing.
        assert_eq!((one.look().await.unwrap(), other.look().await.unwrap()), (0, 0));
        let (first, second) = tokio::join!(one.look(), other.look());
        assert_eq!((first.is_ok(), second.is_ok(), rows(&open()).await), (true, true, 2));
        std::fs::write(place.path().join("c.json"), trail("c")).unwrap();
        one.look().await.unwrap();
        assert_eq!((one.look().await.unwrap(), one.look().await.unwrap(), rows(&open()).await), (1, 0, 3));
        let mut restarted = Watch::new(&open(), &given).unwrap();
        restarted.remember().await.unwrap();
        let listed = files::list(&restarted.url).await.unwrap();
        restarted.last = listed.iter().map(|file| (file.origin.clone(), stamp(file))).collect();
        assert_eq!(restarted.new_deliveries(&listed).len(), 1, "only the digest is not known");
        assert_eq!((restarted.look().await.unwrap(), rows(&open()).await), (0, 3));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_folder_is_a_delivery_that_replaces_the_one_before() {
        let (folder, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let lake = Lake::open(&folder.path().display().to_string(), &Config::default()).unwrap();
        let month = place.path().join("BILLING_PERIOD=2024-09");
        std::fs::create_dir(&month).unwrap();
        let charges = |cost: u32| {
            format!(
                "BilledCost,BillingCurrency,BillingPeriodStart,ChargePeriodStart,ChargePeriodEnd\n\
                 {cost},USD,2024-09-01,2024-09-02T10:00:00Z,2024-09-02T11:00:00Z\n"
            )
        };
        std::fs::write(month.join("1.csv"), charges(1)).unwrap();
        std::fs::write(month.join("2.csv"), charges(2)).unwrap();
        std::fs::write(month.join("manifest.json"), b"{}").unwrap();
        let mut watch = Watch::new(&lake, &format!("focus={}", place.path().display())).unwrap();
        assert_eq!((watch.look().await.unwrap(), watch.look().await.unwrap(), watch.look().await.unwrap()), (0, 2, 0));
        std::fs::write(month.join("2.csv"), charges(20)).unwrap();
        assert_eq!((watch.look().await.unwrap(), watch.look().await.unwrap()), (0, 2));
        let rows: usize =
            lake.files(&crate::model::cost::COSTS).await.unwrap().iter().map(|file| file.rows.unwrap()).sum();
        assert_eq!(rows, 2);
    }

    #[test]
    fn what_cannot_be_watched_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::open(&folder.path().display().to_string(), &Config::default()).unwrap();
        for (given, told) in [
            ("cloudtrail", "SOURCE=URL"),
            ("x=y", "not a source"),
            ("csv=y", "needs options"),
            ("okta=-", "SOURCE=URL"),
        ] {
            assert!(Watch::new(&lake, given).unwrap_err().to_string().contains(told), "{given}");
        }
    }
}
