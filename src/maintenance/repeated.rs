//! Rows that are there more than once: what two nodes committed at the same time, or a sender sent again to another.
//!
//! Where a key identifies a thing, the earliest arrival of it stays. What senders number themselves (spans, changes) is
//! the same thing only if all of it is the same: what differs is something that was said, and is not thrown away. Where no
//! key tells two equal things of one moment apart (log lines, points), only a whole row that arrived again at another time
//! is a repetition: what arrived together stays together. Tables whose rows are opinions, records or charges have no
//! repetitions.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, BinaryArray, BooleanArray, Int64Array, RecordBatch};
use datafusion::arrow::compute::{cast, filter_record_batch};
use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimestampMicrosecondType};
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::prelude::SessionContext;
use futures::StreamExt;
use sha2::{Digest, Sha256};

use super::rows::{Files, align, common_schema, ways};
use crate::config;
use crate::error::{Result, UserError, sqlstate};
use crate::model::{Table, change, identity, platform, telemetry};
use crate::storage::{DataFile, Lake};

/// What makes two rows of a table the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Same {
    /// The columns that identify a thing; a row without one of them is like no other.
    Key(&'static [&'static str]),
    /// All columns but `ingested_at`; a row without one of the named ones is like no other.
    Thing(&'static [&'static str]),
    /// All columns but `ingested_at`, at another `ingested_at`.
    Row,
}

/// What makes two rows of a table the same; none for a table where nothing does.
pub(super) fn same(table: &Table) -> Option<Same> {
    const KEYS: &[(&Table, Same)] = &[
        (&telemetry::SPANS, Same::Thing(&["trace_id", "span_id"])),
        (&telemetry::LOGS, Same::Row),
        (&telemetry::METRIC_POINTS, Same::Row),
        // A change is called what its source calls it.
        (&change::CHANGES, Same::Thing(&["change_id", "status", "source"])),
        (&identity::IAM_EVENTS, Same::Key(&["provider", "event_id"])),
        (&platform::SCALING_EVENTS, Same::Row),
        (&platform::LINEAGE_RUNS, Same::Row),
    ];
    KEYS.iter().find(|(known, _)| known.name == table.name).map(|(_, same)| *same)
}

/// The beginning of the SHA-256 of what makes a row what it is.
type Hash = [u8; 16];

/// One that is there more than once.
#[derive(Debug, Clone, Copy)]
struct Repeat {
    /// The arrival that stays.
    arrival: i64,
    /// Whether it stays in a file that is not written anew.
    elsewhere: bool,
    /// Rows beyond those that stay.
    surplus: u64,
    /// Whether the one row of a key that stays was met.
    met: bool,
}

/// The rows of some files that are there more than once, counted and to be left out.
#[derive(Debug)]
pub(super) struct Repeated {
    same: Option<Same>,
    rows: HashMap<Hash, Repeat>,
    dropped: u64,
}

const NO_HASH: &str = "a row cannot be compared with others";

impl Repeated {
    /// Look through the rows of files of one partition: those of `files`, and of `others` that stay as they are.
    pub(super) async fn find(
        lake: &Arc<Lake>,
        session: &SessionContext,
        table: &'static Table,
        files: &[DataFile],
        others: &[DataFile],
    ) -> Result<Self> {
        let Some(same) = same(table) else {
            return Ok(Self { same: None, rows: HashMap::new(), dropped: 0 });
        };
        if let Same::Thing(names) = same {
            // Whole rows are read only where there is one whose names are another's too.
            let named = Self::of(lake, session, table, files, others, (Same::Key(names), 1)).await?;
            if named.rows.is_empty() {
                return Ok(Self { same: Some(same), ..named });
            }
        }
        Self::of(lake, session, table, files, others, (same, config::REPEATED_ROWS)).await
    }

    /// At most so many rows of which there are more than one.
    async fn of(
        lake: &Arc<Lake>,
        session: &SessionContext,
        table: &'static Table,
        files: &[DataFile],
        others: &[DataFile],
        (same, most): (Same, usize),
    ) -> Result<Self> {
        let all: Vec<DataFile> = files.iter().chain(others).cloned().collect();
        let whole = common_schema(lake, table, &all).await?;
        let keys = keys_of(same, &whole);
        let columns = match same {
            Same::Key(names) => Some(names.iter().copied().chain(["ingested_at"]).collect()),
            Same::Thing(_) | Same::Row => None,
        };
        let schema = Arc::new(Schema::new(vec![
            Field::new("hash", DataType::Binary, false),
            Field::new("arrival", DataType::Int64, false),
            Field::new("elsewhere", DataType::Boolean, false),
        ]));
        let (shaped, first_other) = (Arc::clone(&schema), files.len());
        let shape = move |batch: RecordBatch, at: usize| {
            hashes(&align(&batch, &whole)?, &keys, same, at >= first_other, &shaped)
        };
        let files = all.into_iter().map(|file| (file.path, file.size)).collect();
        let files = Files { lake: Arc::clone(lake), table, files, columns, schema, shape: Arc::new(shape) };
        let name = format!("arrived_{}", uuid::Uuid::now_v7().simple());
        let frame = files.frame(session, ways())?;
        session.register_table(name.as_str(), frame.into_view())?;
        let found = Self::ask(session, same, &name, most).await;
        session.deregister_table(name.as_str())?;
        Ok(Self { same: Some(same), rows: found?, dropped: 0 })
    }

    async fn ask(session: &SessionContext, same: Same, name: &str, most: usize) -> Result<HashMap<Hash, Repeat>> {
        // Rows of one arrival come first; what stays elsewhere counts before what came first.
        let arrivals = format!(
            "SELECT hash, arrival, count(*) AS together, bool_or(elsewhere) AS elsewhere FROM {name} GROUP BY hash, arrival"
        );
        let having = if same == Same::Row { "count(*) > 1" } else { "sum(together) > 1" };
        let sql = format!(
            "SELECT hash, min(arrival) AS first, min(CASE WHEN elsewhere THEN arrival END) AS kept, \
             CAST(sum(together) AS bigint) AS all_rows, CAST(first_value(together ORDER BY NOT elsewhere, arrival) AS bigint) AS stay \
             FROM ({arrivals}) GROUP BY hash HAVING {having} LIMIT {most}"
        );
        let mut batches = crate::session::query(session, &sql).await?.execute_stream().await?;
        let mut found = HashMap::new();
        while let Some(batch) = batches.next().await {
            let batch = batch?;
            let hashes = cast(batch.column(0), &DataType::Binary)?;
            let hashes = hashes.as_binary::<i32>();
            let number = |column: usize| batch.column(column).as_primitive::<Int64Type>();
            for row in 0..batch.num_rows() {
                let Ok(hash) = Hash::try_from(hashes.value(row)) else { continue };
                let elsewhere = number(2).is_valid(row);
                let arrival = if elsewhere { number(2).value(row) } else { number(1).value(row) };
                let stay = if same == Same::Row { number(4).value(row) } else { 1 };
                let surplus = u64::try_from(number(3).value(row) - stay).unwrap_or_default();
                found.insert(hash, Repeat { arrival, elsewhere, surplus, met: false });
            }
        }
        Ok(found)
    }

    /// How many rows are there beyond those that stay.
    pub(super) fn surplus(&self) -> u64 {
        self.rows.values().map(|repeat| repeat.surplus).sum()
    }

    /// Whether rows are left out because they are in a file that stays as it is.
    pub(super) fn relies_on_others(&self) -> bool {
        self.rows.values().any(|repeat| repeat.elsewhere)
    }

    /// How many rows [`Repeated::without`] left out.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The rows of a batch of the files without those that are there otherwise.
    pub(super) fn without(&mut self, batch: RecordBatch) -> Result<RecordBatch> {
        let Some(same) = self.same else { return Ok(batch) };
        if self.rows.is_empty() {
            return Ok(batch);
        }
        let keys = keys_of(same, &batch.schema());
        let hashes = hash_rows(&batch, &keys, same)?;
        let arrivals = arrivals(&batch)?;
        let mut keep = vec![true; batch.num_rows()];
        for ((keep, hash), arrival) in keep.iter_mut().zip(hashes).zip(arrivals.values()) {
            let Some(repeat) = hash.and_then(|hash| self.rows.get_mut(&hash)) else { continue };
            *keep = match same {
                Same::Row => *arrival == repeat.arrival,
                Same::Key(_) | Same::Thing(_) => !repeat.elsewhere && !repeat.met && *arrival == repeat.arrival,
            };
            repeat.met |= *keep;
        }
        let keep = BooleanArray::from(keep);
        self.dropped += (batch.num_rows() - keep.true_count()) as u64;
        Ok(filter_record_batch(&batch, &keep)?)
    }
}

fn keys_of(same: Same, schema: &SchemaRef) -> Vec<usize> {
    let fields = schema.fields().iter().enumerate();
    let wanted = fields.filter(|(_, field)| match same {
        Same::Key(names) => names.contains(&field.name().as_str()),
        Same::Thing(_) | Same::Row => field.name() != "ingested_at",
    });
    wanted.map(|(at, _)| at).collect()
}

fn hash_rows(batch: &RecordBatch, keys: &[usize], same: Same) -> Result<Vec<Option<Hash>>> {
    let columns: Vec<_> = keys.iter().map(|at| Arc::clone(batch.column(*at))).collect();
    let fields = columns.iter().map(|column| SortField::new(column.data_type().clone())).collect();
    let rows = RowConverter::new(fields)?.convert_columns(&columns)?;
    let names = match same {
        Same::Key(names) | Same::Thing(names) => names,
        Same::Row => &[],
    };
    let named: Vec<_> = names.iter().map(|name| batch.column_by_name(name)).collect();
    let hash = |row: usize| {
        if named.iter().any(|column| column.is_none_or(|column| column.is_null(row))) {
            return None;
        }
        let digest = Sha256::digest(rows.row(row).data());
        digest.get(..size_of::<Hash>())?.try_into().ok()
    };
    Ok((0..batch.num_rows()).map(hash).collect())
}

fn arrivals(batch: &RecordBatch) -> Result<datafusion::arrow::array::TimestampMicrosecondArray> {
    let times = batch.column_by_name("ingested_at");
    let times = times.and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
    Ok(times.ok_or_else(|| UserError::new(sqlstate::INTERNAL, NO_HASH))?.clone())
}

fn hashes(batch: &RecordBatch, keys: &[usize], same: Same, elsewhere: bool, schema: &SchemaRef) -> Result<RecordBatch> {
    let arrivals = arrivals(batch)?;
    let found = hash_rows(batch, keys, same)?;
    let found = found.iter().zip(arrivals.values()).filter_map(|(hash, arrival)| Some(((*hash)?, *arrival)));
    let (hashes, arrivals): (Vec<Hash>, Vec<i64>) = found.unzip();
    let rows = hashes.len();
    let columns: Vec<datafusion::arrow::array::ArrayRef> = vec![
        Arc::new(BinaryArray::from_iter_values(hashes)),
        Arc::new(Int64Array::from(arrivals)),
        Arc::new(BooleanArray::from(vec![elsewhere; rows])),
    ];
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}
