//! Compaction: many small files become few clustered ones. Reads and appends go on meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::logical_expr::{SortExpr, col};
use datafusion::prelude::SessionContext;
use futures::StreamExt;

use super::repeated::{Repeated, same};
use super::rows::{Files, align, common_schema};
use crate::config::Maintenance;
use crate::error::{Result, UserError, sqlstate};
use crate::model::Table;
use crate::storage::{DataFile, FileWriter, Lake, NewFile, RowChange, Swap};

/// How eagerly files are merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Eagerness {
    /// Whatever can be merged.
    All,
    /// What is worth it: many small files, or some that have been left alone; none that is merged over and over.
    Worthwhile,
}

/// What compaction did to a table.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Compacted {
    /// Files that went.
    pub files_before: u64,
    /// Their bytes.
    pub bytes_before: u64,
    /// Files that came.
    pub files_after: u64,
    /// Their bytes.
    pub bytes_after: u64,
    /// Rows that were there more than once and are no longer.
    pub repeated: u64,
    /// Groups of files that another writer changed meanwhile; they are left as they are.
    pub given_up: u64,
}

impl Compacted {
    pub(super) fn absorb(&mut self, other: Self) {
        self.files_before += other.files_before;
        self.bytes_before += other.bytes_before;
        self.files_after += other.files_after;
        self.bytes_after += other.bytes_after;
        self.repeated += other.repeated;
        self.given_up += other.given_up;
    }
}

/// Files of one partition that are merged together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    pub partition: Option<i32>,
    pub files: Vec<DataFile>,
    /// The other files of the partition.
    pub others: Vec<DataFile>,
}

fn bytes(file: &DataFile) -> u64 {
    u64::try_from(file.size).unwrap_or_default()
}

/// What is to be merged, oldest partition first.
pub(super) fn groups(
    table: &Table,
    files: Vec<DataFile>,
    settings: &Maintenance,
    eagerness: Eagerness,
    now_ms: i64,
) -> Vec<Group> {
    let mut partitions: BTreeMap<Option<i32>, Vec<DataFile>> = BTreeMap::new();
    for file in files {
        partitions.entry(file.partition(table)).or_default().push(file);
    }
    let grouped = partitions.into_iter().flat_map(|(partition, files)| {
        let (small, large): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| bytes(file) < settings.small_bytes);
        let chosen = match eagerness {
            Eagerness::All => small.clone(),
            Eagerness::Worthwhile => worthwhile(small.clone(), settings, now_ms),
        };
        let all: Vec<DataFile> = small.into_iter().chain(large).collect();
        bins(chosen, settings.input_bytes).into_iter().filter_map(move |files| {
            let others: Vec<DataFile> = all.iter().filter(|file| !files.contains(file)).cloned().collect();
            // One file alone has only to be looked through once for rows that are there more than once.
            let looked = files.iter().all(|file| file.compacted) || same(table).is_none();
            let lonely = files.len() == 1 && looked;
            (!files.is_empty() && !lonely).then_some(Group { partition, files, others })
        })
    });
    grouped.collect()
}

/// Of the small files of a partition those that should be merged now. A merged file joins when as much has come since,
/// so that each row is written a number of times that grows with the logarithm of the rows only.
fn worthwhile(mut small: Vec<DataFile>, settings: &Maintenance, now_ms: i64) -> Vec<DataFile> {
    let fresh = small.iter().filter(|file| !file.compacted).count();
    let newest = small.iter().map(|file| file.modified_ms).max().unwrap_or(now_ms);
    let settled = i64::try_from(settings.settled.as_millis()).unwrap_or(i64::MAX);
    let left_alone = now_ms.saturating_sub(newest) >= settled;
    if fresh < settings.min_files && !(left_alone && fresh > 0) {
        return Vec::new();
    }
    small.sort_by_key(|file| (file.compacted, file.size));
    let mut sum = 0;
    small.retain(|file| {
        let joins = !file.compacted || bytes(file) <= sum;
        sum += if joins { bytes(file) } else { 0 };
        joins
    });
    small
}

fn bins(mut files: Vec<DataFile>, most: u64) -> Vec<Vec<DataFile>> {
    files.sort_by(|one, other| (one.modified_ms, &one.path).cmp(&(other.modified_ms, &other.path)));
    let mut bins: Vec<Vec<DataFile>> = Vec::new();
    let mut sum = 0;
    for file in files {
        sum += bytes(&file);
        match bins.last_mut() {
            Some(bin) if sum <= most => bin.push(file),
            _ => {
                sum = bytes(&file);
                bins.push(vec![file]);
            }
        }
    }
    bins
}

/// Merge a group.
pub(super) async fn merge(
    lake: &Arc<Lake>,
    session: &SessionContext,
    table: &'static Table,
    group: Group,
    settings: &Maintenance,
) -> Result<Compacted> {
    let Group { partition, files, others } = group;
    let mut repeated = Repeated::find(lake, session, table, &files, &others).await?;
    let before = Compacted {
        files_before: files.len() as u64,
        bytes_before: files.iter().map(bytes).sum(),
        ..Compacted::default()
    };
    let add = write(lake, session, table, partition, &files, &mut repeated, settings).await?;
    let remove = files.into_iter().map(|file| file.path).collect();
    // A row is left out because it is elsewhere: so it must be there still when this is committed.
    let require =
        if repeated.relies_on_others() { others.into_iter().map(|file| file.path).collect() } else { Vec::new() };
    let change = if repeated.dropped() > 0 { RowChange::Deduplicated } else { RowChange::None };
    let (files_after, bytes_after) = (add.len() as u64, add.iter().map(|file| file.size().unsigned_abs()).sum());
    match lake.swap(table, Swap { remove, require, add, change }).await? {
        Some(_) => Ok(Compacted { files_after, bytes_after, repeated: repeated.dropped(), ..before }),
        None => Ok(Compacted { given_up: 1, ..Compacted::default() }),
    }
}

async fn write(
    lake: &Arc<Lake>,
    session: &SessionContext,
    table: &'static Table,
    partition: Option<i32>,
    files: &[DataFile],
    repeated: &mut Repeated,
    settings: &Maintenance,
) -> Result<Vec<NewFile>> {
    let schema = common_schema(lake, table, files).await?;
    let to = Arc::clone(&schema);
    let shape = Arc::new(move |batch, _| align(&batch, &to));
    let expected: Option<usize> = files.iter().map(|file| file.rows).sum();
    let files = files.iter().map(|file| (file.path.clone(), file.size)).collect();
    let rows = Files { lake: Arc::clone(lake), table, files, columns: None, schema: Arc::clone(&schema), shape };
    // One sorter that spills; several would have to be merged by one that does not.
    let frame = rows.frame(session, 1)?;
    let by = table.cluster.iter().chain(&["ingested_at"]).map(|name| -> SortExpr { col(*name).sort(true, true) });
    let mut sorted = frame.sort(by.collect())?.execute_stream().await?;
    let mut written: Vec<NewFile> = Vec::new();
    let mut open: Option<FileWriter> = None;
    let mut count = 0;
    while let Some(batch) = sorted.next().await {
        let batch = repeated.without(batch?)?;
        if batch.num_rows() == 0 {
            continue;
        }
        count += batch.num_rows();
        let mut writer = match open.take() {
            Some(writer) => writer,
            None => FileWriter::create(lake, table, partition, Arc::clone(&schema))?,
        };
        writer.write(&batch).await?;
        if writer.bytes() >= settings.target_bytes {
            written.push(writer.finish(lake.clock().now_micros(), true).await?);
        } else {
            open = Some(writer);
        }
    }
    if let Some(writer) = open {
        written.push(writer.finish(lake.clock().now_micros(), true).await?);
    }
    let dropped = usize::try_from(repeated.dropped()).unwrap_or(usize::MAX);
    if expected.is_some_and(|expected| expected != count + dropped) {
        let message = format!("files of {} do not have the rows that the log says", table.name);
        return Err(UserError::new(sqlstate::IO, message).hint("ascribe check names them").into());
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::cost::COSTS;
    use crate::model::telemetry::SPANS;

    fn file(name: &str, size: i64, compacted: bool) -> DataFile {
        DataFile {
            path: name.to_owned(),
            size,
            rows: None,
            stats: None,
            partition_values: [("date".to_owned(), Some("2026-03-01".to_owned()))].into(),
            modified_ms: 1000,
            compacted,
        }
    }

    fn names(groups: &[Group]) -> Vec<Vec<&str>> {
        groups.iter().map(|group| group.files.iter().map(|file| file.path.as_str()).collect()).collect()
    }

    fn settings() -> Maintenance {
        Maintenance { small_bytes: 100, input_bytes: 120, min_files: 3, ..Maintenance::default() }
    }

    #[test]
    fn small_files_of_a_partition_are_merged_in_portions() {
        let files = vec![file("a", 60, false), file("b", 60, false), file("c", 60, true), file("big", 100, true)];
        let groups = groups(&SPANS, files, &settings(), Eagerness::All, 2000);
        assert_eq!(names(&groups), [["a", "b"]], "c is alone and was looked through");
        let others: Vec<&str> = groups[0].others.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(others, ["c", "big"]);
    }

    #[test]
    fn one_file_alone_is_looked_through_once() {
        let all = |files: Vec<DataFile>| groups(&SPANS, files, &settings(), Eagerness::All, 2000);
        assert_eq!(names(&all(vec![file("a", 10, false)])), [["a"]]);
        assert!(all(vec![file("a", 10, true)]).is_empty());
        let beside = all(vec![file("a", 10, false), file("big", 200, true)]);
        assert_eq!((names(&beside), beside[0].others.len()), (vec![vec!["a"]], 1));
        assert!(groups(&COSTS, vec![file("a", 10, false)], &settings(), Eagerness::All, 2000).is_empty());
    }

    #[test]
    fn in_the_background_a_merged_file_waits_until_as_much_has_come() {
        let few = vec![file("a", 10, false), file("b", 10, false)];
        let at = |files: &[DataFile], now| {
            let groups = groups(&SPANS, files.to_vec(), &settings(), Eagerness::Worthwhile, now);
            names(&groups).concat().join(" ")
        };
        assert_eq!(at(&few, 2000), "");
        assert_eq!(at(&few, 1000 + 600_000), "a b", "nothing has come for long");
        let with = |merged: i64| {
            let others = vec![file("c", 10, false), file("merged", merged, true), file("less", 30, true)];
            at(&[few.clone(), others].concat(), 2000)
        };
        assert_eq!(with(61), "a b c less");
        assert_eq!(with(60), "a b c less merged", "as much as has come and joined");
    }
}
