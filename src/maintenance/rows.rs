//! The rows of chosen files of a table, as a table of the engine.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, new_null_array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::catalog::streaming::StreamingTable;
use datafusion::common::DataFusionError;
use datafusion::execution::context::SessionContext;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use datafusion::prelude::DataFrame;
use futures::{StreamExt, TryStreamExt, stream};

use crate::config;
use crate::error::{Error, Result};
use crate::model::Table;
use crate::storage::{DataFile, Lake, read_file};

/// What is made of each batch of a file; the number is the file's place in the list.
pub(super) type Shape = Arc<dyn Fn(RecordBatch, usize) -> Result<RecordBatch> + Send + Sync>;

/// Files of a table.
#[derive(Clone)]
pub(super) struct Files {
    pub lake: Arc<Lake>,
    pub table: &'static Table,
    /// Paths below the table with their sizes.
    pub files: Vec<(String, i64)>,
    /// Columns that are read; none for all.
    pub columns: Option<Vec<&'static str>>,
    /// The columns of what `shape` makes.
    pub schema: SchemaRef,
    pub shape: Shape,
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Files").field("table", &self.table.name).field("files", &self.files.len()).finish()
    }
}

impl Files {
    /// The rows as a query of a session, read by `ways` readers.
    pub(super) fn frame(self, session: &SessionContext, ways: usize) -> Result<DataFrame> {
        let schema = Arc::clone(&self.schema);
        let ways = ways.clamp(1, self.files.len().max(1));
        let parts = (0..ways).map(|way| {
            let part = Part { files: self.clone(), way, ways };
            let part: Arc<dyn PartitionStream> = Arc::new(part);
            part
        });
        let table = StreamingTable::try_new(schema, parts.collect())?;
        Ok(session.read_table(Arc::new(table))?)
    }

    async fn read(&self, at: usize) -> Result<stream::BoxStream<'static, Result<RecordBatch>>> {
        let Some((path, size)) = self.files.get(at) else { return Ok(stream::empty().boxed()) };
        let (_, rows) = read_file(self.lake.store(), self.table, (path, *size), self.columns.as_deref()).await?;
        let shape = Arc::clone(&self.shape);
        Ok(rows.map(move |batch| shape(batch?, at)).boxed())
    }
}

/// Every so-manieth of the files.
#[derive(Debug)]
struct Part {
    files: Files,
    way: usize,
    ways: usize,
}

impl PartitionStream for Part {
    fn schema(&self) -> &SchemaRef {
        &self.files.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let files = self.files.clone();
        let mine = (self.way..files.files.len()).step_by(self.ways);
        let schema = Arc::clone(&files.schema);
        let rows = stream::iter(mine)
            .then(move |at| {
                let files = files.clone();
                async move { files.read(at).await }
            })
            .try_flatten()
            .map_err(|error| match error {
                Error::Engine(inner) => inner,
                other => DataFusionError::External(Box::new(other)),
            });
        Box::pin(RecordBatchStreamAdapter::new(schema, rows))
    }
}

/// The columns that files have together: those of the table without its partition column, then what else a file has.
pub(super) async fn common_schema(lake: &Arc<Lake>, table: &'static Table, files: &[DataFile]) -> Result<SchemaRef> {
    let mut fields: Vec<Arc<Field>> = table.schema().fields().iter().cloned().collect();
    fields.retain(|field| Some(field.name().as_str()) != table.partition.column());
    let footers = stream::iter(files.to_vec()).map(|file| {
        let store = lake.store();
        async move { Ok::<_, Error>(read_file(store, table, (&file.path, file.size), None).await?.0) }
    });
    let schemas: Vec<SchemaRef> = footers.buffered(config::UPKEEP_REQUESTS).try_collect().await?;
    for schema in schemas {
        for field in schema.fields() {
            if !fields.iter().any(|known| known.name() == field.name()) {
                fields.push(Arc::new(field.as_ref().clone().with_nullable(true)));
            }
        }
    }
    Ok(Arc::new(Schema::new(fields)))
}

/// A batch with the columns of a schema: what is missing is null, what is of another type is converted.
pub(super) fn align(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let columns = schema.fields().iter().map(|field| match batch.column_by_name(field.name()) {
        Some(column) if column.data_type() == field.data_type() => Ok(Arc::clone(column)),
        Some(column) => Ok(cast(column, field.data_type())?),
        None => Ok(new_null_array(field.data_type(), batch.num_rows())),
    });
    let columns: Vec<ArrayRef> = columns.collect::<Result<_>>()?;
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}

/// Ways that files are read at a time.
pub(super) fn ways() -> usize {
    std::thread::available_parallelism().map_or(2, std::num::NonZero::get).min(config::UPKEEP_REQUESTS)
}
