//! Landing incidents: what a source tells later of an incident completes what it told before, so that an incident is one
//! row. Of each column the newest value counts that is not null; of the title the oldest.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Date32Array, RecordBatch, StringArray, UInt32Array};
use datafusion::arrow::compute::{concat_batches, take};
use datafusion::arrow::datatypes::TimestampMicrosecondType;

use super::rewrite::rewrite;
use crate::error::{Result, UserError, sqlstate};
use crate::model::day_of;
use crate::model::ownership::INCIDENTS;
use crate::storage::{Commit, Lake};

/// Merge the rows into the table in one commit. Tells how many arrived; none when there was nothing to land.
pub(super) async fn land(lake: &Arc<Lake>, arriving: Vec<RecordBatch>, commit: &Commit) -> Result<Option<u64>> {
    if arriving.is_empty() {
        return Ok(None);
    }
    let door = lake.door(&INCIDENTS).await?;
    let arriving = arriving.into_iter().map(|batch| door.pass(batch)).collect::<Result<Vec<_>>>()?;
    let rows = arriving.iter().map(|batch| batch.num_rows() as u64).sum();
    let schema = INCIDENTS.schema();
    let columns: Vec<usize> = (0..schema.fields().len() - 1).collect();
    let own = Arc::new(schema.project(&columns)?);
    let arriving = arriving.iter().map(|batch| Ok(batch.project(&columns)?)).collect::<Result<Vec<_>>>()?;
    let merging = |stored: Vec<RecordBatch>| {
        let batches = stored.into_iter().chain(arriving.iter().cloned());
        let batches = batches.map(|batch| Ok(batch.with_schema(Arc::clone(&own))?)).collect::<Result<Vec<_>>>()?;
        Ok(Some(vec![merge(&concat_batches(&own, &batches)?)?]))
    };
    rewrite(lake, &INCIDENTS, commit, merging).await?;
    Ok(Some(rows))
}

/// One row an incident, oldest rows first in the input; with the partition column.
fn merge(rows: &RecordBatch) -> Result<RecordBatch> {
    let ids = text(rows, "incident_id")?;
    let mut by_id: BTreeMap<Option<&str>, Vec<u32>> = BTreeMap::new();
    for (row, id) in (0..).zip(ids.iter()) {
        by_id.entry(id).or_default().push(row);
    }
    let groups: Vec<&Vec<u32>> = by_id.values().collect();
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(rows.num_columns() + 1);
    let schema = rows.schema();
    for (field, column) in schema.fields().iter().zip(rows.columns()) {
        let told = |row: &u32| column.is_valid(*row as usize);
        // What an incident is called is what it was called first: later titles say that it is over.
        let chosen = |group: &&Vec<u32>| match field.name().as_str() {
            "title" => group.iter().copied().find(told),
            _ => group.iter().rev().copied().find(told),
        };
        columns.push(take(column, &groups.iter().map(chosen).collect::<UInt32Array>(), None)?);
    }
    let at = |name: &str| Ok::<_, crate::error::Error>(schema.index_of(name)?);
    let (started, resolved, status) = (at("started_at")?, at("resolved_at")?, at("status")?);
    let partition: Date32Array = match columns.get(started) {
        Some(times) => times.as_primitive::<TimestampMicrosecondType>().iter().map(|time| time.map(day_of)).collect(),
        None => Date32Array::new_null(groups.len()),
    };
    // Deliveries may arrive out of order: an incident that has an end is over.
    if let (Some(ends), Some(states)) = (columns.get(resolved), columns.get(status)) {
        let states = states.as_string::<i32>();
        let known = (0..groups.len()).map(|row| match (ends.is_valid(row), states.is_valid(row)) {
            (true, _) => Some("resolved"),
            (false, true) => Some(states.value(row)),
            (false, false) => None,
        });
        let known: ArrayRef = Arc::new(known.collect::<StringArray>());
        if let Some(states) = columns.get_mut(status) {
            *states = known;
        }
    }
    columns.push(Arc::new(partition));
    Ok(RecordBatch::try_new(INCIDENTS.schema(), columns)?)
}

fn text<'a>(rows: &'a RecordBatch, name: &str) -> Result<&'a StringArray> {
    let column = rows.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
    column.ok_or_else(|| UserError::new(sqlstate::INTERNAL, format!("incidents have no column {name}")).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RowBuilder;
    use crate::model::ownership::{IncidentBuilder, IncidentRow};

    #[test]
    fn later_news_complete_an_incident() {
        let mut builder = IncidentBuilder::default();
        builder.append(&IncidentRow {
            incident_id: Some("i".into()),
            resolved_at: Some(9),
            status: Some("resolved".into()),
            title: Some("over".into()),
            ..IncidentRow::default()
        });
        builder.append(&IncidentRow { incident_id: Some("j".into()), started_at: Some(1), ..IncidentRow::default() });
        builder.append(&IncidentRow {
            incident_id: Some("i".into()),
            started_at: Some(5),
            status: Some("open".into()),
            title: Some("slow again".into()),
            ..IncidentRow::default()
        });
        let batch = builder.finish("cdevents", 0);
        let columns: Vec<usize> = (0..batch.num_columns() - 1).collect();
        let merged = merge(&batch.project(&columns).unwrap()).unwrap();
        assert_eq!(merged.num_rows(), 2);
        let cell = |name: &str| text(&merged, name).unwrap().iter().next().unwrap().map(str::to_owned);
        assert_eq!(cell("incident_id").as_deref(), Some("i"));
        assert_eq!(cell("title").as_deref(), Some("over"));
        assert_eq!(cell("status").as_deref(), Some("resolved"));
        let time =
            |name: &str| merged.column_by_name(name).unwrap().as_primitive::<TimestampMicrosecondType>().value(0);
        assert_eq!((time("started_at"), time("resolved_at")), (5, 9));
        assert!(merged.column_by_name("date").unwrap().is_valid(0));
    }
}
