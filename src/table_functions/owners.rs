//! The ownership table as the index that the algorithms ask.

use std::sync::Arc;

use datafusion::arrow::array::{Array, RecordBatch};
use datafusion::execution::{SessionState, TaskContext};
use datafusion::physical_plan::collect;

use super::arrays::{amounts, text, texts, time, times};
use crate::attribution::owners::{OwnershipIndex, OwnershipRecord};
use crate::error::Result;

const STATEMENT: &str = "SELECT entity_kind, entity, owner, role, weight, valid_from, valid_to \
                         FROM ascribe.public.ownership \
                         WHERE entity IS NOT NULL AND owner IS NOT NULL ORDER BY ingested_at";

/// The ownership table as it is now.
///
/// # Errors
/// When the table cannot be read.
pub async fn load(state: &SessionState, task: &Arc<TaskContext>) -> Result<OwnershipIndex> {
    let plan = state.create_logical_plan(STATEMENT).await?;
    let plan = state.create_physical_plan(&plan).await?;
    index(&collect(plan, Arc::clone(task)).await?)
}

fn index(batches: &[RecordBatch]) -> Result<OwnershipIndex> {
    let columns = batches.iter().map(|batch| {
        let names = ["entity_kind", "entity", "owner", "role"];
        let [kinds, entities, owners, roles] = names.map(|name| texts(batch, name));
        let (weights, from, to) = (amounts(batch, "weight")?, times(batch, "valid_from")?, times(batch, "valid_to")?);
        Ok((batch.num_rows(), kinds?, entities?, owners?, roles?, weights, from, to))
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    let records = columns.iter().flat_map(|(rows, kinds, entities, owners, roles, weights, from, to)| {
        (0..*rows).map(move |row| OwnershipRecord {
            entity_kind: text(kinds, row).unwrap_or_default(),
            entity: text(entities, row).unwrap_or_default(),
            owner: text(owners, row).unwrap_or_default(),
            role: text(roles, row).unwrap_or_default(),
            weight: weights.is_valid(row).then(|| weights.value(row)),
            valid_from: time(from, row),
            valid_to: time(to, row),
        })
    });
    Ok(OwnershipIndex::new(records))
}
