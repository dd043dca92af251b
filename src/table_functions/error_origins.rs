//! `error_origins(t0, t1)`: where the errors of the traces in a window began, and what they propagated to.

use async_trait::async_trait;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::stream;

use super::exec::engine_error;
use super::traces::{Encoder, Needs, ORIGIN_COLUMNS, Selection, origin_inputs, origins, window_arguments};
use super::{Argument, Call, Signature, TableFunction};
use crate::error::Result;

/// The function `error_origins`.
#[derive(Debug)]
pub struct ErrorOrigins;

const ARGUMENTS: [Argument; 2] = window_arguments();

static SIGNATURE: Signature = Signature {
    name: "error_origins",
    doc: &[
        "Where the errors of the traces in a window began, and what they propagated to: one row for every failed span",
        "that did not wait for another failed one. Spans are counted as they are, not weighted by sampling.",
    ],
    arguments: &ARGUMENTS,
    columns: ORIGIN_COLUMNS,
    example: "SELECT service_name, error_type, count(*) FROM error_origins('2026-03-01T10:00:00Z', '2026-03-01T11:00:00Z') WHERE reached_root GROUP BY 1, 2",
};

#[async_trait]
impl TableFunction for ErrorOrigins {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    async fn run(&self, call: Call) -> Result<SendableRecordBatchStream> {
        let selection = Selection { window: Some(call.window(0, 1)?), trace_id: None };
        let input = selection.read(&call, &origin_inputs()).await?;
        let schema = call.schema();
        let state = (input, Encoder::new(Needs::default()));
        let rows = stream::try_unfold(state, move |(mut input, mut encoder)| {
            let (selection, schema) = (selection.clone(), call.schema());
            async move {
                let Some(batch) = input.next().await.map_err(engine_error)? else { return Ok(None) };
                let rows = origins(&batch, &mut encoder, &selection, &schema).map_err(engine_error)?;
                Ok(Some((rows, (input, encoder))))
            }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}
