//! OpenLineage run events (<https://openlineage.io>, specification 1 and 2; JSON: lines, arrays). Lands in
//! `lineage_runs`, one row an event. Datasets and jobs are named `namespace/name`. Events about a job or dataset without
//! a run are not used.
//!
//! Column lineage is kept as one object: by output dataset, the `fields` of its facet `columnLineage`.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::json::{self, text, time};
use super::json_records::Reason;
use super::{Input, Output, Source, json_records};
use crate::error::Result;
use crate::model::Table;
use crate::model::platform::{LINEAGE_RUNS, LineageRunRow};

/// The source `openlineage`.
#[derive(Debug)]
pub struct OpenLineage;

impl Source for OpenLineage {
    fn name(&self) -> &'static str {
        "openlineage"
    }

    fn doc(&self) -> &'static str {
        "OpenLineage run events (lines, arrays) into lineage_runs"
    }

    fn tables(&self) -> Vec<&'static Table> {
        vec![&LINEAGE_RUNS]
    }

    fn decode(&self, input: Input<'_>, output: &mut Output<'_>) -> Result<()> {
        json_records::for_each(input, &[], output, |event, _, output| {
            output.lineage_runs.push(&row(event)?);
            Ok(())
        })
    }
}

/// The types of an event; without one it adds to what is known of the run.
const TYPES: [&str; 6] = ["START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER"];

fn row(event: &Value) -> Result<LineageRunRow<'_>, Reason> {
    if !event.is_object() {
        return Err("a record is not an object".into());
    }
    let Some(run_id) = text(event, &["run", "runId"]) else {
        let without_run = event.get("run").is_none() && (event.get("dataset").is_some() || event.get("job").is_some());
        return Err(if without_run { "event not used: it is about no run" } else { "run.runId is missing" }.into());
    };
    let job = name_of(json::at(event, &["job"])).ok_or("job.name is missing")?;
    let event_time = time(event, &["eventTime"]).ok_or("eventTime is not an instant")?;
    let given = text(event, &["eventType"]).unwrap_or("OTHER");
    let event_type = TYPES.iter().find(|known| known.eq_ignore_ascii_case(given)).ok_or("eventType is not known")?;
    Ok(LineageRunRow {
        run_id: Some(Cow::Borrowed(run_id)),
        job: Some(Cow::Owned(job)),
        event_type: Some(Cow::Borrowed(event_type)),
        event_time: Some(event_time),
        inputs: datasets(event, "inputs"),
        outputs: datasets(event, "outputs"),
        parent_run_id: text(event, &["run", "facets", "parent", "run", "runId"]).map(Cow::Borrowed),
        column_lineage: column_lineage(event).map(Cow::Owned),
        ..LineageRunRow::default()
    })
}

/// `namespace/name`.
fn name_of(item: Option<&Value>) -> Option<String> {
    let item = item?;
    let name = text(item, &["name"])?;
    Some(match text(item, &["namespace"]) {
        Some(namespace) => format!("{}/{}", namespace.trim_end_matches('/'), name.trim_start_matches('/')),
        None => name.to_owned(),
    })
}

fn listed<'v>(event: &'v Value, list: &str) -> impl Iterator<Item = &'v Value> {
    json::at(event, &[list]).and_then(Value::as_array).into_iter().flatten()
}

fn datasets<'v>(event: &'v Value, list: &str) -> Option<Vec<Cow<'v, str>>> {
    let names: Vec<Cow<'v, str>> = listed(event, list).filter_map(|item| name_of(Some(item))).map(Cow::Owned).collect();
    (!names.is_empty()).then_some(names)
}

fn column_lineage(event: &Value) -> Option<String> {
    let of = |output: &Value| {
        let fields = json::at(output, &["facets", "columnLineage", "fields"])?;
        Some((name_of(Some(output))?, fields.clone()))
    };
    let known: Map<String, Value> = listed(event, "outputs").filter_map(of).collect();
    (!known.is_empty()).then(|| Value::Object(known).to_string())
}
