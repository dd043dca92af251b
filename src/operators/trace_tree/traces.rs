//! The spans of a unit, trace by trace.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::concat_batches;
use datafusion::common::{Result, resources_err};

use super::encode::{Encoder, Packed, Second};
use super::gather::Unit;
use crate::attribution::trace::{Span, Tree};

const EMPTY: u32 = u32::MAX;

/// The spans of a unit with the rows that they came in, and which of them are a trace.
#[derive(Debug)]
pub(super) struct Traces {
    spans: Vec<Packed>,
    weights: Vec<f64>,
    /// The columns that are passed on, row by row.
    pub(super) rows: Option<RecordBatch>,
    /// Rows, trace after trace, in the order that they came in.
    order: Vec<u32>,
    /// Where each trace ends in `order`.
    ends: Vec<u32>,
}

impl Traces {
    /// Group the spans of a unit.
    pub(super) fn of(unit: &mut Unit) -> Result<Self> {
        let (mut spans, mut weights, mut batches) = (Vec::new(), Vec::new(), Vec::new());
        spans.reserve_exact(unit.rows);
        for mut chunk in unit.chunks.drain(..) {
            spans.append(&mut chunk.spans);
            weights.append(&mut chunk.weights);
            batches.extend(chunk.rows);
        }
        let rows = match batches.first() {
            None => None,
            Some(first) => Some(concat_batches(&first.schema(), &batches)?),
        };
        let Ok(count) = u32::try_from(spans.len()) else {
            return resources_err!("{} spans are too many to be looked at at once", spans.len());
        };
        let (order, ends) = grouped(&spans, count);
        Ok(Self { spans, weights, rows, order, ends })
    }

    /// Rows.
    pub(super) fn len(&self) -> usize {
        self.spans.len()
    }

    /// The spans, row by row.
    pub(super) fn spans(&self) -> &[Packed] {
        &self.spans
    }

    /// Traces.
    pub(super) fn count(&self) -> usize {
        self.ends.len()
    }

    /// The rows of a trace.
    pub(super) fn rows_of(&self, trace: usize) -> &[u32] {
        let from = trace.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        let to = self.ends.get(trace).copied().unwrap_or(from);
        self.order.get(from as usize..to as usize).unwrap_or_default()
    }

    /// The spans of a trace, in the order of its rows.
    pub(super) fn spans_of(&self, trace: usize, second: Second, into: &mut Vec<Span>) {
        into.clear();
        into.extend(self.rows_of(trace).iter().filter_map(|row| {
            let weight = self.weights.get(*row as usize).copied().unwrap_or(f64::NAN);
            self.spans.get(*row as usize).map(|span| span.span(second, weight))
        }));
    }
}

/// Rows by trace, both in the order of their first appearance.
fn grouped(spans: &[Packed], count: u32) -> (Vec<u32>, Vec<u32>) {
    let mask = (spans.len() * 2).next_power_of_two().max(2) - 1;
    let mut slots = vec![EMPTY; mask + 1];
    let mut known: Vec<(u64, u64)> = Vec::new();
    let mut ends: Vec<u32> = Vec::new();
    let mut trace_of = Vec::with_capacity(spans.len());
    let mut last = EMPTY;
    for span in spans {
        // The spans of a trace mostly come together.
        if known.get(last as usize) != Some(&span.trace) {
            let mut slot = span.trace().bucket(64 - mask.leading_zeros());
            last = loop {
                let Some(place) = slots.get_mut(slot) else { break EMPTY };
                if *place == EMPTY {
                    let number = u32::try_from(known.len()).unwrap_or(EMPTY);
                    *place = number;
                    known.push(span.trace);
                    ends.push(0);
                    break number;
                }
                if known.get(*place as usize) == Some(&span.trace) {
                    break *place;
                }
                slot = (slot + 1) & mask;
            };
        }
        if let Some(size) = ends.get_mut(last as usize) {
            *size += 1;
        }
        trace_of.push(last);
    }
    let mut next = Vec::with_capacity(ends.len());
    let mut total = 0;
    for end in &mut ends {
        next.push(total);
        total += *end;
        *end = total;
    }
    let mut order = vec![0; spans.len()];
    for (row, trace) in (0..count).zip(trace_of) {
        if let Some(at) = next.get_mut(trace as usize) {
            if let Some(place) = order.get_mut(*at as usize) {
                *place = row;
            }
            *at += 1;
        }
    }
    (order, ends)
}

/// The spans of rows that are one trace, in the order of the rows; services are named by numbers only.
///
/// # Errors
/// When a column is missing or of a type that it cannot have.
pub fn spans_of(rows: &RecordBatch) -> Result<Vec<Span>> {
    let mut spans = Vec::with_capacity(rows.num_rows());
    let mut encoder = Encoder::new(Arc::default(), Second::None, false, 0);
    encoder.encode(rows, |span, weight| spans.push(span.span(Second::None, weight)))?;
    Ok(spans)
}

/// The first span of the last trace, for telling where the next one begins.
pub(super) fn last_start(spans: &[Packed]) -> usize {
    let Some(last) = spans.last() else { return 0 };
    spans.iter().rposition(|span| span.trace != last.trace).map_or(0, |at| at + 1)
}

/// When the root of a trace started, nanoseconds since the epoch.
pub(super) fn start_of(spans: &[Span], tree: &Tree) -> i64 {
    tree.main_root().and_then(|root| spans.get(root as usize)).map_or(0, |root| root.start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_grouped_in_the_order_that_they_came_in() {
        let span = |high, low| Packed { trace: (high, low), ..Packed::default() };
        let spans = [span(1, 1), span(1, 2), span(1, 1), span(2, 1), span(1, 2), span(1, 1)];
        assert_eq!(grouped(&spans, 6), (vec![0, 2, 5, 1, 4, 3], vec![3, 5, 6]));
        assert_eq!(grouped(&[], 0), (vec![], vec![]));
        assert_eq!((last_start(&spans), last_start(&spans[..1]), last_start(&[])), (5, 0, 0));
    }
}
