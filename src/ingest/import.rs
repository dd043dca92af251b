//! Importing files: each lands exactly once, however often the import is run or interrupted.
//!
//! Every file has a transaction id made of its source and content. The commits that hold its rows carry the id, the
//! row in `system.ingests` is committed last. Files of one import share commits, up to a bound.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::datatypes::Date32Type;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::files::{self, InputFile};
use super::ingests::{self, Ingest};
use super::recent::{NewRows, RecentRows};
use super::{Input, LANDED_BEFORE, Options, Output, Rejections, Source, incidents, ownership};
use crate::config;
use crate::error::{Error, Result, UserError, sqlstate};
use crate::model::system::{INGESTS, IngestBuilder};
use crate::model::{self, RowBuilder, Table};
use crate::storage::{Commit, Lake, Outcome, Replace, TableWriter};

/// How far an import is; safe to read while it runs.
#[derive(Debug, Default)]
pub struct Progress {
    /// Bytes of all files, as delivered.
    pub total: AtomicU64,
    /// Bytes read so far.
    pub read: Arc<AtomicU64>,
    /// Rows decoded so far.
    pub rows: AtomicU64,
}

/// What an import did.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Files that were landed.
    pub files: u64,
    /// Files that had been landed before.
    pub skipped: Vec<String>,
    /// Records of those that did not land then.
    pub rejected_before: u64,
    /// Rows landed, by table.
    pub rows: BTreeMap<&'static str, u64>,
    /// Rows of `ownership` among them that hold only since this import, for nothing said since when.
    pub undated_owners: u64,
    /// Records that did not land, by reason.
    pub rejected: BTreeMap<String, Rejections>,
    /// Files of which nothing landed, and why: they are not what the source reads, or end early.
    pub unreadable: BTreeMap<String, UserError>,
}

impl Summary {
    /// How many records did not land.
    #[must_use]
    pub fn rejections(&self) -> u64 {
        ingests::count(&self.rejected, false)
    }
}

/// Import files: paths, globs, directories, URLs, `-`.
///
/// A file that cannot be read, or is not what the source reads, does not keep the others from landing; nothing of it
/// lands. Only where a delivery replaces an earlier one it stops the import, so that no half takes the place of a whole.
///
/// # Errors
/// When nothing could be read, or the lake cannot be written. What was committed before stays, and the same import run
/// again lands the rest.
pub async fn import(
    lake: &Arc<Lake>,
    source: &'static dyn Source,
    arguments: &[String],
    options: &Options,
    progress: &Arc<Progress>,
) -> Result<Summary> {
    let files = files::expand(arguments).await?;
    progress.total.store(files.iter().map(|file| file.size).sum(), Ordering::Relaxed);
    let mut summary = Summary::default();
    let replaces = source.replaces(options);
    let mut pending: Vec<Pending> = Vec::new();
    let mut seen = BTreeSet::new();
    for file in files {
        let hash = file.hash()?;
        let id = transaction_id(source, &hash, options);
        let mut known = !replaces && lake.has_transaction(&INGESTS, &id).await?;
        if !known && !replaces && !options.set.is_empty() {
            // What was imported before values were kept out of ids.
            known = lake.has_transaction(&INGESTS, &id_of(source, &hash, options, &read_as(options))).await?;
        }
        if known {
            let before = lake.transaction_number(&INGESTS, &rejected_of(&id)).await?;
            summary.rejected_before += before.and_then(|count| u64::try_from(count).ok()).unwrap_or(0);
        }
        if known || !seen.insert(id.clone()) {
            progress.read.fetch_add(file.size, Ordering::Relaxed);
            summary.skipped.push(file.origin);
            continue;
        }
        pending.push(Pending { file: Arc::new(file), hash, id });
    }
    let mut recent = RecentRows::new(0, config::IMPORT_RECENT_EVENTS);
    // A restated billing period is one commit, so all of its files are one group.
    for group in groups(pending, replaces) {
        let run = Run { lake, source, options, progress, summary: &mut summary, recent: &mut recent };
        run.land(group).await?;
    }
    if summary.files == 0
        && summary.skipped.is_empty()
        && let Some((_, error)) = summary.unreadable.pop_first()
    {
        return Err(error.into());
    }
    tracing::info!(
        source = source.name(),
        files = summary.files,
        skipped = summary.skipped.len(),
        rows = summary.rows.values().sum::<u64>(),
        rejected = summary.rejections(),
        unreadable = summary.unreadable.len(),
        "import ended"
    );
    Ok(summary)
}

fn transaction_id(source: &dyn Source, hash: &str, options: &Options) -> String {
    let read = read_as(options);
    // Values may name persons, and an id is in the log for good.
    let named = !options.set.is_empty();
    let read = if named { format!("{}/", hex::encode(Sha256::digest(read.as_bytes()))) } else { read };
    id_of(source, hash, options, &read)
}

/// Read in another way it is another import.
fn read_as(options: &Options) -> String {
    let pairs = options.map.iter().map(|pair| ('=', pair)).chain(options.set.iter().map(|pair| (':', pair)));
    pairs.map(|(sign, (target, other))| format!("{target}{sign}{other}/")).collect()
}

fn id_of(source: &dyn Source, hash: &str, options: &Options, read: &str) -> String {
    format!("import/{}/{}/{read}{hash}", source.name(), options.table.as_deref().unwrap_or_default())
}

/// How the id ends whose number is how many records of a file were rejected.
pub const REJECTED_OF: &str = "/rejected";

/// What comes behind is not decompressed; what stands before it has landed.
const DAMAGED: &str = "the compressed data is cut off or damaged";

fn rejected_of(id: &str) -> String {
    format!("{id}{REJECTED_OF}")
}

struct Pending {
    file: Arc<InputFile>,
    hash: String,
    id: String,
}

/// Files that share commits.
fn groups(pending: Vec<Pending>, all: bool) -> Vec<Vec<Pending>> {
    let mut groups: Vec<Vec<Pending>> = Vec::new();
    let mut bytes = 0;
    for file in pending {
        let fits = bytes + file.file.size <= config::IMPORT_GROUP_BYTES;
        bytes = if fits { bytes + file.file.size } else { file.file.size };
        match groups.last_mut() {
            Some(group) if all || (fits && group.len() < config::IMPORT_GROUP_FILES) => group.push(file),
            _ => {
                bytes = file.file.size;
                groups.push(vec![file]);
            }
        }
    }
    groups
}

struct Run<'a> {
    lake: &'a Arc<Lake>,
    source: &'static dyn Source,
    options: &'a Options,
    progress: &'a Arc<Progress>,
    summary: &'a mut Summary,
    /// The identity events of what this import has committed.
    recent: &'a mut RecentRows,
}

/// What the decoding of a group gave.
#[derive(Default)]
struct Landed {
    writers: BTreeMap<&'static str, TableWriter>,
    owners: Vec<RecordBatch>,
    incidents: Vec<RecordBatch>,
    exports: BTreeMap<String, BTreeSet<i32>>,
    ingests: Vec<Ingest>,
    events: NewRows,
}

impl Run<'_> {
    fn replaces(&self) -> bool {
        self.source.replaces(self.options)
    }

    async fn land(mut self, group: Vec<Pending>) -> Result<()> {
        let ids: Vec<String> = group.iter().map(|pending| pending.id.clone()).collect();
        if group.len() > 1 && !self.replaces() && self.any_known(&ids).await? {
            // An interrupted import left some rows of this group: each file decides for itself what is missing.
            return self.one_by_one(group).await;
        }
        let mut landed = Landed::default();
        let mut broken = None;
        for pending in &group {
            if let Err(error) = self.decode(pending, &mut landed).await? {
                broken = Some((pending.file.origin.clone(), error));
                break;
            }
        }
        match broken {
            None => {
                if self.commit(landed, ids).await? {
                    return Ok(());
                }
                // Another node landed some of these files meanwhile.
                self.one_by_one(group).await
            }
            Some((_, error)) if self.replaces() => Err(error.into()),
            Some((origin, error)) if group.len() == 1 => {
                self.summary.unreadable.insert(origin, error);
                Ok(())
            }
            // Some of its rows may be among those of the others by now, so the group starts over.
            Some(_) => {
                drop(landed);
                self.one_by_one(group).await
            }
        }
    }

    async fn one_by_one(self, group: Vec<Pending>) -> Result<()> {
        let Self { lake, source, options, progress, summary, recent } = self;
        for pending in group {
            let run = Run { lake, source, options, progress, summary: &mut *summary, recent: &mut *recent };
            Box::pin(run.land(vec![pending])).await?;
        }
        Ok(())
    }

    async fn any_known(&self, ids: &[String]) -> Result<bool> {
        for table in model::tables() {
            for id in ids {
                if self.lake.has_transaction(table, id).await? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Decode one file into the writers; what is wrong with the file itself is the inner result.
    async fn decode(&self, pending: &Pending, landed: &mut Landed) -> Result<Result<(), UserError>> {
        let (sender, mut receiver) = mpsc::channel::<(&'static Table, RecordBatch)>(config::IMPORT_CHANNEL_BATCHES);
        let (source, options, now) = (self.source, self.options.clone(), self.lake.clock().now_micros());
        let read = Arc::clone(&self.progress.read);
        let (origin, hash, bytes) = (pending.file.origin.clone(), pending.hash.clone(), pending.file.size);
        let file = Arc::clone(&pending.file);
        let (file_origin, content_hash) = (origin.clone(), hash.clone());
        let decoder = tokio::task::spawn_blocking(move || -> Result<BTreeMap<String, Rejections>> {
            let (mut reader, damage) = file.readable(read)?;
            let mut rows = 0;
            let mut flush = |table, batch: RecordBatch| {
                rows += batch.num_rows();
                let gone = |_| UserError::new(sqlstate::IO, "the writer of the import stopped");
                sender.blocking_send((table, batch)).map_err(gone)?;
                Ok(())
            };
            let mut output = Output::new(source.name(), now, &mut flush);
            let (origin, content_hash) = (file_origin.as_str(), content_hash.as_str());
            let input = Input { origin, content_hash, reader: reader.as_mut(), options: &options, now };
            let decoded = source.decode(input, &mut output);
            if let Some(damage) = damage.found() {
                output.reject(DAMAGED, &damage);
                let rejected = output.finish()?;
                let nothing = decoded.is_err() || rows == 0;
                return if nothing { Err(UserError::new(sqlstate::CORRUPTED, damage).into()) } else { Ok(rejected) };
            }
            decoded?;
            output.finish()
        });
        let (mut rows, mut repeated) = (0, 0);
        while let Some((table, batch)) = receiver.recv().await {
            let decoded = batch.num_rows() as u64;
            self.progress.rows.fetch_add(decoded, Ordering::Relaxed);
            match self.take(table, batch, landed).await {
                Ok(taken) => {
                    rows += taken;
                    repeated += decoded - taken;
                }
                Err(error) => {
                    drop(receiver);
                    // The decoder's own error only says that nobody listens any more.
                    decoder.await.ok();
                    return Err(error);
                }
            }
        }
        let decoded = decoder.await.map_err(|error| UserError::new(sqlstate::INTERNAL, error.to_string()))?;
        let mut rejected = match decoded {
            Ok(rejected) => rejected,
            Err(error) => return Ok(Err(in_file(&error, &origin))),
        };
        if repeated > 0 {
            let again = Rejections { count: repeated, unused: true, sample: String::new() };
            rejected.insert(LANDED_BEFORE.to_owned(), again);
        }
        let (importer, hash) = (source.name(), Some(hash));
        landed.ingests.push(Ingest { importer, origin, hash, started: now, bytes, rows, rejected });
        Ok(Ok(()))
    }

    /// Write the rows of a batch, but for events that came already; gives back how many those are that are written.
    async fn take(&self, table: &'static Table, batch: RecordBatch, landed: &mut Landed) -> Result<u64> {
        let mut rows = batch.num_rows() as u64;
        if table.name == model::ownership::OWNERSHIP.name {
            landed.owners.push(batch);
            return Ok(rows);
        }
        if table.name == model::ownership::INCIDENTS.name {
            landed.incidents.push(batch);
            return Ok(rows);
        }
        let mut batch = batch;
        if table.name == model::identity::IAM_EVENTS.name {
            batch = self.recent.unseen(table, batch, &mut landed.events)?;
            rows = batch.num_rows() as u64;
            if rows == 0 {
                return Ok(0);
            }
        }
        if table.name == model::cost::COSTS.name {
            note_exports(&batch, &mut landed.exports);
        }
        if !landed.writers.contains_key(table.name) {
            landed.writers.insert(table.name, self.lake.writer(table).await?);
        }
        if let Some(writer) = landed.writers.get_mut(table.name) {
            writer.write(batch).await?;
        }
        Ok(rows)
    }

    /// Commit what was decoded. False when some files of a group turn out to be there already, for then no row of a table
    /// may be; what is there by then each file knows of itself.
    async fn commit(&mut self, mut landed: Landed, ids: Vec<String>) -> Result<bool> {
        self.is_whole(&landed, fingerprint(&ids)).await?;
        let commit = Commit { transactions: ids.clone(), ..Commit::default() };
        let (owners, began) = (std::mem::take(&mut landed.owners), landed.ingests.iter().map(|ingest| ingest.started));
        if let Some(added) = ownership::land(self.lake, owners, &commit, &began.collect()).await? {
            *self.summary.rows.entry("ownership").or_default() += added.rows;
            self.summary.undated_owners += added.undated;
        }
        if let Some(rows) = incidents::land(self.lake, std::mem::take(&mut landed.incidents), &commit).await? {
            *self.summary.rows.entry("incidents").or_default() += rows;
        }
        let events = std::mem::take(&mut landed.events);
        let fingerprint = fingerprint(&ids);
        let mut unchanged = !landed.exports.is_empty();
        for (name, writer) in landed.writers {
            let rows = writer.rows();
            let commit = if name == model::cost::COSTS.name {
                restatement(&landed.exports, fingerprint)
            } else {
                commit.clone()
            };
            match writer.commit(commit).await? {
                Outcome::Committed(_) => {
                    *self.summary.rows.entry(name).or_default() += rows;
                    unchanged = false;
                }
                Outcome::AlreadyThere if ids.len() > 1 && !self.replaces() => return Ok(false),
                Outcome::AlreadyThere | Outcome::Superseded => {}
            }
        }
        if unchanged {
            for ingest in landed.ingests {
                self.summary.rejected_before += ingests::count(&ingest.rejected, false);
                self.summary.skipped.push(ingest.origin);
            }
            return Ok(true);
        }
        self.record(landed.ingests, ids).await?;
        self.recent.landed(events);
        Ok(true)
    }

    /// Make sure that no bill takes the place of another one, which may have said more, unless all of it was understood.
    async fn is_whole(&self, landed: &Landed, fingerprint: i64) -> Result<()> {
        let rejected = landed.ingests.iter().flat_map(|ingest| &ingest.rejected).filter(|(_, seen)| !seen.unused);
        let Some((reason, seen)) =
            rejected.max_by_key(|(_, seen)| seen.count).filter(|_| !self.options.accept_rejections)
        else {
            return Ok(());
        };
        for (id, months) in &landed.exports {
            for month in months {
                let there = self.lake.transaction_number(&model::cost::COSTS, &export_of(id, *month)).await?;
                if there.is_some_and(|there| there != fingerprint) {
                    let count: u64 = landed.ingests.iter().map(|ingest| ingests::count(&ingest.rejected, false)).sum();
                    let records = if count == 1 { "record" } else { "records" };
                    return Err(UserError::invalid(format!(
                        "the bill would take the place of another one, and {count} {records} of it cannot be read"
                    ))
                    .detail(format!("{reason}, such as {}", seen.sample))
                    .hint("mend the file, or let what is left replace the month with --accept-rejections")
                    .into());
                }
            }
        }
        Ok(())
    }

    async fn record(&mut self, ingests: Vec<Ingest>, ids: Vec<String>) -> Result<()> {
        let finished = self.lake.clock().now_micros();
        let mut builder = IngestBuilder::default();
        let mut latest = Vec::new();
        for (at, ingest) in ingests.into_iter().enumerate() {
            let count = ingests::count(&ingest.rejected, false);
            if let (Some(id), Ok(count @ 1..)) = (ids.get(at).filter(|_| !self.replaces()), i64::try_from(count)) {
                latest.push((rejected_of(id), count));
            }
            ingest.append_to(&mut builder, finished);
            self.summary.files += 1;
            ingests::absorb(&mut self.summary.rejected, ingest.rejected);
        }
        let mut writer = self.lake.writer(&INGESTS).await?;
        writer.write(builder.finish(self.source.name(), finished)).await?;
        let transactions = if self.replaces() { Vec::new() } else { ids };
        writer.commit(Commit { transactions, latest, ..Commit::default() }).await?;
        Ok(())
    }
}

fn in_file(error: &Error, origin: &str) -> UserError {
    let mut user = match error {
        Error::User(user) => user.clone(),
        other => UserError::new(other.sqlstate(), "the file cannot be read").detail(other.to_string()),
    };
    user.message = format!("{origin}: {}", user.message);
    user
}

/// Which months of which export a batch of charges covers.
fn note_exports(batch: &RecordBatch, exports: &mut BTreeMap<String, BTreeSet<i32>>) {
    let (Some(ids), Some(months)) = (batch.column_by_name("export_id"), batch.column_by_name("billing_month")) else {
        return;
    };
    let (Some(ids), Some(months)) = (ids.as_string_opt::<i32>(), months.as_primitive_opt::<Date32Type>()) else {
        return;
    };
    for row in 0..batch.num_rows() {
        if ids.is_valid(row) && months.is_valid(row) {
            exports.entry(ids.value(row).to_owned()).or_default().insert(months.value(row));
        }
    }
}

/// A number that stands for the files of an import, for comparing it with the last one of the same export.
fn fingerprint(ids: &[String]) -> i64 {
    let sorted: BTreeSet<&String> = ids.iter().collect();
    let mut digest = Sha256::new();
    for id in sorted {
        digest.update(id.as_bytes());
    }
    let bytes = digest.finalize();
    let low = bytes.iter().take(8).fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
    i64::try_from(low >> 1).unwrap_or_default()
}

/// The id of a month of an export; the month is that of [`note_exports`].
fn export_of(id: &str, month: i32) -> String {
    format!("export/{id}/{month}")
}

/// The commit that puts charges in the place of those of the same export and month.
fn restatement(exports: &BTreeMap<String, BTreeSet<i32>>, fingerprint: i64) -> Commit {
    let replace = exports.iter().map(|(id, months)| Replace::Matching {
        column: "export_id",
        value: id.clone(),
        partitions: months.clone(),
    });
    let latest =
        exports.iter().flat_map(|(id, months)| months.iter().map(move |month| (export_of(id, *month), fingerprint)));
    Commit { replace: replace.collect(), latest: latest.collect(), ..Commit::default() }
}
