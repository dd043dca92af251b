//! The bookkeeping of imports: an id in the log of `system.ingests` and the row of the file stand for each other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray};
use futures::StreamExt;

use super::Report;
use crate::error::Result;
use crate::ingest::REJECTED_OF;
use crate::model::system::INGESTS;
use crate::storage::{Lake, State, read_file};

/// Prefix of the id of an imported file, which ends with the hash of its content.
const IMPORT: &str = "import/";

/// Check what the logs say of imports.
pub(super) async fn check(lake: &Arc<Lake>, states: &BTreeMap<&'static str, State>, report: &mut Report) -> Result<()> {
    let none = State::default();
    let ingests = states.get(INGESTS.name).unwrap_or(&none);
    let mut rows = BTreeSet::new();
    for file in ingests.live.values() {
        // A file that cannot be read is a finding already, and nothing can be said of its rows.
        let Ok(hashes) = hashes(lake, &file.path, file.size).await else { return Ok(()) };
        rows.extend(hashes);
    }
    let hash = |id: &str| id.rsplit('/').next().unwrap_or_default().to_owned();
    let imported = |state: &State| -> Vec<String> {
        let ids = state.transactions.keys().filter(|id| id.starts_with(IMPORT) && !id.ends_with(REJECTED_OF));
        ids.cloned().collect()
    };
    for id in imported(ingests) {
        if !rows.contains(&hash(&id)) {
            report.damage(INGESTS.name, "import", id, "the file counts as imported, but it has no row");
        }
    }
    let mut begun = BTreeMap::new();
    for (table, state) in states.iter().filter(|(table, _)| **table != INGESTS.name) {
        for id in imported(state).into_iter().filter(|id| !ingests.transactions.contains_key(id)) {
            begun.insert(id, *table);
        }
    }
    for (id, table) in begun {
        report.note(table, "import", id, "it was interrupted: importing the file again completes it");
    }
    Ok(())
}

async fn hashes(lake: &Arc<Lake>, path: &str, size: i64) -> Result<Vec<String>> {
    let (_, mut batches) = read_file(lake.store(), &INGESTS, (path, size), Some(&["content_hash"])).await?;
    let mut found = Vec::new();
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        let Some(column) = batch.column_by_name("content_hash").and_then(|column| column.as_string_opt::<i32>()) else {
            continue;
        };
        found.extend((0..column.len()).filter(|row| column.is_valid(*row)).map(|row| column.value(row).to_owned()));
    }
    Ok(found)
}
