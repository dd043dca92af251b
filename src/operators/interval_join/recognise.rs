//! Finding an interval in the condition of a join.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::Schema;
use datafusion::common::Result;
use datafusion::physical_expr::{conjunction, split_conjunction};
use datafusion::physical_plan::joins::utils::JoinFilter;

use crate::operators::bounds::{Bound, Found, bound_of, narrowed};

/// The condition of an interval join: `start.build <= start.probe` and `end.build >= end.probe`.
#[derive(Debug, Clone)]
pub(super) struct Interval {
    pub(super) start: Bound,
    pub(super) end: Bound,
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.start.show('<'), self.end.show('>'))
    }
}

/// The interval in a filter, and the filter of what else it demands. The build side is the left one.
pub(super) fn recognise(
    filter: &JoinFilter,
    build: &Schema,
    probe: &Schema,
) -> Result<Option<(Interval, Option<JoinFilter>)>> {
    let (mut start, mut end, mut rest) = (None, None, Vec::new());
    for condition in split_conjunction(filter.expression()) {
        match bound_of(condition, filter, build, probe)? {
            Some(Found::Start(bound)) if start.is_none() => start = Some(bound),
            Some(Found::End(bound)) if end.is_none() => end = Some(bound),
            _ => rest.push(Arc::clone(condition)),
        }
    }
    let (Some(start), Some(end)) = (start, end) else { return Ok(None) };
    let rest = if rest.is_empty() { None } else { Some(narrowed(filter, conjunction(rest))?) };
    Ok(Some((Interval { start, end }, rest)))
}
