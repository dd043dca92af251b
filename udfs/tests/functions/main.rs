//! The functions as a DataFusion program sees them.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on panics")]

mod documentation;
mod identifiers;
mod merging;
mod robustness;
mod splits;
mod statistics;

use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::util::display::array_value_to_string;
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::prelude::{SessionConfig, SessionContext};

/// A session with the functions, in which aggregates and windows are spread over several partitions and small batches.
fn session() -> SessionContext {
    let config = SessionConfig::new().with_target_partitions(3).with_batch_size(7).with_information_schema(true);
    let ctx = SessionContext::new_with_config(config);
    ascribe_udfs::register_all(&ctx).unwrap();
    ctx
}

async fn rows(ctx: &SessionContext, sql: &str) -> Result<Vec<RecordBatch>, String> {
    let frame = ctx.sql(sql).await.map_err(|e| e.strip_backtrace())?;
    frame.collect().await.map_err(|e| e.strip_backtrace())
}

async fn table(ctx: &SessionContext, sql: &str) -> String {
    let batches = rows(ctx, sql).await.unwrap_or_else(|e| panic!("{sql}\n{e}"));
    pretty_format_batches(&batches).unwrap().to_string()
}

/// All values, rows by line and columns by `|`, a null as nothing.
async fn text(ctx: &SessionContext, sql: &str) -> String {
    let batches = rows(ctx, sql).await.unwrap_or_else(|e| panic!("{sql}\n{e}"));
    let line = |batch: &RecordBatch, row| {
        let value = |column: &ArrayRef| array_value_to_string(column, row).unwrap();
        batch.columns().iter().map(value).collect::<Vec<_>>().join("|")
    };
    let lines = batches.iter().flat_map(|b| (0..b.num_rows()).map(move |row| line(b, row)));
    lines.collect::<Vec<_>>().join("\n")
}

/// The result of a one-row query without a table.
async fn value(sql: &str) -> String {
    text(&session(), &format!("SELECT {sql}")).await
}

async fn number(ctx: &SessionContext, sql: &str) -> f64 {
    let shown = text(ctx, sql).await;
    shown.parse().unwrap_or_else(|_| panic!("{sql}\n{shown:?} is no number"))
}

async fn failure(sql: &str) -> String {
    rows(&session(), sql).await.expect_err(sql)
}

/// Within twelve digits, relatively.
fn close(actual: f64, expected: f64) {
    let tolerance = 1e-12_f64.max(expected.abs() * 1e-11);
    assert!(
        (actual - expected).abs() <= tolerance.min(expected.abs() * 1e-9 + 1e-15),
        "{actual:e} is not {expected:e}"
    );
}
