//! `ascribe check`: everything is read, and what does not fit is named.
//!
//! A finding is damage, or a note: files of writers that were stopped, rows that two nodes committed at once. Notes come
//! with normal use and go with maintenance; damage does not.

mod files;
mod imports;
mod log;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use object_store::ObjectMeta;

use super::repeated::Repeated;
use super::stored_tables;
use super::vacuum::objects;
use crate::config;
use crate::database::Database;
use crate::error::{Error, Result, plural};
use crate::model::Table;
use crate::storage::{DataFile, Lake, State, TableLog};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing is lost or doubled for a query, or maintenance will see to it.
    Note,
    /// The lake is not sound.
    Damage,
}

impl Severity {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Damage => "damage",
        }
    }
}

/// Something that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The table.
    pub table: String,
    /// What kind of finding it is, in a word or two.
    pub kind: &'static str,
    /// The object below the lake, the version, or the id that it is about.
    pub subject: String,
    /// What is wrong with it.
    pub detail: String,
}

/// What was read, and what was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Tables that were written.
    pub tables: u64,
    /// Log entries read.
    pub entries: u64,
    /// Data files read.
    pub files: u64,
    /// Rows read.
    pub rows: u64,
    /// Bytes of the data files.
    pub bytes: u64,
    /// What does not fit, by table.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether there is no damage.
    #[must_use]
    pub fn sound(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity != Severity::Damage)
    }

    fn absorb(&mut self, other: Self) {
        self.tables += other.tables;
        self.entries += other.entries;
        self.files += other.files;
        self.rows += other.rows;
        self.bytes += other.bytes;
        self.findings.extend(other.findings);
    }

    fn find(&mut self, severity: Severity, table: &str, kind: &'static str, subject: String, detail: String) {
        self.findings.push(Finding { severity, table: table.to_owned(), kind, subject, detail });
    }

    fn damage(&mut self, table: &str, kind: &'static str, subject: impl Into<String>, detail: impl Into<String>) {
        self.find(Severity::Damage, table, kind, subject.into(), detail.into());
    }

    fn note(&mut self, table: &str, kind: &'static str, subject: impl Into<String>, detail: impl Into<String>) {
        self.find(Severity::Note, table, kind, subject.into(), detail.into());
    }
}

/// Read a lake, or some tables of it, and name what does not fit. It may be written to meanwhile.
///
/// # Errors
/// When the object store cannot be listed; what cannot be read otherwise is a finding.
pub async fn check(database: &Database, tables: &[&'static Table]) -> Result<Report> {
    let lake = database.lake();
    let mut report = Report::default();
    let mut states = BTreeMap::new();
    for table in tables.iter().copied() {
        if let Some(state) = settle(database, table, &mut report).await? {
            states.insert(table.name, state);
        }
    }
    if tables.len() == stored_tables().len() {
        imports::check(lake, &states, &mut report).await?;
        strangers(lake, &mut report).await?;
    }
    Ok(report)
}

/// Check a table, and again when what seems to be damage may be another node's work: one that cleaned up the log, or
/// deleted what was merged, between two looks.
async fn settle(database: &Database, table: &'static Table, report: &mut Report) -> Result<Option<State>> {
    let folder = format!("tables/{}/_delta_log", table.name);
    let mut attempts = 0;
    loop {
        attempts += 1;
        let before = objects(database.lake(), &folder).await?;
        let mut found = Report::default();
        let state = check_table(database, table, &mut found).await?;
        let changed = || async {
            let after = objects(database.lake(), &folder).await?;
            let paths = |metas: &[ObjectMeta]| metas.iter().map(|meta| meta.location.clone()).collect::<BTreeSet<_>>();
            Ok::<_, Error>(paths(&before) != paths(&after))
        };
        if found.sound() || attempts >= config::CHECK_ATTEMPTS || !changed().await? {
            report.absorb(found);
            return Ok(state);
        }
    }
}

/// Folders that are no table's.
async fn strangers(lake: &Lake, report: &mut Report) -> Result<()> {
    let folder = object_store::path::Path::from("tables");
    for prefix in lake.store().list_with_delimiter(Some(&folder)).await?.common_prefixes {
        let name = prefix.filename().unwrap_or_default().to_owned();
        if !stored_tables().iter().any(|table| table.name == name) {
            report.note(&name, "stray folder", prefix.as_ref(), "it is no table's");
        }
    }
    Ok(())
}

async fn check_table(database: &Database, table: &'static Table, report: &mut Report) -> Result<Option<State>> {
    let lake = database.lake();
    let folder = format!("tables/{}", table.name);
    // The log is listed first: what is committed meanwhile is then a young file that is in no version yet.
    let logged = TableLog::of(objects(lake, &format!("{folder}/_delta_log")).await?);
    let data: Vec<ObjectMeta> = objects(lake, &folder).await?;
    let data: BTreeMap<String, ObjectMeta> = data
        .into_iter()
        .filter(|meta| !meta.location.as_ref().contains("/_delta_log/"))
        .map(|meta| (meta.location.as_ref().to_owned(), meta))
        .collect();
    if logged.newest().is_none() {
        for path in data.keys() {
            report.damage(table.name, "stray file", path, "it is in the folder of a table that has no log");
        }
        return Ok(None);
    }
    report.tables += 1;
    let state = log::check(lake, table, &logged, report).await?;
    engine_agrees(lake, table, &state, report).await;
    let mut readable = Vec::new();
    for file in state.live.values() {
        if files::check(lake, table, file, &data, report).await {
            readable.push(file);
        }
    }
    unknown_files(lake, table, &state, &data, report);
    repeated_rows(database, table, &readable.into_iter().cloned().collect::<Vec<_>>(), report).await;
    Ok(Some(state))
}

/// The table as queries see it.
async fn engine_agrees(lake: &Arc<Lake>, table: &'static Table, state: &State, report: &mut Report) {
    let (version, files) = match (lake.version(table).await, lake.files(table).await) {
        (Ok(version), Ok(files)) => (version, files),
        (Err(error), _) | (_, Err(error)) => {
            report.damage(table.name, "unreadable table", table.name, format!("queries cannot open it: {error}"));
            return;
        }
    };
    // Another writer may have been faster than the look at the log.
    if version != state.version {
        return;
    }
    let seen: BTreeMap<&str, &DataFile> = files.iter().map(|file| (file.path.as_str(), file)).collect();
    for path in state.live.keys().filter(|path| !seen.contains_key(path.as_str())) {
        report.damage(table.name, "log", path, "the log has it, but queries do not see it");
    }
    for path in seen.keys().filter(|path| !state.live.contains_key(**path)) {
        report.damage(table.name, "log", *path, "queries see it, but the log does not have it");
    }
}

/// Files in the folder that are part of no version.
fn unknown_files(lake: &Lake, table: &Table, state: &State, data: &BTreeMap<String, ObjectMeta>, report: &mut Report) {
    let folder = format!("tables/{}/", table.name);
    let now_ms = lake.clock().now_micros() / 1000;
    for (path, meta) in data {
        let below = path.strip_prefix(&folder).unwrap_or(path);
        if state.live.contains_key(below) || state.removed.contains_key(below) {
            continue;
        }
        let minutes = (now_ms - meta.last_modified.timestamp_millis()).max(0) / 60_000;
        let age = format!("{} bytes, {minutes} {} old", meta.size, plural(minutes.unsigned_abs(), "minute"));
        let name = below.rsplit('/').next().unwrap_or(below);
        if name.starts_with("part-") && name.ends_with(".parquet") {
            report.note(table.name, "orphan file", path, format!("it is in no version: {age}"));
        } else {
            report.damage(table.name, "stray file", path, format!("no writer of ours makes such a file: {age}"));
        }
    }
}

async fn repeated_rows(
    database: &Database,
    table: &'static Table,
    files: &[crate::storage::LoggedFile],
    report: &mut Report,
) {
    let mut partitions: BTreeMap<Option<i32>, Vec<DataFile>> = BTreeMap::new();
    for file in files {
        let file = file.data_file();
        partitions.entry(file.partition(table)).or_default().push(file);
    }
    let mut surplus = 0;
    for files in partitions.into_values() {
        let session = match database.new_session() {
            Ok(session) => session,
            Err(error) => {
                report.damage(table.name, "repeated rows", table.name, format!("they cannot be counted: {error}"));
                return;
            }
        };
        match Repeated::find(database.lake(), &session, table, &files, &[]).await {
            Ok(repeated) => surplus += repeated.surplus(),
            Err(error) => {
                report.damage(table.name, "repeated rows", table.name, format!("they cannot be counted: {error}"));
            }
        }
    }
    if surplus > 0 {
        let (rows, dropped) = if surplus == 1 { ("row is", "it") } else { ("rows are", "them") };
        let detail = format!("{surplus} {rows} there although the same is there already; compaction drops {dropped}");
        report.note(table.name, "repeated rows", table.name, detail);
    }
}
