//! What a statement reads: the catalog, something else, or nothing.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{self, Ident, ObjectName, ObjectNamePart, Query, Statement, Visitor};

use super::super::tables;

/// Functions that may stand in FROM and read no table.
const SET_FUNCTIONS: [&str; 3] = ["generate_series", "unnest", "pg_partition_ancestors"];

/// Functions that return the rows of a table of the catalog.
const TABLE_FUNCTIONS: [(&str, &str); 6] = [
    ("pg_available_extensions", "pg_available_extensions"),
    ("pg_cursor", "pg_cursors"),
    ("pg_get_keywords", "pg_get_keywords"),
    ("pg_lock_status", "pg_locks"),
    ("pg_prepared_statement", "pg_prepared_statements"),
    ("pg_show_all_settings", "pg_settings"),
];

/// The table whose rows a function returns.
pub(super) fn table_of(function: &str) -> Option<&'static str> {
    TABLE_FUNCTIONS.iter().find(|(known, _)| *known == function).map(|(_, table)| *table)
}

pub(super) fn catalog_only(statement: &Statement) -> bool {
    !look(statement).foreign
}

/// Whether a statement reads the catalog, and nothing else.
#[must_use]
pub fn reads_catalog(statement: &Statement) -> bool {
    let seen = look(statement);
    seen.catalog && !seen.foreign
}

fn look(statement: &Statement) -> Look {
    let mut look = Look { ctes: Vec::new(), foreign: false, catalog: false };
    let _ = ast::Visit::visit(statement, &mut look);
    look
}

struct Look {
    ctes: Vec<String>,
    foreign: bool,
    catalog: bool,
}

impl Visitor for Look {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        if let Some(with) = &query.with {
            self.ctes.extend(with.cte_tables.iter().map(|cte| folded(&cte.alias.name)));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        let names = parts(relation);
        let known = |name: &str| tables::find(name).is_some() || table_of(name).is_some();
        self.catalog |= match names.as_slice() {
            [.., schema, _] => schema == "pg_catalog" || schema == "information_schema",
            [name] => known(name),
            [] => false,
        };
        self.foreign |= match names.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["pg_catalog" | "information_schema", _] | ["ascribe", "pg_catalog" | "information_schema", _] => false,
            [name] => !(self.ctes.iter().any(|cte| cte == name) || known(name) || SET_FUNCTIONS.contains(name)),
            _ => true,
        };
        ControlFlow::Continue(())
    }
}

pub(super) fn folded(name: &Ident) -> String {
    if name.quote_style.is_some() { name.value.clone() } else { name.value.to_lowercase() }
}

pub(super) fn parts(name: &ObjectName) -> Vec<String> {
    name.0.iter().filter_map(ObjectNamePart::as_ident).map(folded).collect()
}
