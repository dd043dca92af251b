//! Critical paths of many requests, by service and operation.

use super::ids::CodeMap;
use super::{Code, CriticalPath, Dictionary, NO_ROW, Span, Tree, quantile, span_at};

/// Which spans are the entry points whose critical paths are added up.
#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    service: Option<Code>,
    name: Option<Code>,
}

/// The sums that shares are shares of.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct OperationTotals {
    /// Requests: entry points looked at.
    pub requests: u64,
    /// Their durations together, nanoseconds.
    pub duration: i128,
    /// The same, each weighted by the adjusted count of its entry point, as far as that is known.
    pub weighted_duration: f64,
    /// Requests whose weight is not known.
    pub unknown_weight: u64,
}

#[derive(Debug, Default)]
struct Sum {
    last_request: u64,
    requests: u64,
    spans: u64,
    critical_path: i128,
    weighted: f64,
    unknown_weight: u64,
    /// Nanoseconds on the critical path, one number a request; empty where nobody asks for quantiles.
    times: Vec<i64>,
}

/// Adds up critical paths.
///
/// The weight of a path is the adjusted count of the span that it begins with, so that weighted shares are conserved.
#[derive(Debug, Default)]
pub struct OperationStats {
    entry: Entry,
    quantiles: bool,
    totals: OperationTotals,
    sums: CodeMap<(Code, Code), Sum>,
    path: CriticalPath,
    entry_of: Vec<u32>,
}

/// One operation's share of the critical paths.
#[derive(Debug, Clone, PartialEq)]
pub struct OperationShare {
    /// service.name.
    pub service: Option<Box<str>>,
    /// Span name.
    pub operation: Option<Box<str>>,
    /// Requests that had it on their critical path.
    pub requests: u64,
    /// Spans of it on a critical path.
    pub spans: u64,
    /// Its own nanoseconds on the critical paths.
    pub critical_path: i128,
    /// Median of that among the requests that had it on their path.
    pub p50: Option<i64>,
    /// 99th percentile of that.
    pub p99: Option<i64>,
    /// `critical_path`, weighted; requests of unknown weight are left out.
    pub weighted_critical_path: f64,
    /// Of `requests`, how many have an unknown weight.
    pub unknown_weight: u64,
}

impl OperationStats {
    /// Look at the topmost spans of a service, of an operation, or of an operation of a service in each trace; with
    /// neither, at every root. Without `quantiles` there are none in the result, and one number a request less to keep.
    #[must_use]
    pub fn new(service: Option<Code>, name: Option<Code>, quantiles: bool) -> Self {
        Self { entry: Entry { service, name }, quantiles, ..Self::default() }
    }

    /// Bytes held, about.
    #[must_use]
    pub fn size(&self) -> usize {
        self.sums.values().map(|sum| size_of::<Sum>() + sum.times.capacity() * size_of::<i64>()).sum()
    }

    /// Add what was added up of other traces, with the same codes.
    pub fn merge(&mut self, other: Self) {
        let (all, more) = (&mut self.totals, other.totals);
        all.requests += more.requests;
        all.duration += more.duration;
        all.weighted_duration += more.weighted_duration;
        all.unknown_weight += more.unknown_weight;
        for (key, more) in other.sums {
            let sum = self.sums.entry(key).or_default();
            sum.requests += more.requests;
            sum.spans += more.spans;
            sum.critical_path += more.critical_path;
            sum.weighted += more.weighted;
            sum.unknown_weight += more.unknown_weight;
            sum.times.extend(more.times);
        }
    }

    /// Add the paths of one trace.
    pub fn add(&mut self, spans: &[Span], tree: &Tree) {
        self.find_entries(spans, tree);
        let mut path = std::mem::take(&mut self.path);
        let entries = tree.order().iter().copied().filter(|row| self.entry_of(*row) == *row);
        path.resolve_below(spans, tree, entries);
        for row in tree.order() {
            let entry = self.entry_of(*row);
            let (Some(span), Some(entry_span)) = (span_at(spans, *row), span_at(spans, entry)) else { continue };
            let weight = Some(entry_span.adjusted_count).filter(|weight| weight.is_finite());
            if entry == *row {
                self.count_request(entry_span, weight);
            }
            if path.is_on_path(*row) {
                self.count_span(span, path.share(*row), weight);
            }
        }
        self.path = path;
    }

    fn entry_of(&self, row: u32) -> u32 {
        self.entry_of.get(row as usize).copied().unwrap_or(NO_ROW)
    }

    /// For every row the entry point that it is below, or [`NO_ROW`].
    fn find_entries(&mut self, spans: &[Span], tree: &Tree) {
        self.entry_of.clear();
        self.entry_of.resize(spans.len(), NO_ROW);
        let wanted = |filter: Option<Code>, code: Code| filter.is_none_or(|filter| filter == code);
        let any = self.entry.service.is_none() && self.entry.name.is_none();
        for row in tree.order() {
            let Some(span) = span_at(spans, *row).filter(|_| !tree.is_repeated(*row)) else { continue };
            let parent = tree.parent(*row);
            let begins = if any {
                parent == NO_ROW
            } else {
                wanted(self.entry.service, span.service) && wanted(self.entry.name, span.name)
            };
            let entry = match self.entry_of(parent) {
                NO_ROW if begins => *row,
                above => above,
            };
            if let Some(slot) = self.entry_of.get_mut(*row as usize) {
                *slot = entry;
            }
        }
    }

    fn count_request(&mut self, entry: &Span, weight: Option<f64>) {
        self.totals.requests += 1;
        self.totals.duration += i128::from(entry.length());
        match weight {
            Some(weight) => self.totals.weighted_duration += weight * entry.length() as f64,
            None => self.totals.unknown_weight += 1,
        }
    }

    fn count_span(&mut self, span: &Span, share: i64, weight: Option<f64>) {
        let request = self.totals.requests;
        let sum = self.sums.entry((span.service, span.name)).or_default();
        sum.spans += 1;
        sum.critical_path += i128::from(share);
        sum.weighted += weight.unwrap_or(0.0) * share as f64;
        let is_first = sum.last_request != request;
        if is_first {
            sum.last_request = request;
            sum.requests += 1;
            sum.unknown_weight += u64::from(weight.is_none());
        }
        match sum.times.last_mut().filter(|_| !is_first) {
            Some(time) => *time = time.saturating_add(share),
            None if self.quantiles => sum.times.push(share),
            None => {}
        }
    }

    /// What the shares are shares of, and one row an operation, the largest first.
    #[must_use]
    pub fn finish(self, services: &Dictionary, names: &Dictionary) -> (OperationTotals, Vec<OperationShare>) {
        let mut rows: Vec<_> = self
            .sums
            .into_iter()
            .map(|((service, name), mut sum)| OperationShare {
                service: services.text(service).map(Into::into),
                operation: names.text(name).map(Into::into),
                requests: sum.requests,
                spans: sum.spans,
                critical_path: sum.critical_path,
                p50: quantile(&mut sum.times, 0.5),
                p99: quantile(&mut sum.times, 0.99),
                weighted_critical_path: sum.weighted,
                unknown_weight: sum.unknown_weight,
            })
            .collect();
        rows.sort_by(|a, b| {
            (b.critical_path, &a.service, &a.operation).cmp(&(a.critical_path, &b.service, &b.operation))
        });
        (self.totals, rows)
    }
}
