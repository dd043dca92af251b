//! The rows of COPY FROM STDIN in the types of the table.

use std::sync::Arc;

use chrono_tz::Tz;
use datafusion::arrow::array::{ArrayRef, RecordBatch, new_empty_array};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::ScalarValue;

use super::copy::Field;
use super::encode::{oid, pg_type};
use crate::dialect::input;
use crate::error::{Result, UserError, sqlstate};

/// The table of the session that the rows are put into on their way.
pub(super) const NAME: &str = "pg_copied_rows";

/// Fields as columns of a schema.
pub(super) fn batch(rows: &[Vec<Field>], schema: &SchemaRef, zone: Tz) -> Result<RecordBatch> {
    let width = schema.fields().len();
    for row in rows {
        if row.len() > width {
            return Err(UserError::new("22P04", "extra data after last expected column").into());
        }
        if row.len() < width {
            let name = schema.fields().get(row.len()).map_or("", |field| field.name().as_str());
            return Err(UserError::new("22P04", format!("missing data for column \"{name}\"")).into());
        }
    }
    let column = |at: usize| -> Result<ArrayRef> {
        let field = schema.field(at);
        let (kind, data_type) = (pg_type(field).oid, field.data_type());
        let value = |row: &Vec<Field>| -> Result<ScalarValue> {
            let Some(Some(text)) = row.get(at) else { return Ok(ScalarValue::try_from(data_type)?) };
            if kind == oid::JSONB {
                let message = format!("COPY into column \"{}\", which is nested, is not supported", field.name());
                return Err(UserError::new(sqlstate::NOT_SUPPORTED, message).into());
            }
            Ok(input::value(text, kind, zone)?.cast_to(data_type)?)
        };
        let values = rows.iter().map(value).collect::<Result<Vec<_>>>()?;
        Ok(if values.is_empty() { new_empty_array(data_type) } else { ScalarValue::iter_to_array(values)? })
    };
    let columns = (0..width).map(column).collect::<Result<Vec<_>>>()?;
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}
