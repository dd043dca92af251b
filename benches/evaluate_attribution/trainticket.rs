//! The incidents of the TrainTicket benchmark, as OTLP files with a `truth.json`.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use ascribe::Database;
use serde_json::Value;

use crate::{Outcome, Tally, ask, iso, land, services};

/// The largest silence ends the fault-free minute.
async fn incident_window(database: &Database) -> Outcome<(i64, i64)> {
    let mut times: Vec<i64> = Vec::new();
    for batch in database.sql("SELECT start_unix_nano / 1000 FROM spans ORDER BY 1").await? {
        let column =
            batch.column(0).as_any().downcast_ref::<datafusion::arrow::array::Int64Array>().ok_or("not a time")?;
        times.extend(column.iter().flatten());
    }
    let gap = times.windows(2).max_by_key(|pair| pair[1] - pair[0]).ok_or("no spans")?;
    Ok((gap[1], times.last().copied().unwrap_or_default() + 1))
}

/// Ask about every case of the directory.
pub async fn run(directory: &Path) -> Outcome<()> {
    let truth: BTreeMap<String, Value> = serde_json::from_slice(&std::fs::read(directory.join("truth.json"))?)?;
    let mut tally = Tally::default();
    for (case, truth) in &truth {
        let folder = tempfile::tempdir()?;
        let database = Database::open(&folder.path().display().to_string()).await?;
        land(&database, "otlp", &[directory.join(case).display().to_string()], None).await?;
        let (from, to) = incident_window(&database).await?;
        let started = Instant::now();
        let call =
            format!("attribute_incident('ts-gateway-service', timestamptz '{}', timestamptz '{}')", iso(from), iso(to));
        let rows = ask(&database, &call).await?;
        let wanted = truth["service"].as_str().unwrap_or_default();
        let rank = services(&rows).iter().position(|service| *service == wanted);
        println!("{case}: {wanted} at {:?} in {:.1} s", rank.map(|at| at + 1), started.elapsed().as_secs_f64());
        for row in rows.iter().take(5) {
            println!("      {:.3} {} {} ({})", row.score, row.kind, row.id, row.service);
        }
        let why = "SELECT a.rank, a.service_name, round(e.weight, 3), e.row_count, e.statement FROM attributions a \
                   JOIN attribution_evidence e ON e.attribution_id = a.attribution_id WHERE a.rank <= 3 ORDER BY 1, e.seq";
        let why = database.sql(why).await?;
        println!("{}", datafusion::arrow::util::pretty::pretty_format_batches(&why)?);
        tally.add(rank);
    }
    println!("trainticket: {} incidents, top-1/3/5 {:?}", tally.cases, tally.top);
    Ok(())
}
