//! Data files: how they are encoded, written as a whole or row by row, and read.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::{SortColumn, concat_batches, lexsort_to_indices, take_record_batch};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::parquet::arrow::arrow_reader::ArrowReaderOptions;
use datafusion::parquet::arrow::async_reader::AsyncFileReader;
use datafusion::parquet::arrow::async_writer::AsyncFileWriter;
use datafusion::parquet::arrow::{ArrowWriter, AsyncArrowWriter, ParquetRecordBatchStreamBuilder, ProjectionMask};
use datafusion::parquet::basic::{Compression, Encoding, ZstdLevel};
use datafusion::parquet::errors::{ParquetError, Result as ParquetResult};
use datafusion::parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use datafusion::parquet::file::properties::{EnabledStatistics, WriterProperties};
use deltalake::DeltaTableError;
use deltalake::kernel::Add;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt, TryStreamExt};
use object_store::buffered::BufWriter;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::Lake;
use super::stats::{self, Statistics};
use super::write::{empty_add, folder_of};
use crate::config;
use crate::error::{Result, UserError, sqlstate};
use crate::model::Table;

/// Tag of a file in the log: SHA-256 of its content, lowercase hex (Delta protocol, "Add File", tags).
pub(super) const CHECKSUM_TAG: &str = "ascribe.sha256";

/// Tag of a file that was made of others, or looked through for repeated rows beside others.
pub(super) const COMPACTED_TAG: &str = "ascribe.compacted";

/// The tags of a file with that digest.
pub(super) fn tags(digest: &[u8]) -> HashMap<String, Option<String>> {
    [(CHECKSUM_TAG.to_owned(), Some(hex::encode(digest)))].into()
}

/// One Parquet file of sorted rows, and its statistics.
pub(super) fn encode(table: &Table, batches: &[RecordBatch]) -> Result<(Vec<u8>, String)> {
    let Some(first) = batches.first() else {
        return Err(UserError::new(sqlstate::INTERNAL, "a file without rows").into());
    };
    let rows = concat_batches(&first.schema(), batches)?;
    let sort: Vec<SortColumn> = table
        .cluster
        .iter()
        .filter_map(|name| rows.column_by_name(name))
        .map(|column| SortColumn { values: Arc::clone(column), options: None })
        .collect();
    let rows = if sort.is_empty() { rows } else { take_record_batch(&rows, &lexsort_to_indices(&sort, None)?)? };
    let mut bytes = Vec::new();
    let settings = properties(table, ZstdLevel::default());
    let mut writer = ArrowWriter::try_new(&mut bytes, rows.schema(), Some(settings)).map_err(DeltaTableError::from)?;
    writer.write(&rows).map_err(DeltaTableError::from)?;
    writer.close().map_err(DeltaTableError::from)?;
    Ok((bytes, stats::of(&rows)))
}

fn properties(table: &Table, level: ZstdLevel) -> WriterProperties {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(config::ROW_GROUP_ROWS))
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_created_by(concat!("ascribe ", env!("CARGO_PKG_VERSION")).to_owned());
    for name in table.bloom {
        properties = properties.set_column_bloom_filter_enabled((*name).into(), true);
    }
    for column in table.columns.iter().filter(|column| column.name.ends_with("_nano")) {
        properties = properties
            .set_column_dictionary_enabled(column.name.into(), false)
            .set_column_encoding(column.name.into(), Encoding::DELTA_BINARY_PACKED);
    }
    properties.build()
}

/// A file that was written and is part of no version yet.
#[derive(Debug, Clone)]
pub struct NewFile(pub(super) Add);

impl NewFile {
    /// Bytes.
    #[must_use]
    pub fn size(&self) -> i64 {
        self.0.size
    }

    /// Path below the table.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.0.path
    }
}

/// Bytes on their way to the object store, and what they are.
struct Upload {
    store: BufWriter,
    digest: Sha256,
    bytes: i64,
}

impl AsyncFileWriter for Upload {
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, ParquetResult<()>> {
        self.digest.update(&bytes);
        self.bytes += i64::try_from(bytes.len()).unwrap_or(i64::MAX);
        async move { self.store.put(bytes).await.map_err(external) }.boxed()
    }

    fn complete(&mut self) -> BoxFuture<'_, ParquetResult<()>> {
        async move {
            tokio::io::AsyncWriteExt::shutdown(&mut self.store)
                .await
                .map_err(|error| ParquetError::External(Box::new(error)))
        }
        .boxed()
    }
}

/// Writes one data file as its rows come, in their order. What is not finished is nothing.
pub struct FileWriter {
    writer: AsyncArrowWriter<Upload>,
    statistics: Statistics,
    add: Add,
}

impl std::fmt::Debug for FileWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileWriter").field("path", &self.add.path).finish_non_exhaustive()
    }
}

impl FileWriter {
    /// Begin a file of a partition of a table, given as days since the epoch; rows have this schema, which is without the
    /// partition column.
    ///
    /// # Errors
    /// When the schema cannot be written as Parquet.
    pub fn create(lake: &Lake, table: &'static Table, partition: Option<i32>, schema: SchemaRef) -> Result<Self> {
        let (folder, partition_values) = folder_of(table, partition);
        let path = format!("{folder}part-{}.parquet", Uuid::now_v7());
        let below = Path::from(format!("tables/{}/{path}", table.name));
        let store = BufWriter::with_capacity(lake.store(), below, config::UPLOAD_PART_BYTES);
        let upload = Upload { store, digest: Sha256::new(), bytes: 0 };
        let level = ZstdLevel::try_new(config::COMPACTED_ZSTD_LEVEL).map_err(DeltaTableError::from)?;
        let settings = Some(properties(table, level));
        let writer = AsyncArrowWriter::try_new(upload, schema, settings).map_err(DeltaTableError::from)?;
        let add = Add { path, partition_values, ..empty_add() };
        Ok(Self { writer, statistics: Statistics::default(), add })
    }

    /// Write rows.
    ///
    /// # Errors
    /// When the object store fails.
    pub async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.statistics.add(batch);
        Ok(self.writer.write(batch).await.map_err(DeltaTableError::from)?)
    }

    /// Bytes so far; those of the row group under way are estimated.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        (self.writer.bytes_written() + self.writer.in_progress_size()) as u64
    }

    /// Rows so far.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.statistics.rows()
    }

    /// Finish the file; `compacted` says that it is made of others.
    ///
    /// # Errors
    /// When the object store fails.
    pub async fn finish(mut self, now_micros: i64, compacted: bool) -> Result<NewFile> {
        self.writer.finish().await.map_err(DeltaTableError::from)?;
        let upload = self.writer.into_inner();
        let stats = Some(self.statistics.json().to_string());
        let mut tags = tags(&upload.digest.finalize());
        if compacted {
            tags.insert(COMPACTED_TAG.to_owned(), Some("1".to_owned()));
        }
        let tags = Some(tags);
        let modification_time = now_micros / 1000;
        Ok(NewFile(Add { size: upload.bytes, modification_time, stats, tags, ..self.add }))
    }
}

/// A data file in the object store.
struct Stored {
    store: Arc<dyn ObjectStore>,
    path: Path,
    bytes: u64,
}

fn external(error: object_store::Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}

impl AsyncFileReader for Stored {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, ParquetResult<Bytes>> {
        async move { self.store.get_range(&self.path, range).await.map_err(external) }.boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, ParquetResult<Vec<Bytes>>> {
        async move { self.store.get_ranges(&self.path, &ranges).await.map_err(external) }.boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, ParquetResult<Arc<ParquetMetaData>>> {
        async move {
            let bytes = self.bytes;
            let reader = ParquetMetaDataReader::new().with_prefetch_hint(Some(config::FOOTER_BYTES));
            Ok(Arc::new(reader.load_and_finish(self, bytes).await?))
        }
        .boxed()
    }
}

/// The rows of a data file, with the columns of these names, or all of them. The path is below the table.
///
/// # Errors
/// When the file is missing or is not what the log says.
pub async fn read_file(
    store: Arc<dyn ObjectStore>,
    table: &'static Table,
    (path, bytes): (&str, i64),
    columns: Option<&[&str]>,
) -> Result<(SchemaRef, BoxStream<'static, Result<RecordBatch>>)> {
    let below = Path::from_url_path(format!("tables/{}/{path}", table.name))
        .map_err(|error| UserError::invalid(format!("{path} is not the path of a file: {error}")))?;
    let bytes = u64::try_from(bytes).unwrap_or_default();
    let builder = ParquetRecordBatchStreamBuilder::new(Stored { store, path: below, bytes }).await;
    let mut builder = builder.map_err(DeltaTableError::from)?.with_batch_size(config::UPKEEP_BATCH_ROWS);
    if let Some(columns) = columns {
        let schema = Arc::clone(builder.schema());
        let roots = schema.fields().iter().enumerate().filter(|(_, field)| columns.contains(&field.name().as_str()));
        let mask = ProjectionMask::roots(builder.parquet_schema(), roots.map(|(at, _)| at).collect::<Vec<_>>());
        builder = builder.with_projection(mask);
    }
    let stream = builder.build().map_err(DeltaTableError::from)?;
    let schema = Arc::clone(stream.schema());
    Ok((schema, stream.map_err(|error| DeltaTableError::from(error).into()).boxed()))
}
