//! The simulated incidents that are asked about in other words than "what broke this service".

use ascribe::Database;
use datafusion::arrow::array::{Array, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use serde_json::Value;

use crate::Outcome;

async fn texts(database: &Database, sql: &str) -> Outcome<Vec<Vec<String>>> {
    let mut rows = Vec::new();
    for batch in database.sql(sql).await? {
        let columns: Vec<_> =
            batch.columns().iter().map(|column| cast(column, &DataType::Utf8)).collect::<Result<_, _>>()?;
        for row in 0..batch.num_rows() {
            let text = |column: &dyn Array| {
                let column = column.as_any().downcast_ref::<StringArray>();
                column.map_or_else(String::new, |column| column.value(row).to_owned())
            };
            rows.push(columns.iter().map(|column| text(column.as_ref())).collect());
        }
    }
    Ok(rows)
}

/// A leaked key: the share of the outsider's calls that are traced to the CI run whose key it was, as a rank: first if
/// all of them are.
pub async fn leak(database: &Database, truth: &Value) -> Outcome<(Option<usize>, String)> {
    let leak = &truth["access"]["leak"];
    let run = leak["pipeline_run_id"].as_str().unwrap_or_default();
    let sql = "SELECT event_id, coalesce(pipeline_run_id, '') FROM \
               access_attribution(timestamptz '{from}' - interval '1 day', timestamptz '{to}' + interval '1 day') \
               ORDER BY event_id, score DESC NULLS LAST";
    let of = |key: &str| truth["window"][key].as_str().unwrap_or_default();
    let rows = texts(database, &sql.replace("{from}", of("start")).replace("{to}", of("end"))).await?;
    let events: Vec<&str> = leak["event_ids"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let first = |event: &&&str| rows.iter().find(|row| row[0] == **event).is_some_and(|row| row[1] == run);
    let traced = events.iter().filter(first).count();
    let said = format!("{traced} of {} calls with the leaked key traced to run {run}", events.len());
    Ok(((traced == events.len() && traced > 0).then_some(0), said))
}

/// A cost spike: the place of the service behind it among those of which the allocated cost grew most from one week to
/// the next.
pub async fn cost(database: &Database, truth: &Value) -> Outcome<(Option<usize>, String)> {
    let of = |key: &str| truth["incident"][key].as_str().unwrap_or_default();
    let sql = "SELECT service_name, CAST(sum(CASE WHEN charge_period_start >= timestamptz '{from}' \
               THEN allocated_cost ELSE -allocated_cost END) AS double) AS grown \
               FROM allocate_cost('default', timestamptz '{from}' - interval '7 days', timestamptz '{to}') \
               WHERE service_name IS NOT NULL AND charge_category = 'Usage' \
               GROUP BY service_name, billing_currency ORDER BY grown DESC LIMIT 10";
    let rows = texts(database, &sql.replace("{from}", of("t0")).replace("{to}", of("t1"))).await?;
    let wanted = truth["causes"][0]["service_name"].as_str().unwrap_or_default();
    let said = rows.iter().take(3).map(|row| format!("{} grew by {}", row[0], row[1])).collect::<Vec<_>>().join(", ");
    Ok((rows.iter().position(|row| row[0] == wanted), format!("{wanted}: {said}")))
}
