//! `system.functions`: every attribution function with its documentation.

use ascribe_udfs::Form;
use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::Documentation;

use super::{SystemTable, own_columns};
use crate::canonical_table;
use crate::catalog::Client;
use crate::dialect::encode::{full_name, of_data_type};
use crate::error::Result;
use crate::model::cell::Text;
use crate::model::{Column, Partition, RowBuilder, Table};
use crate::optimizer::{OWNER_OF, owner_of, owner_of_form};
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
    /// The arguments with their types; where there are several ways to call it, a bar between them.
    arguments: Text,
    /// The columns with their types, or the type that it returns.
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

    async fn rows(&self, _: &Lake, _: &Client) -> Result<RecordBatch> {
        let mut builder = FunctionBuilder::default();
        for function in table_functions::all() {
            let signature = function.signature();
            let column = |column: &Column| format!("{} {}", column.name, type_text(&(column.data_type)()));
            let columns: Vec<String> = signature.columns.iter().map(column).collect();
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
        for Described { kind, name, forms, documentation } in scalar_and_aggregate() {
            let mut returns: Vec<String> = forms.iter().map(|form| type_text(&form.returns)).collect();
            returns.dedup();
            builder.append(&FunctionRow {
                function_name: Some(name.into()),
                kind: Some(kind.into()),
                arguments: Some(forms.iter().map(arguments_text).collect::<Vec<_>>().join(" | ").into()),
                returns: Some(returns.join(" | ").into()),
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

/// The name of a type in SQL.
pub(in crate::catalog) fn type_text(data_type: &DataType) -> String {
    full_name(of_data_type(data_type).oid)
}

/// The arguments of a form as `\df` shows them.
pub(in crate::catalog) fn arguments_text(form: &Form) -> String {
    let shown = form.parameters.iter().map(|parameter| {
        let default = if parameter.required { "" } else { " DEFAULT NULL" };
        format!("{} {}{default}", parameter.name, type_text(&parameter.data_type))
    });
    shown.collect::<Vec<_>>().join(", ")
}

/// A function that is no table function.
pub(in crate::catalog) struct Described {
    pub(in crate::catalog) kind: &'static str,
    pub(in crate::catalog) name: String,
    pub(in crate::catalog) forms: Vec<Form>,
    pub(in crate::catalog) documentation: Documentation,
}

/// The functions of the crate `ascribe-udfs`, and those that need a lake.
pub(in crate::catalog) fn scalar_and_aggregate() -> Vec<Described> {
    let mut found = Vec::new();
    let mut add = |kind: &'static str, name: &str, documentation: Option<&Documentation>| {
        let forms = if name == OWNER_OF { vec![owner_of_form()] } else { ascribe_udfs::forms(name) };
        let documentation = documentation.cloned();
        found.extend(documentation.map(|documentation| Described {
            kind,
            name: name.to_owned(),
            forms,
            documentation,
        }));
    };
    for function in ascribe_udfs::all_scalar().into_iter().chain([owner_of()]) {
        add("scalar", function.name(), function.documentation());
    }
    for function in ascribe_udfs::all_aggregate() {
        add("aggregate", function.name(), function.documentation());
    }
    for function in ascribe_udfs::all_window() {
        add("window", function.name(), function.documentation());
    }
    found
}
