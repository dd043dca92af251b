//! From what was found to the batches of a function's result.

use std::collections::HashMap;

use datafusion::arrow::array::{ArrayRef, RecordBatch, new_null_array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::SchemaRef;

use crate::error::Result;
use crate::table_functions::{Argument, ArgumentType};

/// The arguments of a window, required.
pub(in crate::table_functions) const fn window_arguments() -> [Argument; 2] {
    [
        Argument {
            names: &["t0", "from"],
            kind: ArgumentType::Time,
            required: true,
            doc: "Begin of the window: traces whose root (or, without one, whose earliest span) starts at or after it.",
        },
        Argument {
            names: &["t1", "to"],
            kind: ArgumentType::Time,
            required: true,
            doc: "End of the window: traces whose root starts before it.",
        },
    ]
}

/// The argument that says how far outside of the window is read.
pub(in crate::table_functions) const fn margin_argument() -> Argument {
    Argument {
        names: &["margin"],
        kind: ArgumentType::Interval,
        required: false,
        doc: "How long before and after the window spans of its traces are looked for; default: an hour.",
    }
}

/// The argument that names a trace.
pub(in crate::table_functions) const fn trace_argument(required: bool) -> Argument {
    Argument { names: &["trace_id"], kind: ArgumentType::Text, required, doc: "Id of a trace, lowercase hex." }
}

/// The columns of a batch of the result as they are made.
#[derive(Debug, Default)]
pub(in crate::table_functions) struct Output {
    columns: HashMap<&'static str, ArrayRef>,
}

impl Output {
    /// Set a column.
    pub fn set(&mut self, name: &'static str, column: ArrayRef) {
        self.columns.insert(name, column);
    }

    /// The batch, in the order and the types of the schema; columns that were not set are null.
    pub fn finish(mut self, schema: &SchemaRef, rows: usize) -> Result<RecordBatch> {
        let mut columns = Vec::with_capacity(schema.fields().len());
        for field in schema.fields() {
            columns.push(match self.columns.remove(field.name().as_str()) {
                Some(column) => cast(&column, field.data_type())?,
                None => new_null_array(field.data_type(), rows),
            });
        }
        Ok(RecordBatch::try_new(SchemaRef::clone(schema), columns)?)
    }
}
