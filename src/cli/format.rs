//! How rows are shown: as a table for people, as CSV, JSON lines or Parquet for programs. Values are printed as over the wire.

use std::io::{BufWriter, IsTerminal, Write};
use std::sync::Arc;

use ascribe::dialect::encode::Style;
use ascribe::error::{Result, UserError};
use ascribe::session::csv_line;
use datafusion::arrow::array::{ArrayRef, LargeStringArray, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::errors::ParquetError;
use futures::{Stream, StreamExt, TryStreamExt};

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
pub(super) async fn write(mut rows: SendableRecordBatchStream, format: Format, style: Style) -> Result<()> {
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
    // What fails before there is a row prints nothing: neither a head nor the beginning of a file.
    let first = rows.try_next().await?;
    let mut rows = futures::stream::iter(first.map(Ok)).chain(rows);
    match format {
        Format::Table => table(&mut rows, &schema, style, &mut out).await?,
        Format::Csv => {
            let names: Vec<Option<String>> = schema.fields().iter().map(|field| Some(field.name().clone())).collect();
            out.write_all(csv_line(&names).as_bytes())?;
            while let Some(batch) = rows.next().await {
                for row in style.row_texts(&batch?)? {
                    out.write_all(csv_line(&row).as_bytes())?;
                }
            }
        }
        Format::Json => {
            while let Some(batch) = rows.next().await {
                for object in style.row_objects(&batch?)? {
                    writeln!(out, "{object}")?;
                }
            }
        }
        Format::Parquet => {
            let parquet = |error: ParquetError| DataFusionError::from(error);
            let fields: Vec<Field> = schema.fields().iter().map(|field| stored(field)).collect();
            let schema: SchemaRef = Arc::new(Schema::new(fields));
            let mut writer = ArrowWriter::try_new(&mut out, Arc::clone(&schema), None).map_err(parquet)?;
            while let Some(batch) = rows.next().await {
                let batch = batch?;
                let columns = batch.columns().iter().map(|column| -> Result<ArrayRef> {
                    match column.data_type() {
                        DataType::Interval(_) => Ok(Arc::new(StringArray::from(style.texts(column)?))),
                        _ => Ok(Arc::clone(column)),
                    }
                });
                let columns = columns.collect::<Result<Vec<_>>>()?;
                writer.write(&RecordBatch::try_new(Arc::clone(&schema), columns)?).map_err(parquet)?;
            }
            writer.close().map_err(parquet)?;
        }
    }
    out.flush()?;
    Ok(())
}

async fn table(
    rows: &mut (impl Stream<Item = Result<RecordBatch, DataFusionError>> + Unpin),
    schema: &SchemaRef,
    style: Style,
    out: &mut impl Write,
) -> Result<()> {
    let mut columns: Vec<Vec<Option<String>>> = vec![Vec::new(); schema.fields().len()];
    let mut count = 0;
    while let Some(batch) = rows.next().await {
        let batch = batch?;
        count += batch.num_rows();
        for row in style.row_texts(&batch)? {
            columns.iter_mut().zip(row).for_each(|(column, value)| column.push(value));
        }
    }
    let fields: Vec<Field> =
        schema.fields().iter().map(|field| Field::new(field.name(), DataType::LargeUtf8, true)).collect();
    let columns = columns.into_iter().map(|column| -> ArrayRef { Arc::new(LargeStringArray::from(column)) }).collect();
    let shown = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?;
    writeln!(out, "{}", pretty_format_batches(&[shown])?)?;
    writeln!(out, "({count} {})", if count == 1 { "row" } else { "rows" })?;
    Ok(())
}

/// A column of a Parquet file, whose intervals have no months and microseconds: they are texts.
fn stored(field: &Field) -> Field {
    match field.data_type() {
        DataType::Interval(_) => field.clone().with_data_type(DataType::Utf8),
        _ => field.clone(),
    }
}
