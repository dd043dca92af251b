//! Expiry: rows go when the rule of their tier says, unless an incident holds them.
//!
//! What counts is when a row landed, not when its sender says that it happened: a sender's clock decides nothing. Holds
//! go by the time of the row, for they keep what is asked about an incident.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use datafusion::prelude::{DataFrame, SessionContext};
use futures::StreamExt;
use parking_lot::Mutex;

use super::retention::{Holds, Retention, Rule};
use super::rows::{Files, align, common_schema};
use crate::error::Result;
use crate::model::{Partition, Table};
use crate::storage::{DataFile, FileWriter, Lake, NewFile, RowChange, Swap};

/// What expiry did to a table.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Expired {
    /// Rows that went.
    pub rows: u64,
    /// Files that went whole.
    pub files: u64,
    /// Files that were written anew without their expired rows.
    pub rewritten: u64,
}

/// Files that were read, and before when none of their rows expires. Only spares reading them again.
pub(super) type Seen = Mutex<HashMap<String, i64>>;

/// From when until when rows are held, microseconds since the epoch.
type Window = (i64, i64);

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// What incidents hold now.
pub(super) async fn windows(session: &SessionContext, holds: &Holds, now: i64) -> Result<Vec<Window>> {
    let sql = "SELECT started_at, CASE WHEN status = 'resolved' THEN coalesce(resolved_at, started_at) ELSE resolved_at END \
        FROM incidents WHERE started_at IS NOT NULL";
    let mut windows = Vec::new();
    for batch in crate::session::query(session, sql).await?.collect().await? {
        let started = batch.column(0).as_primitive::<TimestampMicrosecondType>();
        let ended = batch.column(1).as_primitive::<TimestampMicrosecondType>();
        for row in 0..batch.num_rows() {
            let from = started.value(row).saturating_sub(micros(holds.before));
            if ended.is_null(row) {
                windows.push((from, i64::MAX));
            } else if now < ended.value(row).saturating_add(micros(holds.resolved)) {
                windows.push((from, ended.value(row).saturating_add(micros(holds.after))));
            }
        }
    }
    Ok(windows)
}

/// What the rules of a table mean now.
struct Policy<'a> {
    rules: Vec<&'a Rule>,
    windows: &'a [Window],
    /// The column of a row's own time.
    time: &'static str,
    now: i64,
}

impl Policy<'_> {
    fn shortest(&self) -> i64 {
        self.rules.iter().map(|rule| micros(rule.keep)).min().unwrap_or(i64::MAX)
    }

    /// How long a row is kept at most; none for ever.
    fn longest(&self) -> Option<i64> {
        let whole = self.rules.last().is_some_and(|rule| rule.condition.is_none());
        self.rules.iter().map(|rule| micros(rule.keep)).max().filter(|_| whole)
    }

    fn holds(&self, file: &DataFile) -> bool {
        let Some((least, greatest)) = file.times(self.time) else { return !self.windows.is_empty() };
        self.windows.iter().any(|(from, to)| least < *to && greatest >= *from)
    }

    /// Whether all rows of a file are expired, as its statistics say.
    fn whole(&self, file: &DataFile) -> bool {
        let (Some(longest), Some((_, landed))) = (self.longest(), file.times("ingested_at")) else { return false };
        landed.saturating_add(longest) < self.now && !self.holds(file)
    }

    /// Whether some row of a file may be expired.
    fn partly(&self, file: &DataFile) -> bool {
        file.times("ingested_at").is_none_or(|(landed, _)| landed.saturating_add(self.shortest()) < self.now)
    }

    /// When a row expires, microseconds since the epoch; null for never.
    fn end(&self) -> String {
        let landed = "arrow_cast(ingested_at, 'Int64')";
        let mut cases = String::new();
        for rule in &self.rules {
            let condition = rule.condition.as_deref().unwrap_or("TRUE");
            cases.push_str(&format!(" WHEN ({condition}) THEN {landed} + {}", micros(rule.keep)));
        }
        format!("CASE{cases} ELSE NULL END")
    }

    fn held(&self) -> String {
        let time = format!("arrow_cast({}, 'Int64')", self.time);
        let windows = self.windows.iter().map(|(from, to)| format!("({time} >= {from} AND {time} < {to})"));
        let windows: Vec<String> = windows.collect();
        if windows.is_empty() { "FALSE".to_owned() } else { format!("coalesce({}, FALSE)", windows.join(" OR ")) }
    }

    fn expired(&self) -> String {
        format!("(coalesce({} < {}, FALSE) AND NOT {})", self.end(), self.now, self.held())
    }
}

/// Take the expired rows of a table away.
pub(super) async fn expire(
    lake: &Arc<Lake>,
    session: &SessionContext,
    table: &'static Table,
    retention: &Retention,
    windows: &[Window],
    seen: &Seen,
) -> Result<Expired> {
    let rules = retention.rules(table);
    let (Partition::Day(time) | Partition::Month(time)) = table.partition else { return Ok(Expired::default()) };
    let mut done = Expired::default();
    if rules.is_empty() {
        return Ok(done);
    }
    let now = lake.clock().now_micros();
    let policy = Policy { rules, windows, time, now };
    let mut by_partition: HashMap<Option<i32>, Vec<DataFile>> = HashMap::new();
    for file in lake.files(table).await? {
        let due = seen.lock().get(&file.path).is_none_or(|due| *due < now);
        if policy.partly(&file) && due {
            by_partition.entry(file.partition(table)).or_default().push(file);
        }
    }
    for (partition, files) in by_partition {
        let (mut remove, mut add, mut rows, mut whole) = (Vec::new(), Vec::new(), 0, 0);
        for file in files {
            if policy.whole(&file) {
                rows += file.rows.unwrap_or_default() as u64;
                whole += 1;
                remove.push(file.path);
                continue;
            }
            let found = look(lake, session, table, &file, &policy).await?;
            if found.expired == 0 {
                seen.lock().insert(file.path, found.next);
                continue;
            }
            rows += found.expired;
            if found.stay > 0 {
                add.push(without(lake, session, table, partition, &file, &policy).await?);
            } else {
                whole += 1;
            }
            remove.push(file.path);
        }
        if remove.is_empty() {
            continue;
        }
        let rewritten = add.len() as u64;
        // Where another writer changed the files meanwhile, the next round finds what is left.
        if lake.swap(table, Swap { remove, require: Vec::new(), add, change: RowChange::Deleted }).await?.is_some() {
            done.rows += rows;
            done.files += whole;
            done.rewritten += rewritten;
        }
    }
    Ok(done)
}

struct Found {
    expired: u64,
    stay: u64,
    /// Before when no row expires.
    next: i64,
}

async fn frame(
    lake: &Arc<Lake>,
    session: &SessionContext,
    table: &'static Table,
    file: &DataFile,
) -> Result<DataFrame> {
    let schema = common_schema(lake, table, std::slice::from_ref(file)).await?;
    let to = Arc::clone(&schema);
    let shape = Arc::new(move |batch, _| align(&batch, &to));
    let files = vec![(file.path.clone(), file.size)];
    Files { lake: Arc::clone(lake), table, files, columns: None, schema, shape }.frame(session, 1)
}

async fn look(
    lake: &Arc<Lake>,
    session: &SessionContext,
    table: &'static Table,
    file: &DataFile,
    policy: &Policy<'_>,
) -> Result<Found> {
    let frame = frame(lake, session, table, file).await?;
    let name = format!("kept_{}", uuid::Uuid::now_v7().simple());
    session.register_table(name.as_str(), frame.into_view())?;
    // A row that is held may be let go of at any time.
    let sql = format!(
        "SELECT count(*) FILTER (WHERE {expired}), count(*), \
         min(CASE WHEN {held} THEN {now} ELSE {end} END) FROM {name}",
        expired = policy.expired(),
        held = policy.held(),
        now = policy.now,
        end = policy.end()
    );
    let asked = async { Ok(crate::session::query(session, &sql).await?.collect().await?) };
    let asked: Result<Vec<_>> = asked.await;
    session.deregister_table(name.as_str())?;
    let mut found = Found { expired: 0, stay: 0, next: i64::MAX };
    for batch in asked? {
        let number = |column: usize| batch.column(column).as_primitive::<Int64Type>();
        found.expired = u64::try_from(number(0).value(0)).unwrap_or_default();
        found.stay = u64::try_from(number(1).value(0)).unwrap_or_default() - found.expired;
        if number(2).is_valid(0) {
            found.next = number(2).value(0);
        }
    }
    Ok(found)
}

/// A file written anew without its expired rows.
async fn without(
    lake: &Arc<Lake>,
    session: &SessionContext,
    table: &'static Table,
    partition: Option<i32>,
    file: &DataFile,
    policy: &Policy<'_>,
) -> Result<NewFile> {
    let frame = frame(lake, session, table, file).await?;
    let stays = frame.parse_sql_expr(&format!("NOT {}", policy.expired()))?;
    let mut rows = frame.filter(stays)?.execute_stream().await?;
    let mut writer = FileWriter::create(lake, table, partition, rows.schema())?;
    while let Some(batch) = rows.next().await {
        writer.write(&batch?).await?;
    }
    writer.finish(lake.clock().now_micros(), file.compacted).await
}
