//! A stored table as the query engine sees it: the newest committed state to read, one commit to insert.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, AsArray, Date32Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{SchemaRef, TimestampMicrosecondType};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DataFusionError, Result, Statistics, not_impl_err};
use datafusion::datasource::sink::{DataSink, DataSinkExec};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::dml::InsertOp;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan};
use futures::StreamExt;

use super::infallible;
use super::reading::ReadingExec;
use crate::error::{Error, UserError, sqlstate};
use crate::model::system::AUDIT;
use crate::model::{self, Partition, Table};
use crate::storage::{Commit, Lake, Pin};

/// A stored table at one version.
#[derive(Debug)]
pub(super) struct LakeTable {
    lake: Arc<Lake>,
    table: &'static Table,
    rows: Arc<dyn TableProvider>,
    pin: Option<Arc<Pin>>,
}

impl LakeTable {
    pub(super) async fn open(lake: &Arc<Lake>, table: &'static Table) -> Result<Self, Error> {
        let (rows, pin) = lake.provider(table).await?;
        Ok(Self { lake: Arc::clone(lake), table, rows, pin })
    }
}

#[async_trait]
impl TableProvider for LakeTable {
    fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let rows = self.rows.scan(state, projection, filters, limit).await?;
        Ok(match &self.pin {
            Some(pin) => Arc::new(ReadingExec::new(rows, pin)),
            None => rows,
        })
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        infallible::pushed(self.rows.as_ref(), filters)
    }

    fn statistics(&self) -> Option<Statistics> {
        self.rows.statistics()
    }

    async fn insert_into(
        &self,
        _state: &dyn Session,
        input: Arc<dyn ExecutionPlan>,
        operation: InsertOp,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if self.table.name == AUDIT.name {
            return Err(UserError::new(sqlstate::PERMISSION, "system.audit is written by the server alone").into());
        }
        if operation != InsertOp::Append {
            return not_impl_err!("INSERT OVERWRITE: rows of a lake are only added");
        }
        let sink = LakeSink { lake: Arc::clone(&self.lake), table: self.table, schema: self.schema() };
        Ok(Arc::new(DataSinkExec::new(input, Arc::new(sink), None)))
    }
}

/// Lands the rows of an INSERT in one commit.
#[derive(Debug)]
struct LakeSink {
    lake: Arc<Lake>,
    table: &'static Table,
    schema: SchemaRef,
}

impl DisplayAs for LakeSink {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LakeSink(table={})", self.table.name)
    }
}

#[async_trait]
impl DataSink for LakeSink {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    async fn write_all(&self, mut data: SendableRecordBatchStream, _: &Arc<TaskContext>) -> Result<u64> {
        let external = |error: Error| DataFusionError::External(Box::new(error));
        let mut writer = self.lake.writer(self.table).await.map_err(external)?;
        let now = self.lake.clock().now_micros();
        while let Some(batch) = data.next().await {
            writer.write(complete(self.table, &batch?, now)?).await.map_err(external)?;
        }
        let rows = writer.rows();
        if rows > 0 {
            writer.commit(Commit::default()).await.map_err(external)?;
        }
        Ok(rows)
    }
}

/// Rows in the table's own types, with the columns filled in that no user writes.
fn complete(table: &'static Table, batch: &RecordBatch, now: i64) -> Result<RecordBatch> {
    let schema = table.schema();
    let rows = batch.num_rows();
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let given = batch.column_by_name(field.name());
        let column: ArrayRef = match (field.name().as_str(), given) {
            ("ingested_at", _) => Arc::new(TimestampMicrosecondArray::from_value(now, rows).with_timezone("UTC")),
            ("source", _) => Arc::new(StringArray::from_iter_values(std::iter::repeat_n("sql", rows))),
            (name, _) if Some(name) == table.partition.column() => partition_column(table, batch)?,
            (name, given) if table.key == [name] && given.is_none_or(|given| given.null_count() > 0) => {
                let what = format!("null value in column \"{name}\" of relation \"{}\"", table.name);
                return Err(UserError::new("23502", format!("{what} violates not-null constraint")).into());
            }
            (_, Some(given)) => cast(given, field.data_type())?,
            (_, None) => datafusion::arrow::array::new_null_array(field.data_type(), rows),
        };
        columns.push(column);
    }
    Ok(RecordBatch::try_new(schema, columns)?)
}

fn partition_column(table: &Table, batch: &RecordBatch) -> Result<ArrayRef> {
    let (name, day): (_, fn(i64) -> i32) = match table.partition {
        Partition::Day(name) => (name, model::day_of),
        Partition::Month(name) => (name, model::month_of),
        Partition::None => return Ok(Arc::new(Date32Array::new_null(batch.num_rows()))),
    };
    let Some(times) = batch.column_by_name(name) else {
        return Ok(Arc::new(Date32Array::new_null(batch.num_rows())));
    };
    let times = cast(times, &<model::cell::Time as model::CellType>::data_type())?;
    let times = times.as_primitive::<TimestampMicrosecondType>();
    Ok(Arc::new(times.iter().map(|time| time.map(day)).collect::<Date32Array>()))
}
