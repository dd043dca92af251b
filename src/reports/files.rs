//! The rows of a section as CSV (RFC 4180) and as Parquet.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, RecordBatch, StringArray};
use datafusion::arrow::csv::WriterBuilder;
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::error::DataFusionError;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::{Compression, ZstdLevel};
use datafusion::parquet::file::properties::WriterProperties;

use crate::error::Result;

/// All rows with a header line; nested values are written as text.
pub(super) fn csv(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    {
        let mut writer = WriterBuilder::new().with_header(true).build(&mut bytes);
        if batches.is_empty() {
            writer.write(&flat(&RecordBatch::new_empty(Arc::clone(schema)))?)?;
        }
        for batch in batches {
            writer.write(&flat(batch)?)?;
        }
    }
    Ok(bytes)
}

fn flat(batch: &RecordBatch) -> Result<RecordBatch> {
    let schema = batch.schema();
    let mut fields = Vec::with_capacity(batch.num_columns());
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(batch.num_columns());
    for (field, column) in schema.fields().iter().zip(batch.columns()) {
        if field.data_type().is_nested() {
            let options = FormatOptions::new();
            let cells = ArrayFormatter::try_new(column, &options)?;
            let text = |row| column.is_valid(row).then(|| cells.value(row).to_string());
            columns.push(Arc::new((0..column.len()).map(text).collect::<StringArray>()));
            fields.push(Field::new(field.name(), datafusion::arrow::datatypes::DataType::Utf8, true));
        } else {
            columns.push(Arc::clone(column));
            fields.push(field.as_ref().clone());
        }
    }
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

/// All rows as one Parquet file.
pub(super) fn parquet(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Vec<u8>> {
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
    let mut bytes = Vec::new();
    let mut writer =
        ArrowWriter::try_new(&mut bytes, Arc::clone(schema), Some(properties)).map_err(DataFusionError::from)?;
    for batch in batches {
        writer.write(batch).map_err(DataFusionError::from)?;
    }
    writer.close().map_err(DataFusionError::from)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::Int64Array;
    use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    fn rows() -> RecordBatch {
        let names: ArrayRef = Arc::new(StringArray::from(vec![Some("a,\"b\""), None, Some("line\nbreak")]));
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), Some(2), None]));
        RecordBatch::try_from_iter([("name", names), ("n", numbers)]).unwrap()
    }

    #[test]
    fn csv_is_quoted_and_has_a_header_even_without_rows() {
        let batch = rows();
        let text = String::from_utf8(csv(&batch.schema(), std::slice::from_ref(&batch)).unwrap()).unwrap();
        assert_eq!(text, "name,n\n\"a,\"\"b\"\"\",1\n,2\n\"line\nbreak\",\n");
        assert_eq!(csv(&batch.schema(), &[]).unwrap(), b"name,n\n");
    }

    #[test]
    fn parquet_reads_back_equal() {
        let batch = rows();
        let bytes = parquet(&batch.schema(), std::slice::from_ref(&batch)).unwrap();
        let mut reader = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(bytes)).unwrap().build().unwrap();
        assert_eq!(reader.next().unwrap().unwrap(), batch);
        assert!(reader.next().is_none());
    }
}
