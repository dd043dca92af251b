//! `pg_catalog`.

use datafusion::sql::sqlparser::ast::Statement;

/// Placeholder while compiling.
pub fn compatible(_: &mut Statement) {}
