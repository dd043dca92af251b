//! Traced demand: whose work a service does, measured as self time along call chains.

use std::collections::HashMap;

use super::allocation::{Consumer, Consumption};

/// Longest way up from a span that is walked; a deeper chain counts for the span where the walk ended.
const MAX_WALK: usize = 100_000;

/// What demand needs of a span.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct DemandSpan<'a> {
    /// Trace id.
    pub trace_id: &'a str,
    /// Span id.
    pub span_id: &'a str,
    /// Span id of the parent.
    pub parent_span_id: Option<&'a str>,
    /// Service.
    pub service: Option<&'a str>,
    /// Tenant.
    pub tenant: Option<&'a str>,
    /// Start, nanoseconds.
    pub start: i64,
    /// Duration, nanoseconds.
    pub duration: i64,
    /// How many spans it stands for; none when unknown.
    pub weight: Option<f64>,
}

/// Weighted self time (nanoseconds) that `service` spent, by who asked for it: the service of the first span of the
/// call chain, or the tenant of the span or else of the nearest one above it.
///
/// Self time is the time in which no child of the span ran. A span whose parent is missing is the first of its chain.
/// Where the sampling weight is unknown a span stands for itself, which is right when all are unknown.
#[must_use]
pub fn demand(spans: &[DemandSpan<'_>], service: &str, by: Consumer) -> Vec<Consumption> {
    let mut ids: HashMap<(&str, &str), usize> = HashMap::with_capacity(spans.len());
    for (at, span) in spans.iter().enumerate() {
        ids.entry((span.trace_id, span.span_id)).or_insert(at);
    }
    let parent =
        |span: &DemandSpan<'_>| span.parent_span_id.and_then(|parent| ids.get(&(span.trace_id, parent)).copied());
    let mut children: HashMap<usize, Vec<(i64, i64)>> = HashMap::new();
    for (at, span) in spans.iter().enumerate() {
        let Some(above) = parent(span).filter(|above| *above != at) else { continue };
        if spans.get(above).is_some_and(|above| above.service == Some(service)) {
            children.entry(above).or_default().push((span.start, span.start.saturating_add(span.duration.max(0))));
        }
    }
    let mut consumed: HashMap<Option<&str>, f64> = HashMap::new();
    for (at, span) in spans.iter().enumerate().filter(|(_, span)| span.service == Some(service)) {
        let own = self_time(span, children.remove(&at).unwrap_or_default());
        let consumer = consumer(spans, at, by, parent);
        *consumed.entry(consumer).or_default() += own as f64 * span.weight.unwrap_or(1.0);
    }
    let mut consumed: Vec<Consumption> = consumed
        .into_iter()
        .map(|(consumer, quantity)| Consumption { consumer: consumer.map(str::to_owned), quantity })
        .collect();
    consumed.sort_by(|a, b| a.consumer.cmp(&b.consumer));
    consumed
}

fn consumer<'a>(
    spans: &[DemandSpan<'a>],
    at: usize,
    by: Consumer,
    parent: impl Fn(&DemandSpan<'_>) -> Option<usize>,
) -> Option<&'a str> {
    let mut at = at;
    let mut last = None;
    // A circle of parents ends like a chain that is too deep.
    for _ in 0..MAX_WALK.min(spans.len()) {
        let span = spans.get(at)?;
        match by {
            Consumer::Tenant if span.tenant.is_some() => return span.tenant,
            Consumer::Tenant => {}
            Consumer::Service => last = span.service.or(last),
        }
        let Some(above) = parent(span) else { break };
        at = above;
    }
    last
}

/// The duration without the time in which any child ran.
fn self_time(span: &DemandSpan<'_>, mut children: Vec<(i64, i64)>) -> i64 {
    let end = span.start.saturating_add(span.duration.max(0));
    children.sort_unstable();
    let (mut covered, mut until) = (0i64, span.start);
    for (from, to) in children {
        let (from, to) = (from.max(until), to.min(end));
        if to > from {
            covered += to - from;
            until = to;
        }
    }
    end - span.start - covered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span<'a>(id: &'a str, parent: Option<&'a str>, service: &'a str, start: i64, duration: i64) -> DemandSpan<'a> {
        DemandSpan {
            trace_id: "t",
            span_id: id,
            parent_span_id: parent,
            service: Some(service),
            start,
            duration,
            ..DemandSpan::default()
        }
    }

    fn found(spans: &[DemandSpan<'_>], by: Consumer) -> Vec<(Option<String>, f64)> {
        demand(spans, "db", by).into_iter().map(|found| (found.consumer, found.quantity)).collect()
    }

    #[test]
    fn self_time_goes_to_the_beginning_of_the_chain() {
        let spans = [
            span("a", None, "shop", 0, 100),
            span("b", Some("a"), "cart", 10, 80),
            DemandSpan { weight: Some(4.0), ..span("c", Some("b"), "db", 20, 50) },
            // Parallel children that overlap cover their union, clipped to the parent.
            span("d", Some("c"), "disk", 30, 20),
            span("e", Some("c"), "disk", 40, 1000),
            span("f", Some("gone"), "db", 0, 7),
            DemandSpan { trace_id: "u", ..span("a", None, "batch", 0, 10) },
            DemandSpan { trace_id: "u", ..span("b", Some("a"), "db", 0, 5) },
        ];
        let expected = [("batch", 5.0), ("db", 7.0), ("shop", 40.0)].map(|(who, much)| (Some(who.to_owned()), much));
        assert_eq!(found(&spans, Consumer::Service), expected);
    }

    #[test]
    fn the_nearest_tenant_counts_and_none_is_none() {
        let spans = [
            DemandSpan { tenant: Some("t1"), ..span("a", None, "shop", 0, 100) },
            DemandSpan { tenant: Some("t2"), ..span("b", Some("a"), "cart", 0, 100) },
            span("c", Some("b"), "db", 0, 10),
            span("d", Some("a"), "db", 50, 20),
            DemandSpan { trace_id: "u", ..span("a", None, "db", 0, 3) },
        ];
        let expected =
            [(None, 3.0), (Some("t1"), 20.0), (Some("t2"), 10.0)].map(|(who, much)| (who.map(str::to_owned), much));
        assert_eq!(found(&spans, Consumer::Tenant), expected);
    }

    #[test]
    fn circles_and_spans_of_negative_length_end() {
        let spans =
            [span("a", Some("b"), "db", 0, 10), span("b", Some("a"), "db", 0, -5), span("c", Some("c"), "db", 0, 1)];
        let total: f64 = found(&spans, Consumer::Service).iter().map(|(_, quantity)| quantity).sum();
        assert!((total - 11.0).abs() < 1e-9, "{total}");
    }
}
