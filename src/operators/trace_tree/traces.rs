//! Spans trace by trace.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::interleave_record_batch;
use datafusion::common::{Result, resources_err};

use super::encode::{Encoder, Packed, Second};
use super::gather::{Chunk, Unit};
use crate::attribution::trace::{Span, Tree};

const EMPTY: u32 = u32::MAX;

/// Spans trace by trace, with the rows that they came in.
#[derive(Debug)]
pub(super) struct Traces {
    spans: Vec<Packed>,
    /// One a span, or none at all.
    weights: Vec<f64>,
    /// The columns that are passed on, a row a span.
    pub(super) rows: Option<RecordBatch>,
    /// Where each trace begins and ends.
    ranges: Vec<(u32, u32)>,
}

impl Traces {
    /// Group the spans of a unit: traces in the order of their first spans, and theirs in the order that they came in.
    pub(super) fn of(unit: &mut Unit) -> Result<Self> {
        let count = few(unit.rows)?;
        let chunks = std::mem::take(&mut unit.chunks);
        let (mut places, ends) = places(&chunks, count);
        let mut spans = vec![Packed::default(); unit.rows];
        let mut weights =
            vec![f64::NAN; if chunks.iter().any(|chunk| !chunk.weights.is_empty()) { unit.rows } else { 0 }];
        let mut sources = vec![(0, 0); if chunks.iter().any(|chunk| chunk.rows.is_some()) { unit.rows } else { 0 }];
        let mut next = places.drain(..);
        for (at, chunk) in chunks.iter().enumerate() {
            for ((row, span), place) in chunk.spans.iter().enumerate().zip(&mut next) {
                set(&mut spans, place, *span);
                set(&mut sources, place, (at, row));
                if let Some(weight) = chunk.weights.get(row) {
                    set(&mut weights, place, *weight);
                }
            }
        }
        let batches: Vec<&RecordBatch> = chunks.iter().filter_map(|chunk| chunk.rows.as_ref()).collect();
        let rows = if batches.is_empty() { None } else { Some(interleave_record_batch(&batches, &sources)?) };
        let ranges = ends.iter().scan(0, |from, to| Some((std::mem::replace(from, *to), *to))).collect();
        Ok(Self { spans, weights, rows, ranges })
    }

    /// Of spans that are grouped already; those outside of the ranges are of no trace.
    pub(super) fn of_runs(chunk: Chunk, ranges: Vec<(u32, u32)>) -> Result<Self> {
        few(chunk.spans.len())?;
        let Chunk { spans, weights, rows } = chunk;
        Ok(Self { spans, weights, rows, ranges })
    }

    /// Rows.
    pub(super) fn len(&self) -> usize {
        self.spans.len()
    }

    /// The spans, row by row.
    pub(super) fn spans(&self) -> &[Packed] {
        &self.spans
    }

    /// Where each trace begins and ends among the rows.
    pub(super) fn ranges(&self) -> &[(u32, u32)] {
        &self.ranges
    }

    /// The spans of some rows.
    pub(super) fn spans_of(&self, (from, to): (u32, u32), second: Second, into: &mut Vec<Span>) {
        let (from, to) = (from as usize, to as usize);
        into.clear();
        let spans = self.spans.get(from..to).unwrap_or_default();
        match self.weights.get(from..to) {
            Some(weights) => into.extend(spans.iter().zip(weights).map(|(span, weight)| span.span(second, *weight))),
            None => into.extend(spans.iter().map(|span| span.span(second, f64::NAN))),
        }
    }
}

fn set<T>(values: &mut [T], place: u32, value: T) {
    if let Some(slot) = values.get_mut(place as usize) {
        *slot = value;
    }
}

/// So many spans, if that many can be looked at.
fn few(spans: usize) -> Result<u32> {
    match u32::try_from(spans) {
        Ok(count) => Ok(count),
        Err(_) => resources_err!("{spans} spans are too many to be looked at at once"),
    }
}

/// Where spans of one trace that follow each other begin and end.
pub(super) fn runs(spans: &[Packed]) -> impl Iterator<Item = (u32, u32)> {
    let mut from = 0_u32;
    spans.chunk_by(|a, b| a.trace == b.trace).map(move |run| {
        let begin = from;
        from = from.saturating_add(u32::try_from(run.len()).unwrap_or(u32::MAX));
        (begin, from)
    })
}

/// The place of each span, trace by trace, and where each trace ends.
fn places(chunks: &[Chunk], count: u32) -> (Vec<u32>, Vec<u32>) {
    let mask = (count as usize * 2).next_power_of_two().max(2) - 1;
    let mut slots = vec![EMPTY; mask + 1];
    let mut known: Vec<(u64, u64)> = Vec::new();
    let mut ends: Vec<u32> = Vec::new();
    // The trace of each span at first.
    let mut places = Vec::with_capacity(count as usize);
    let mut last = EMPTY;
    for span in chunks.iter().flat_map(|chunk| &chunk.spans) {
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
        places.push(last);
    }
    let mut next = Vec::with_capacity(ends.len());
    let mut total = 0;
    for end in &mut ends {
        next.push(total);
        total += *end;
        *end = total;
    }
    for place in &mut places {
        if let Some(next) = next.get_mut(*place as usize) {
            *place = *next;
            *next += 1;
        }
    }
    (places, ends)
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
    fn spans_are_grouped_in_the_order_that_they_came_in() {
        let span = |high, low| Packed { trace: (high, low), ..Packed::default() };
        let spans = [span(1, 1), span(1, 2), span(1, 1), span(2, 1), span(1, 2), span(1, 1)];
        let chunk = |spans: &[Packed]| Chunk { spans: spans.to_vec(), ..Chunk::default() };
        let chunks = [chunk(&spans[..2]), chunk(&spans[2..])];
        assert_eq!(places(&chunks, 6), (vec![0, 3, 1, 5, 4, 2], vec![3, 5, 6]));
        assert_eq!(places(&[], 0), (vec![], vec![]));
        assert_eq!((last_start(&spans), last_start(&spans[..1]), last_start(&[])), (5, 0, 0));
        let mut unit = Unit::default();
        (unit.chunks, unit.rows) = (chunks.into(), spans.len());
        let grouped = Traces::of(&mut unit).unwrap();
        assert_eq!(grouped.spans(), [spans[0], spans[0], spans[0], spans[1], spans[1], spans[3]]);
        assert_eq!(grouped.ranges(), [(0, 3), (3, 5), (5, 6)]);
        assert_eq!(runs(grouped.spans()).collect::<Vec<_>>(), grouped.ranges());
        assert_eq!(runs(&[]).count(), 0);
    }
}
