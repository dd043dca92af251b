//! Open a lake, ask in SQL, work with Arrow: `cargo run --example ask -- ./ascribe-demo`.

use ascribe::Database;
use datafusion::arrow::util::pretty::pretty_format_batches;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let lake = std::env::args().nth(1).unwrap_or_else(|| "./lake".to_owned());
    let database = Database::open(&lake).await?;
    let batches = database
        .sql(
            "SELECT service_name, count(*) AS spans, count(*) FILTER (WHERE status_code = 'ERROR') AS errors
             FROM spans GROUP BY service_name ORDER BY errors DESC, service_name LIMIT 10",
        )
        .await?;
    #[expect(clippy::print_stdout, reason = "an example prints")]
    {
        println!("{}", pretty_format_batches(&batches)?);
    }
    Ok(())
}
