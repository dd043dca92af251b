//! The rows of COPY FROM STDIN in the types of the table.

use std::sync::Arc;

use chrono_tz::Tz;
use datafusion::arrow::array::{ArrayRef, RecordBatch, new_empty_array};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::MemTable;
use datafusion::common::ScalarValue;
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::sqlparser::ast::{Ident, ObjectName};

use super::copy::Field;
use crate::dialect::encode::pg_type;
use crate::dialect::{input, of_json, reader};
use crate::error::{Result, UserError};

/// The table of the session that the rows are put into on their way.
pub(super) const NAME: &str = "pg_copied_rows";

/// Where rows go: the table, and its columns if they are named.
#[derive(Debug)]
pub(crate) struct Into {
    pub(crate) table: ObjectName,
    pub(crate) columns: Vec<Ident>,
}

/// The plan that inserts rows in one commit. The plan holds the rows: nothing of them is left in the session.
pub(crate) async fn plan(
    session: &SessionContext,
    rows: &[Vec<Field>],
    schema: &SchemaRef,
    zone: Tz,
    into: &Into,
) -> Result<LogicalPlan> {
    let batch = batch(rows, schema, zone)?;
    let rows = MemTable::try_new(batch.schema(), vec![vec![batch]])?;
    session.register_table(NAME, Arc::new(rows))?;
    let columns: Vec<String> = into.columns.iter().map(ToString::to_string).collect();
    let listed = if columns.is_empty() { String::new() } else { format!("({})", columns.join(", ")) };
    let (state, sql) = (session.state(), format!("INSERT INTO {} {listed} SELECT * FROM {NAME}", into.table));
    let planned = state.create_logical_plan(&sql).await;
    session.deregister_table(NAME)?;
    Ok(planned?)
}

/// Fields as columns of a schema.
fn batch(rows: &[Vec<Field>], schema: &SchemaRef, zone: Tz) -> Result<RecordBatch> {
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
            if reader(data_type).is_some() {
                return Ok(of_json(text, data_type, zone)?);
            }
            Ok(input::value(text, kind, zone)?.cast_to(data_type)?)
        };
        let values = rows.iter().map(value).collect::<Result<Vec<_>>>()?;
        Ok(if values.is_empty() { new_empty_array(data_type) } else { ScalarValue::iter_to_array(values)? })
    };
    let columns = (0..width).map(column).collect::<Result<Vec<_>>>()?;
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}
