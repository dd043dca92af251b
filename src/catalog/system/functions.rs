//! `system.functions`: every attribution function with its documentation.

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::logical_expr::Documentation;

use super::{SystemTable, own_columns};
use crate::canonical_table;
use crate::error::Result;
use crate::model::cell::Text;
use crate::model::{Partition, RowBuilder, Table};
use crate::optimizer::owner_of;
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
        for (kind, name, documentation) in scalar_and_aggregate() {
            builder.append(&FunctionRow {
                function_name: Some(name.into()),
                kind: Some(kind.into()),
                arguments: Some(arguments_of(&documentation).into()),
                description: Some(documentation.description.as_str().into()),
                example: documentation.sql_example.as_deref().map(|example| statement_of(example).into()),
                ..FunctionRow::default()
            });
        }
        own_columns(builder)
    }
}

/// The statements of an example that shows what they print: each begins behind `> ` and ends with `;`.
fn statement_of(example: &str) -> String {
    let mut statements = String::new();
    let mut within = false;
    for line in example.lines() {
        within |= line.starts_with("> ");
        if within {
            let separator = if statements.is_empty() { "" } else { "\n" };
            statements.push_str(separator);
            statements.push_str(line.strip_prefix("> ").unwrap_or(line));
            within = !line.trim_end().ends_with(';');
        }
    }
    statements
}

/// The arguments as the documentation of a function names them.
pub(in crate::catalog) fn arguments_of(documentation: &Documentation) -> &str {
    let syntax = documentation.syntax_example.as_str();
    syntax.split_once('(').map_or(syntax, |(_, rest)| rest.trim_end_matches(')'))
}

/// The functions of the crate `ascribe-udfs`, and those that need a lake: kind, name and documentation.
pub(in crate::catalog) fn scalar_and_aggregate() -> Vec<(&'static str, String, Documentation)> {
    let mut found = Vec::new();
    let scalar = ascribe_udfs::all_scalar().into_iter().chain([owner_of()]);
    for function in scalar {
        found.extend(function.documentation().map(|text| ("scalar", function.name().to_owned(), text.clone())));
    }
    for function in ascribe_udfs::all_aggregate() {
        found.extend(function.documentation().map(|text| ("aggregate", function.name().to_owned(), text.clone())));
    }
    for function in ascribe_udfs::all_window() {
        found.extend(function.documentation().map(|text| ("window", function.name().to_owned(), text.clone())));
    }
    found
}
