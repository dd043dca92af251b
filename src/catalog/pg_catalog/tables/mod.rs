//! The tables of `pg_catalog` by name and columns (PostgreSQL, chapter 53), with what a column is where a row does not
//! say. A table that [`super::rows`] has no rows for is empty: there is nothing of its kind here.

mod relations;
mod server;
mod statistics;
mod types;

use super::table::Table;

/// Every table of the catalog.
pub(super) fn all() -> impl Iterator<Item = &'static Table> {
    [relations::TABLES, types::TABLES, server::TABLES, statistics::TABLES].into_iter().flatten()
}

/// The table of a name.
pub(super) fn find(name: &str) -> Option<&'static Table> {
    all().find(|table| table.name == name)
}
