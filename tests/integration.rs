//! The one integration-test binary: everything that needs more than one module.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a test that cannot go on panics, and reads what it was told by the environment"
)]

use ascribe::Database;
use datafusion::arrow::util::display::array_value_to_string;

mod command_line;
mod company;
mod functions;
mod fuzz;
mod incidents;
mod lake;
mod live;
mod money;
mod operations;
mod oracle;
mod oracle_traces;
mod pgwire;
mod pgwire_catalog;
mod pgwire_semantics;
mod privacy;
mod relations;
mod reports;
mod security;
mod simulation;
mod slt;
mod sources;
mod statements;
mod tidy;
mod upkeep;
mod wrong_calls;

/// The rows of an answer, cells joined by `|`.
async fn rows(database: &Database, sql: &str) -> Vec<String> {
    let mut rows = Vec::new();
    for batch in database.sql(sql).await.unwrap() {
        for row in 0..batch.num_rows() {
            let cells = batch.columns().iter().map(|column| array_value_to_string(column, row).unwrap());
            rows.push(cells.collect::<Vec<_>>().join("|"));
        }
    }
    rows
}
