//! `error_origin(trace_id)`: where the errors of a trace began, and what they propagated to.

use async_trait::async_trait;
use datafusion::execution::SendableRecordBatchStream;

use super::traces::{Encoder, Needs, ORIGIN_COLUMNS, Selection, one_trace, origin_inputs, origins, trace_argument};
use super::{Argument, Call, Signature, TableFunction};
use crate::error::Result;

/// The function `error_origin`.
#[derive(Debug)]
pub struct ErrorOrigin;

const ARGUMENTS: [Argument; 1] = [trace_argument(true)];

static SIGNATURE: Signature = Signature {
    name: "error_origin",
    doc: &[
        "Where the errors of a trace began, and what they propagated to: the failed spans none of which waited for",
        "another failed one. No row: nothing in the trace failed.",
    ],
    arguments: &ARGUMENTS,
    columns: ORIGIN_COLUMNS,
    example: "SELECT service_name, span_name, error_type, propagated_to FROM error_origin('4bf92f3577b34da6a3ce929d0e0e4736')",
};

#[async_trait]
impl TableFunction for ErrorOrigin {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    async fn run(&self, call: Call) -> Result<SendableRecordBatchStream> {
        let batch = one_trace(&call, &origin_inputs()).await?;
        let mut encoder = Encoder::new(Needs::default());
        let rows = origins(&batch, &mut encoder, &Selection::default(), &call.schema())?;
        Ok(call.rows(vec![rows]))
    }
}
