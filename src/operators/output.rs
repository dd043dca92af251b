//! From pairs of rows to batches: the columns of a join, and the conditions that are left to check on a pair.

use std::sync::Arc;

use datafusion::arrow::array::new_null_array;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array};
use datafusion::arrow::compute::{prep_null_mask_filter, take};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::{JoinSide, Result};
use datafusion::physical_plan::joins::utils::{ColumnIndex, JoinFilter};

/// Which rows of one side stand in the output.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rows<'a> {
    /// All of them, in order.
    All,
    /// These, where a null is a row of nulls.
    These(&'a UInt32Array),
    /// As many rows of nulls.
    Nulls(usize),
}

impl Rows<'_> {
    fn of(self, column: &ArrayRef) -> Result<ArrayRef> {
        Ok(match self {
            Rows::All => Arc::clone(column),
            Rows::These(rows) if column.is_empty() => new_null_array(column.data_type(), rows.len()),
            Rows::These(rows) => take(column, rows, None)?,
            Rows::Nulls(count) => new_null_array(column.data_type(), count),
        })
    }

    fn count(self, batch: &RecordBatch) -> usize {
        match self {
            Rows::All => batch.num_rows(),
            Rows::These(rows) => rows.len(),
            Rows::Nulls(count) => count,
        }
    }
}

/// One side of the output.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part<'a> {
    pub(super) batch: &'a RecordBatch,
    pub(super) rows: Rows<'a>,
}

/// The columns of a join's output, after its projection.
#[derive(Debug, Clone)]
pub(super) struct Output {
    pub(super) schema: SchemaRef,
    pub(super) columns: Vec<ColumnIndex>,
}

impl Output {
    /// The columns that a projection leaves of all.
    pub(super) fn new(schema: &SchemaRef, columns: &[ColumnIndex], projection: Option<&Vec<usize>>) -> Result<Self> {
        let Some(projection) = projection else {
            return Ok(Self { schema: Arc::clone(schema), columns: columns.to_vec() });
        };
        let columns = projection.iter().filter_map(|at| columns.get(*at).cloned()).collect();
        Ok(Self { schema: Arc::new(schema.project(projection)?), columns })
    }

    /// A batch of the output. `mark` is the column that is of neither side.
    pub(super) fn batch(&self, left: Part<'_>, right: Part<'_>, mark: Option<&BooleanArray>) -> Result<RecordBatch> {
        let columns = self.columns.iter().map(|column| {
            let part = match column.side {
                JoinSide::Left => left,
                JoinSide::Right => right,
                JoinSide::None => {
                    let mark = mark.map(|mark| Arc::new(mark.clone()) as ArrayRef);
                    return mark.ok_or_else(|| {
                        datafusion::common::DataFusionError::Internal("a join without a mark".to_owned())
                    });
                }
            };
            part.rows.of(part.batch.column(column.index))
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let rows = match self.columns.first() {
            Some(ColumnIndex { side: JoinSide::Right, .. }) => right.rows.count(right.batch),
            Some(ColumnIndex { side: JoinSide::Left, .. }) => left.rows.count(left.batch),
            _ => left.rows.count(left.batch).max(right.rows.count(right.batch)),
        };
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }
}

/// For which of the pairs a condition holds; an unknown one does not hold.
pub(super) fn holds(filter: &JoinFilter, left: Part<'_>, right: Part<'_>, pairs: usize) -> Result<BooleanArray> {
    let columns = filter.column_indices().iter().map(|column| {
        let part = if column.side == JoinSide::Left { left } else { right };
        part.rows.of(part.batch.column(column.index))
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(pairs));
    let batch = RecordBatch::try_new_with_options(Arc::clone(filter.schema()), columns, &options)?;
    let answer = filter.expression().evaluate(&batch)?.into_array(pairs)?;
    let answer = answer.as_boolean();
    Ok(if answer.null_count() > 0 { prep_null_mask_filter(answer) } else { answer.clone() })
}
