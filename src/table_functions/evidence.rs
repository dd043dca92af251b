//! `evidence(attribution_id)`: the chain, row by row.

use async_trait::async_trait;
use datafusion::common::ScalarValue;
use datafusion::execution::SendableRecordBatchStream;

use super::incidents::rows::ints;
use super::{Argument, ArgumentType, Call, Signature, TableFunction};
use crate::error::{Result, UserError};
use crate::model::cell::{Double, Int, Text, Time};

/// The function `evidence`.
#[derive(Debug)]
pub struct EvidenceOf;

static SIGNATURE: Signature = Signature {
    name: "evidence",
    doc: &[
        "What an attribution rests on: statements in the order of reading, each with the SQL that returns its rows.",
    ],
    arguments: &[Argument {
        names: &["attribution_id"],
        kind: ArgumentType::Text,
        required: true,
        doc: "Id of a row of attributions.",
    }],
    columns: crate::columns! {
        /// Order of reading.
        seq: Int,
        /// Kind of evidence, such as blame, cohort, lead_time.
        kind: Text,
        /// The statement, for people.
        statement: Text,
        /// What the statement added to the score (log-odds).
        weight: Double,
        /// Table that holds the rows.
        source_table: Text,
        /// Key of the row, where the statement rests on one.
        row_key: Text,
        /// When what is stated was the case.
        observed_at: Time,
        /// Rows that the query returns.
        row_count: Int,
        /// SQL that returns the rows that the statement rests on.
        query: Text,
    },
    example: "SELECT seq, statement, query FROM evidence('5b0e6f0a-7b60-5b8f-9d1b-0d4f0a3c6c11')",
};

#[async_trait]
impl TableFunction for EvidenceOf {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    async fn run(&self, call: Call) -> Result<SendableRecordBatchStream> {
        let id = call.text(0).unwrap_or_default().to_owned();
        let parameters = || vec![("id", ScalarValue::Utf8(Some(id.clone())))];
        let rows = call
            .collect(
                "SELECT seq, kind, statement, weight, source_table, row_key, observed_at, row_count, query \
                 FROM attribution_evidence WHERE attribution_id = $id ORDER BY seq",
                parameters(),
            )
            .await?;
        if rows.iter().all(|batch| batch.num_rows() == 0) {
            let known =
                call.collect("SELECT count(*) FROM attributions WHERE attribution_id = $id", parameters()).await?;
            let mut count = 0;
            for batch in &known {
                count += ints(batch, 0)?.iter().flatten().sum::<i64>();
            }
            if count == 0 {
                return Err(UserError::invalid(format!("evidence: there is no attribution {id}"))
                    .detail("Looked for that attribution_id in the table attributions.")
                    .hint("attribute_incident returns attribution ids; the table attributions keeps them")
                    .into());
            }
        }
        let schema = call.schema();
        let mut batches = Vec::with_capacity(rows.len());
        for batch in rows {
            let columns = batch
                .columns()
                .iter()
                .zip(schema.fields())
                .map(|(column, field)| datafusion::arrow::compute::cast(column, field.data_type()))
                .collect::<std::result::Result<Vec<_>, _>>()?;
            batches.push(datafusion::arrow::array::RecordBatch::try_new(schema.clone(), columns)?);
        }
        Ok(call.rows(batches))
    }
}
