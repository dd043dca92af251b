//! What the telemetry says about an incident, before anybody is blamed.

use std::collections::HashMap;

use super::load::{self, Loaded};
use super::metrics;
use super::question::Question;
use super::reasons::Measurements;
use crate::attribution::change_scoring::Change;
use crate::attribution::detectors::{self, Findings, Window};
use crate::attribution::load::Traffic;
use crate::attribution::metric_blame::{self, Span};
use crate::attribution::visits::{self, NONE, Visits};
use crate::config;
use crate::error::Result;
use crate::table_functions::Call;

/// What was learned about an incident, from traces or from metrics.
#[derive(Debug)]
pub(in crate::table_functions) struct Learned {
    pub loaded: Loaded,
    /// What each service did for each request; empty where there are no traces.
    pub visits: Visits,
    pub changes: Vec<Change>,
    pub window: Window,
    pub findings: Findings,
    pub traffic: HashMap<u32, Traffic>,
    /// What the metrics say, where there are no traces.
    pub measured: Option<Measurements>,
    /// Share of the spans that are part of an unbroken trace.
    pub complete: f64,
}

/// Learn from traces or, where the service has none, from metrics. `ids` keeps the ids of spans.
///
/// # Errors
/// When a query fails.
pub(in crate::table_functions) async fn learn(call: &Call, question: &Question, ids: bool) -> Result<Learned> {
    let traced = load::has_spans(call, question).await? || !metrics::known(call, question).await?;
    if traced { from_traces(call, question, ids).await } else { from_metrics(call, question).await }
}

/// Without any data before the incident, the first quarter of it has to stand for what is usual.
fn stretches(question: &Question, start: Option<i64>) -> Window {
    let (start, from) = match start {
        Some(start) => (start, question.from),
        None => (question.from, question.from.saturating_add((question.to - question.from) / 4)),
    };
    let guard = config::ONSET_GUARD_MICROS.min((from - start) / 6);
    Window {
        before: start.saturating_mul(1000),
        until: (from - guard).saturating_mul(1000),
        from: from.saturating_mul(1000),
        to: question.to.saturating_mul(1000),
    }
}

async fn from_traces(call: &Call, question: &Question, ids: bool) -> Result<Learned> {
    let start = load::baseline_start(call, question).await?;
    let window = stretches(question, start);
    let mut loaded = load::telemetry(call, question, start.unwrap_or(question.from), ids).await?;
    load::resources(call, question, &mut loaded).await?;
    let changes = load::changes(call, question, &mut loaded).await?;
    let alerting = loaded.vocabulary.services.find(&question.service);
    let visits = visits::fold(&loaded.spans, &loaded.logs, &loaded.flags, Some(alerting.unwrap_or(NONE)));
    let traffic = load::traffic(&visits, &window);
    let findings = detectors::detect(&visits, &loaded.vocabulary, &window, question.signal, &loaded.resources);
    let complete = 1.0 - visits.malformed as f64 / loaded.spans.len().max(1) as f64;
    Ok(Learned { loaded, visits, changes, window, findings, traffic, measured: None, complete })
}

async fn from_metrics(call: &Call, question: &Question) -> Result<Learned> {
    let start = load::furthest_start(question);
    let window = stretches(question, Some(start));
    let mut loaded = Loaded { sampled: 1, ..Loaded::default() };
    let metrics = metrics::read(call, question, start, &mut loaded.vocabulary.services).await?;
    load::resources(call, question, &mut loaded).await?;
    let changes = load::changes(call, question, &mut loaded).await?;
    let alerting = loaded.vocabulary.services.number(&question.service);
    let micros = |nanos: i64| nanos / 1000;
    let span = Span {
        before: micros(window.before),
        until: micros(window.until),
        from: micros(window.from),
        to: micros(window.to),
    };
    let traffic = metrics::traffic(&metrics.services, &span);
    let found = metric_blame::find(&metrics.services, &metrics.links, alerting, &span, question.signal);
    let measured = Measurements { unusual: found.unusual, errors: found.errors, filters: metrics.filters };
    let (findings, measured) = (found.findings, Some(measured));
    let visits = Visits::default();
    Ok(Learned { loaded, visits, changes, window, findings, traffic, measured, complete: 1.0 })
}
