//! Going over traces without keeping them.

use super::{Encoder, Needs, Selection, TraceBatch, unknown_trace};
use crate::attribution::trace::{Span, Tree};
use crate::error::{Result, UserError};
use crate::table_functions::Call;

/// Look at every selected trace once.
pub(in crate::table_functions) async fn each_trace(
    call: &Call,
    selection: &Selection,
    needs: Needs,
    encoder: &mut Encoder,
    mut look: impl FnMut(&[Span], &Tree),
) -> Result<()> {
    encoder.set_needs(needs);
    let mut input = selection.read(call, &needs.columns()).await?;
    let mut tree = Tree::default();
    while let Some(batch) = input.next().await? {
        for spans in encoder.encode(&batch)?.traces() {
            tree.resolve(spans);
            if selection.contains(start_of(spans, &tree)) {
                look(spans, &tree);
            }
        }
    }
    Ok(())
}

/// When the root of a trace started, nanoseconds since the epoch.
pub(in crate::table_functions) fn start_of(spans: &[Span], tree: &Tree) -> i64 {
    tree.main_root().and_then(|root| spans.get(root as usize)).map_or(0, |root| root.start)
}

/// All spans of the trace that the first argument names.
///
/// # Errors
/// When there is no such trace.
pub(in crate::table_functions) async fn one_trace(call: &Call, columns: &[&str]) -> Result<TraceBatch> {
    let trace_id = call.text(0).ok_or_else(|| UserError::invalid("the trace id is null"))?;
    let mut input = Selection::trace(trace_id).read(call, columns).await?;
    Ok(input.next().await?.ok_or_else(|| unknown_trace(trace_id))?)
}
