//! What is left of a person behind the newest state of a table: files of older versions, and what the log says of values.

use std::collections::HashSet;

use bytes::Bytes;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use deltalake::DeltaTableError;
use futures::{StreamExt, stream};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt};
use serde_json::Value;

use super::{Forget, Forgotten, rows};
use crate::config;
use crate::error::{Error, Result};
use crate::maintenance::vacuum::{self, objects};
use crate::model::Table;
use crate::privacy::{Fate, Person, holds};
use crate::storage::{DataFile, Lake, TableLog};

/// Delete an object, if it is there.
pub(super) async fn delete(lake: &Lake, path: &str) -> Result<()> {
    match lake.store().delete(&Path::from(path)).await {
        Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Whether a text anywhere in a Parquet file fits.
pub(super) fn texts_of(file: ParquetRecordBatchReaderBuilder<Bytes>, fits: &dyn Fn(&str) -> bool) -> Result<bool> {
    for batch in file.build().map_err(DeltaTableError::from)? {
        for column in batch?.columns() {
            if holds(column, fits)? {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn milliseconds(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl Forget<'_> {
    /// Delete the files in the folder of a table that are not part of its newest state and name the person. Tells
    /// whether there were any that could be.
    pub(super) async fn old(
        &mut self,
        table: &'static Table,
        clean: &mut HashSet<String>,
        done: &mut Forgotten,
    ) -> Result<bool> {
        let folder = format!("tables/{}", table.name);
        let (log, data): (Vec<ObjectMeta>, Vec<ObjectMeta>) =
            objects(self.lake, &folder).await?.into_iter().partition(in_log);
        let state = vacuum::state(self.lake, &TableLog::of(log), true).await?;
        let settled = self.lake.clock().now_micros() / 1000 - milliseconds(config::FORGET_ORPHANS);
        let mut changed = false;
        for meta in data {
            let path = meta.location.as_ref().strip_prefix(&folder).unwrap_or_default().trim_start_matches('/');
            if state.live.contains_key(path) || clean.contains(path) || !path.ends_with(".parquet") {
                continue;
            }
            self.keep_lease().await;
            match self.names(table, path, &meta).await {
                Ok(false) => {
                    clean.insert(path.to_owned());
                    continue;
                }
                Ok(true) => {}
                Err(error) => {
                    done.stays.push(format!("{}: it cannot be read: {error}", meta.location));
                    continue;
                }
            }
            match state.removed.get(path) {
                Some(removed) => {
                    let pinned = self.lake.oldest_pinned(table).is_some_and(|(version, _)| version < removed.version);
                    if pinned {
                        done.read += 1;
                        continue;
                    }
                }
                None if meta.last_modified.timestamp_millis() >= settled => {
                    done.uncommitted += 1;
                    continue;
                }
                None => {}
            }
            done.deleted += 1;
            if self.lease.is_some() {
                delete(self.lake, meta.location.as_ref()).await?;
                changed = true;
            }
        }
        if self.lease.is_some() {
            vacuum::leftovers(self.lake, &folder, settled);
        }
        Ok(changed)
    }

    async fn names(&self, table: &'static Table, path: &str, meta: &ObjectMeta) -> Result<bool> {
        let file = DataFile {
            path: path.to_owned(),
            size: i64::try_from(meta.size).unwrap_or(i64::MAX),
            rows: None,
            stats: None,
            partition_values: Default::default(),
            modified_ms: 0,
            compacted: false,
        };
        Ok(rows::count(self.lake, self.person, table, &file).await? > 0)
    }

    /// Take the person out of the log of a table. Tells whether anything was changed.
    pub(super) async fn log(
        &mut self,
        table: &'static Table,
        clean: &mut HashSet<String>,
        done: &mut Forgotten,
    ) -> Result<bool> {
        let log = TableLog::of(objects(self.lake, &format!("tables/{}/_delta_log", table.name)).await?);
        let mut changed = self.checkpoints(table, &log, clean, done).await?;
        let lake = self.lake;
        let fresh = log.entries.iter().filter(|(_, meta)| !clean.contains(meta.location.as_ref()));
        let fresh: Vec<(u64, Path)> = fresh.map(|(version, meta)| (*version, meta.location.clone())).collect();
        let fetch = |(version, path): (u64, Path)| async move {
            match lake.store().get(&path).await {
                Ok(found) => Ok(Some((version, path, found.bytes().await?))),
                // Cleaned up meanwhile.
                Err(object_store::Error::NotFound { .. }) => Ok(None),
                Err(error) => Err(Error::from(error)),
            }
        };
        let mut entries = stream::iter(fresh).map(fetch).buffered(config::UPKEEP_REQUESTS);
        while let Some(entry) = entries.next().await {
            let Some((version, path, bytes)) = entry? else { continue };
            self.keep_lease().await;
            let text = String::from_utf8_lossy(&bytes);
            let cleaned =
                if self.person.may_be_in(&text) { scrub(self.person, table, &text) } else { text.to_string() };
            if self.person.is_in(&cleaned) {
                done.stays.push(format!("version {version} of the log, in an id or a name"));
            } else if cleaned == text {
                clean.insert(path.to_string());
            }
            if cleaned == text {
                continue;
            }
            done.log += 1;
            if self.lease.is_some() {
                lake.store().put(&path, cleaned.into_bytes().into()).await?;
                changed = true;
            }
        }
        for meta in &log.others {
            let bytes = self.lake.store().get(&meta.location).await?.bytes().await?;
            if self.person.is_in(&String::from_utf8_lossy(&bytes)) {
                done.stays.push(meta.location.to_string());
            }
        }
        Ok(changed)
    }

    /// Put a checkpoint of the newest state in the place of those that name the person.
    async fn checkpoints(
        &mut self,
        table: &'static Table,
        log: &TableLog,
        clean: &mut HashSet<String>,
        done: &mut Forgotten,
    ) -> Result<bool> {
        let mut naming = Vec::new();
        for (version, parts) in &log.checkpoints {
            for part in parts {
                if clean.contains(part.location.as_ref()) {
                    continue;
                }
                let bytes = self.lake.store().get(&part.location).await?.bytes().await?;
                let file = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(DeltaTableError::from)?;
                let person = self.person;
                let fits = |text: &str| {
                    let stats = person.may_be_in(text).then(|| scrub_stats(person, table, text)).flatten();
                    stats.is_some() || person.is_in(text)
                };
                if texts_of(file, &fits)? {
                    naming.push((*version, part.location.clone()));
                } else {
                    clean.insert(part.location.to_string());
                }
            }
        }
        if naming.is_empty() {
            return Ok(false);
        }
        if self.lease.is_none() {
            done.log += naming.len() as u64;
            return Ok(false);
        }
        let Some(newest) = self.lake.checkpoint(table).await? else { return Ok(false) };
        let mut changed = false;
        for (version, location) in naming {
            if version >= newest {
                done.stays.push(format!("checkpoint {version}, in an id or a name"));
                continue;
            }
            delete(self.lake, location.as_ref()).await?;
            done.log += 1;
            changed = true;
        }
        Ok(changed)
    }
}

fn in_log(meta: &ObjectMeta) -> bool {
    meta.location.as_ref().contains("/_delta_log/")
}

/// A log entry without least and greatest values that name a person. Lines that do not are as they were.
fn scrub(person: &Person, table: &Table, entry: &str) -> String {
    let line = |line: &str| {
        let cleaned = || {
            let mut action: Value = serde_json::from_str(line).ok()?;
            let mut any = false;
            for kind in ["add", "remove"] {
                let Some(stats) = action.get_mut(kind).and_then(|body| body.get_mut("stats")) else { continue };
                if let Some(cleaned) = stats.as_str().and_then(|text| scrub_stats(person, table, text)) {
                    *stats = cleaned.into();
                    any = true;
                }
            }
            any.then(|| action.to_string())
        };
        let cleaned = person.may_be_in(line).then(cleaned).flatten();
        cleaned.unwrap_or_else(|| line.to_owned())
    };
    entry.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// Statistics of a file without the bounds that name a person; none when there are no such.
fn scrub_stats(person: &Person, table: &Table, stats: &str) -> Option<String> {
    let mut parsed: Value = serde_json::from_str(stats).ok()?;
    let mut naming = Vec::new();
    for side in ["minValues", "maxValues"] {
        for (column, value) in parsed.get(side).and_then(Value::as_object).into_iter().flatten() {
            let names = |text: &str| person.judge(table, column, None, text) != Fate::Stays;
            if value.as_str().is_some_and(names) {
                naming.push(column.clone());
            }
        }
    }
    for side in ["minValues", "maxValues"] {
        if let Some(bounds) = parsed.get_mut(side).and_then(Value::as_object_mut) {
            bounds.retain(|column, _| !naming.contains(column));
        }
    }
    (!naming.is_empty()).then(|| parsed.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::telemetry::SPANS;

    #[test]
    fn bounds_that_name_a_person_go_and_nothing_else() {
        let person = Person::new("ada@example.com", None).unwrap();
        let stats = r#"{"numRecords":2,"minValues":{"user_id":"ADA@example.com","span_name":"a"},"maxValues":{"user_id":"bob","span_name":"b"},"nullCount":{"user_id":0}}"#;
        let entry = format!(
            "{{\"commitInfo\":{{\"x\":1}}}}\n{}\n",
            serde_json::json!({"add": {"path": "a.parquet", "size": 1, "stats": stats}})
        );
        let cleaned = scrub(&person, &SPANS, &entry);
        assert!(cleaned.starts_with("{\"commitInfo\":{\"x\":1}}\n{\"add\"") && cleaned.ends_with("}\n"), "{cleaned}");
        assert!(!cleaned.to_lowercase().contains("ada@"), "{cleaned}");
        assert!(cleaned.contains(r#"\"span_name\":\"a\""#) && cleaned.contains("nullCount"), "{cleaned}");
        let other = entry.replace("ADA", "canada");
        assert_eq!(scrub(&person, &SPANS, &other), other);
        let short = Person::new("bob", None).unwrap();
        assert!(!scrub(&short, &SPANS, &entry).contains("bob"));
        assert_eq!(scrub(&Person::new("a", None).unwrap(), &SPANS, &entry), entry, "a span may be called so");
    }
}
