//! How rows are shown: as a table for people, as CSV, JSON lines or Parquet for programs.

use std::io::{BufWriter, IsTerminal, Write};
use std::sync::Arc;

use ascribe::error::{Result, UserError};
use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray};
use datafusion::arrow::csv::WriterBuilder;
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::arrow::json::WriterBuilder as JsonWriter;
use datafusion::arrow::json::writer::LineDelimited;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::arrow::util::pretty::pretty_format_batches_with_options;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::parquet::arrow::ArrowWriter;
use futures::StreamExt;

/// How rows are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// Aligned columns
    Table,
    /// Comma-separated values with a header line
    Csv,
    /// One JSON object a line
    Json,
    /// A Parquet file on standard output
    Parquet,
}

/// Write all rows to standard output.
pub(super) async fn write(mut rows: SendableRecordBatchStream, format: Format) -> Result<()> {
    let schema = rows.schema();
    let mut out = BufWriter::new(std::io::stdout());
    if format == Format::Parquet && std::io::stdout().is_terminal() {
        return Err(UserError::invalid("a terminal cannot show Parquet").hint("redirect the output to a file").into());
    }
    if schema.fields().is_empty() {
        while let Some(batch) = rows.next().await {
            batch?;
        }
        return Ok(());
    }
    match format {
        Format::Table => {
            let mut batches = Vec::new();
            while let Some(batch) = rows.next().await {
                batches.push(batch?);
            }
            let options = FormatOptions::new().with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S%.f%:::z"));
            if batches.is_empty() {
                batches.push(RecordBatch::new_empty(schema));
            }
            let count: usize = batches.iter().map(RecordBatch::num_rows).sum();
            writeln!(out, "{}", pretty_format_batches_with_options(&batches, &options)?)?;
            writeln!(out, "({count} {})", if count == 1 { "row" } else { "rows" })?;
        }
        Format::Csv => {
            let mut writer = WriterBuilder::new().with_header(true).build(&mut out);
            let mut written = false;
            while let Some(batch) = rows.next().await {
                writer.write(&flat(&batch?)?)?;
                written = true;
            }
            if !written {
                writer.write(&flat(&RecordBatch::new_empty(schema))?)?;
            }
        }
        Format::Json => {
            let mut writer = JsonWriter::new().with_explicit_nulls(true).build::<_, LineDelimited>(&mut out);
            while let Some(batch) = rows.next().await {
                writer.write(&batch?)?;
            }
            writer.finish()?;
        }
        Format::Parquet => {
            let parquet =
                |error: datafusion::parquet::errors::ParquetError| datafusion::error::DataFusionError::from(error);
            let mut writer = ArrowWriter::try_new(&mut out, schema, None).map_err(parquet)?;
            while let Some(batch) = rows.next().await {
                writer.write(&batch?).map_err(parquet)?;
            }
            writer.close().map_err(parquet)?;
        }
    }
    out.flush()?;
    Ok(())
}

/// CSV has no nested values: they are written as text.
fn flat(batch: &RecordBatch) -> Result<RecordBatch> {
    let schema = batch.schema();
    let mut fields = Vec::new();
    let mut columns: Vec<ArrayRef> = Vec::new();
    for (field, column) in schema.fields().iter().zip(batch.columns()) {
        if field.data_type().is_nested() || matches!(field.data_type(), DataType::Map(..)) {
            let options = FormatOptions::new();
            let formatter = ArrayFormatter::try_new(column, &options)?;
            let texts: StringArray =
                (0..column.len()).map(|row| column.is_valid(row).then(|| formatter.value(row).to_string())).collect();
            fields.push(Field::new(field.name(), DataType::Utf8, true));
            columns.push(Arc::new(texts));
        } else {
            fields.push(field.as_ref().clone());
            columns.push(Arc::clone(column));
        }
    }
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}
