//! How often the attribution of incidents is right: over the TrainTicket incidents of a directory, over the PetShop
//! issues of a directory, and over simulated incidents of a range of seeds.
//!
//! ```text
//! evaluate_attribution trainticket DIR
//! evaluate_attribution petshop DIR
//! evaluate_attribution simulated FIRST_SEED SEEDS SPANS [--lakes DIR] [--quiet WINDOWS] [SCENARIO…]
//! ```
//!
//! With `--lakes` the simulated incidents are kept in a directory and only asked about the next time. With `--quiet` so
//! many windows before each incident, in which nothing happened, are asked about as well. Weights are tuned
//! on seeds below 1000 only; what is reported comes from seeds of 10000 and above, which nothing was decided by.
#![expect(clippy::print_stdout, reason = "an example talks to its user")]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use ascribe::Database;
use ascribe::ingest::{self, Options, Progress};
use datafusion::arrow::array::{Array, Float64Array, StringArray};

mod petshop;
mod questions;
mod simulated;
mod trainticket;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// A cause as it was returned.
#[derive(Debug, Clone)]
struct Row {
    kind: String,
    id: String,
    service: String,
    score: f64,
    confidence: Option<f64>,
    attribution: String,
}

/// How many cases were right within the first, the first three and the first five.
#[derive(Debug, Default, Clone)]
struct Tally {
    cases: usize,
    top: [usize; 3],
}

impl Tally {
    fn add(&mut self, rank: Option<usize>) {
        self.cases += 1;
        for (hit, within) in self.top.iter_mut().zip([1, 3, 5]) {
            *hit += usize::from(rank.is_some_and(|rank| rank < within));
        }
    }
}

async fn land(database: &Database, source: &str, paths: &[String], table: Option<&str>) -> Outcome<()> {
    let source = ingest::find(source).ok_or("unknown source")?;
    let options = Options { table: table.map(str::to_owned), ..Options::default() };
    let summary = ingest::import(database.lake(), source, paths, &options, &Arc::<Progress>::default()).await?;
    if summary.rejections() > 0 {
        println!("rejected: {:?}", summary.rejected);
    }
    Ok(())
}

async fn ask(database: &Database, call: &str) -> Outcome<Vec<Row>> {
    let sql = format!(
        "SELECT cause_kind, cause_id, service_name, attribution_id, score, confidence FROM {call} ORDER BY rank"
    );
    let mut rows = Vec::new();
    for batch in database.sql(&sql).await? {
        let text = |at: usize| batch.column(at).as_any().downcast_ref::<StringArray>().cloned().ok_or("not text");
        let number = |at: usize| batch.column(at).as_any().downcast_ref::<Float64Array>().cloned().ok_or("no number");
        let (kinds, ids, services, attributions) = (text(0)?, text(1)?, text(2)?, text(3)?);
        let (scores, confidences) = (number(4)?, number(5)?);
        for row in 0..batch.num_rows() {
            let of =
                |column: &StringArray| if column.is_null(row) { String::new() } else { column.value(row).to_owned() };
            rows.push(Row {
                kind: of(&kinds),
                id: of(&ids),
                service: of(&services),
                score: scores.value(row),
                confidence: (!confidences.is_null(row)).then(|| confidences.value(row)),
                attribution: of(&attributions),
            });
        }
    }
    Ok(rows)
}

/// The services of the causes in their order, each once.
fn services(rows: &[Row]) -> Vec<&str> {
    let mut services: Vec<&str> = Vec::new();
    for row in rows {
        if !row.service.is_empty() && !services.contains(&row.service.as_str()) {
            services.push(&row.service);
        }
    }
    services
}

fn iso(micros: i64) -> String {
    chrono::DateTime::from_timestamp_micros(micros).map_or_else(String::new, |time| time.to_rfc3339())
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("trainticket") => {
            trainticket::run(Path::new(arguments.get(1).map_or("../shared/data/trainticket", |text| text))).await
        }
        Some("petshop") => {
            petshop::run(Path::new(arguments.get(1).map_or("../shared/data/petshop", |text| text))).await
        }
        Some("simulated") => simulated::run(arguments.get(1..).unwrap_or_default()).await,
        _ => Err("trainticket DIR, petshop DIR, or simulated FIRST_SEED SEEDS SPANS [--lakes DIR] [--quiet WINDOWS] [SCENARIO…]".into()),
    }
}
