//! `system.functions`: every attribution function with its documentation.

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;

use super::{SystemTable, own_columns};
use crate::canonical_table;
use crate::error::Result;
use crate::model::cell::Text;
use crate::model::{Partition, RowBuilder, Table};
use crate::storage::Lake;
use crate::table_functions;

canonical_table! {
    /// Every attribution function with its documentation.
    "functions", FUNCTIONS, FunctionRow, FunctionBuilder;
    partition Partition::None, |_| None;
    key ["function_name"];
    cluster [];
    bloom [];
    /// SQL name.
    function_name: Text,
    /// table, scalar, aggregate or window.
    kind: Text,
    /// The arguments with their types.
    arguments: Text,
    /// The columns or the type that it returns.
    returns: Text,
    /// What it answers.
    description: Text,
    /// A statement that shows its use.
    example: Text,
}

/// `system.functions`.
#[derive(Debug)]
pub(super) struct Functions;

#[async_trait]
impl SystemTable for Functions {
    fn table(&self) -> &'static Table {
        &FUNCTIONS
    }

    async fn rows(&self, _: &Lake) -> Result<RecordBatch> {
        let mut builder = FunctionBuilder::default();
        for function in table_functions::all() {
            let signature = function.signature();
            let columns: Vec<&str> = signature.columns.iter().map(|column| column.name).collect();
            builder.append(&FunctionRow {
                function_name: Some(signature.name.into()),
                kind: Some("table".into()),
                arguments: Some(signature.argument_list().into()),
                returns: Some(columns.join(", ").into()),
                description: Some(signature.comment().into()),
                example: Some(signature.example.into()),
                ..FunctionRow::default()
            });
        }
        own_columns(builder)
    }
}
