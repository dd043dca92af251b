//! Reads what the attribution of an incident looks at: spans, logs, resource metrics, changes and owners of a window.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use datafusion::arrow::array::{Array, RecordBatch, StringArray, StringBuilder};
use datafusion::common::ScalarValue;
use futures::StreamExt;

use super::question::{Question, SECOND};
use super::rows::{doubles, ints, text_at, texts, time_at, times};
use crate::attribution::anomaly::{Names, ResourceSeries};
use crate::attribution::change_scoring::Change;
use crate::attribution::detectors::{ActiveTime, Window};
use crate::attribution::load::Traffic;
use crate::attribution::version_changes::{Kind, Sighting, version_changes};
use crate::attribution::visits::{Evaluation, LogLine, NONE, Side, Span, Visits, Vocabulary};
use crate::config;
use crate::error::Result;
use crate::table_functions::{Call, timestamp};

/// Everything that was read.
#[derive(Debug, Default)]
pub(in crate::table_functions) struct Loaded {
    pub vocabulary: Vocabulary,
    pub spans: Vec<Span>,
    pub logs: Vec<LogLine>,
    pub flags: Vec<Evaluation>,
    pub resources: HashMap<u32, Vec<ResourceSeries>>,
    /// One of this many traces was read.
    pub sampled: u64,
    /// Trace id and span id of every span, if they are wanted.
    pub ids: Option<Ids>,
}

/// Trace ids and span ids.
pub(in crate::table_functions) type Ids = (StringBuilder, StringBuilder);

fn hash(trace: &str, span: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (trace, span).hash(&mut hasher);
    // 0 stands for no parent.
    hasher.finish().max(1)
}

/// How far back what is usual may begin.
pub(in crate::table_functions) fn furthest_start(question: &Question) -> i64 {
    let length = question.to.saturating_sub(question.from);
    let furthest = config::BASELINE_MAX_MICROS.min(config::BASELINE_MIN_MICROS.max(length.saturating_mul(4)));
    question.from.saturating_sub(furthest)
}

/// Whether there are spans of the service in the window.
pub(in crate::table_functions) async fn has_spans(call: &Call, question: &Question) -> Result<bool> {
    let sql = format!(
        "SELECT span_id FROM spans WHERE service_name = $service AND start_time >= $from AND start_time < $to{} LIMIT 1",
        question.environment_filter()
    );
    let mut parameters = question.parameters(question.from, question.to);
    parameters.push(("service", ScalarValue::Utf8(Some(question.service.clone()))));
    Ok(call.collect(&sql, parameters).await?.iter().any(|batch| batch.num_rows() > 0))
}

/// Where what is usual begins: far enough back for enough requests, not across a silence once there are enough, not
/// further than the settings say. None when there is nothing before the incident.
pub(in crate::table_functions) async fn baseline_start(call: &Call, question: &Question) -> Result<Option<i64>> {
    let sql = format!(
        "SELECT date_bin(interval '10 seconds', start_time) AS bin, count(DISTINCT trace_id) AS traces FROM spans \
         WHERE service_name = $service AND start_time >= $from AND start_time < $to{} GROUP BY 1 ORDER BY 1 DESC",
        question.environment_filter()
    );
    let mut parameters = question.parameters(furthest_start(question), question.from);
    parameters.push(("service", ScalarValue::Utf8(Some(question.service.clone()))));
    let mut bins: Vec<(i64, i64)> = Vec::new();
    for batch in call.collect(&sql, parameters).await? {
        let (starts, traces) = (times(&batch, 0)?, ints(&batch, 1)?);
        bins.extend((0..batch.num_rows()).map(|row| (starts.value(row), traces.value(row))));
    }
    Ok(walk_back(&bins))
}

/// The start of the oldest bin that belongs to the baseline; the bins come newest first.
fn walk_back(bins: &[(i64, i64)]) -> Option<i64> {
    let bin = 10 * SECOND;
    let (mut requests, mut active) = (0, 0);
    let mut oldest: Option<i64> = None;
    for (start, traces) in bins {
        let enough = requests >= config::BASELINE_REQUESTS && active >= config::BASELINE_ACTIVE_MICROS;
        if enough && oldest.is_some_and(|oldest| oldest - start > config::BASELINE_SILENCE_MICROS + bin) {
            break;
        }
        requests += traces;
        active += bin;
        oldest = Some(*start);
    }
    oldest
}

/// Read spans and logs from `from` to the end of the question, whole traces of a sample if there are too many.
pub(in crate::table_functions) async fn telemetry(
    call: &Call,
    question: &Question,
    from: i64,
    ids: bool,
) -> Result<Loaded> {
    let mut loaded = Loaded { sampled: 1, ids: ids.then(Ids::default), ..Loaded::default() };
    let count = format!(
        "SELECT count(*) FROM spans WHERE start_time >= $from AND start_time < $to{}",
        question.environment_filter()
    );
    for batch in call.collect(&count, question.parameters(from, question.to)).await? {
        let spans = ints(&batch, 0)?.iter().flatten().sum::<i64>();
        loaded.sampled = u64::try_from(spans).unwrap_or(0).div_ceil(config::ATTRIBUTION_SPANS).max(1);
    }
    let sql = format!(
        "SELECT trace_id, span_id, parent_span_id, span_name, span_kind, status_code, http_response_status_code, \
         service_name, service_version, tenant_id, coalesce(peer_service, CASE WHEN span_kind IN ('CLIENT', 'PRODUCER') \
         THEN coalesce(attributes['server.address'], attributes['db.system.name'], attributes['db.system'], \
         attributes['net.peer.name'], attributes['messaging.system']) END), \
         start_unix_nano, duration_nano, adjusted_count FROM spans \
         WHERE start_time >= $from AND start_time < $to{}",
        question.environment_filter()
    );
    let mut stream = call.query(&sql, question.parameters(from, question.to)).await?;
    while let Some(batch) = stream.next().await {
        loaded.take_spans(&batch?)?;
    }
    let sql = format!(
        "SELECT trace_id, span_id, service_name, severity_number, severity_text, body FROM logs \
         WHERE time >= $from AND time < $to AND span_id IS NOT NULL AND body IS NOT NULL{} \
         ORDER BY service_name, time, trace_id, span_id, body",
        question.environment_filter()
    );
    let mut stream = call.query(&sql, question.parameters(from, question.to)).await?;
    while let Some(batch) = stream.next().await {
        loaded.take_logs(&batch?)?;
    }
    let sql = format!(
        "SELECT trace_id, span_id, flag, variant FROM feature_usage WHERE time >= $from AND time < $to \
         AND flag IS NOT NULL AND variant IS NOT NULL{}",
        question.environment_filter()
    );
    let mut stream = call.query(&sql, question.parameters(from, question.to)).await?;
    while let Some(batch) = stream.next().await {
        loaded.take_flags(&batch?)?;
    }
    Ok(loaded)
}

impl Loaded {
    fn skips(&self, trace: &str) -> bool {
        self.sampled > 1 && !hash(trace, "").is_multiple_of(self.sampled)
    }

    fn take_spans(&mut self, batch: &RecordBatch) -> Result<()> {
        let text: Vec<StringArray> =
            (0..11).map(|at| if at == 6 { 5 } else { at }).map(|at| texts(batch, at)).collect::<Result<_>>()?;
        let statuses = ints(batch, 6)?;
        let (starts, durations, weights) = (ints(batch, 11)?, ints(batch, 12)?, doubles(batch, 13)?);
        let value = |at: usize, row: usize| text.get(at).and_then(|column| text_at(column, row));
        for row in 0..batch.num_rows() {
            let trace = value(0, row).unwrap_or("");
            let (Some(span), Some(service)) = (value(1, row), value(7, row)) else { continue };
            if starts.is_null(row) || self.skips(trace) {
                continue;
            }
            if let Some((traces, spans)) = &mut self.ids {
                traces.append_value(trace);
                spans.append_value(span);
            }
            let parent = value(2, row).filter(|parent| !parent.is_empty());
            let kind = value(4, row).unwrap_or("");
            let error = value(5, row) == Some("ERROR") || (!statuses.is_null(row) && statuses.value(row) >= 500);
            let words = &mut self.vocabulary;
            self.spans.push(Span {
                trace: hash(trace, ""),
                id: hash(trace, span),
                parent: parent.map_or(0, |parent| hash(trace, parent)),
                service: words.services.number(service),
                operation: words.operations.number(value(3, row).unwrap_or("")),
                version: value(8, row).map_or(NONE, |version| words.versions.number(version)),
                tenant: value(9, row).map_or(NONE, |tenant| words.tenants.number(tenant)),
                peer: value(10, row).map_or(NONE, |peer| words.services.number(peer)),
                side: if matches!(kind, "CLIENT" | "PRODUCER") { Side::Caller } else { Side::Other },
                error,
                start: starts.value(row),
                duration: if durations.is_null(row) { 0 } else { durations.value(row).max(0) },
                weight: if weights.is_null(row) { 1.0 } else { weights.value(row).max(1.0) as f32 },
            });
        }
        Ok(())
    }

    fn take_logs(&mut self, batch: &RecordBatch) -> Result<()> {
        let (traces, spans, services) = (texts(batch, 0)?, texts(batch, 1)?, texts(batch, 2)?);
        let (severities, names, bodies) = (ints(batch, 3)?, texts(batch, 4)?, texts(batch, 5)?);
        for row in 0..batch.num_rows() {
            let trace = text_at(&traces, row).unwrap_or("");
            let (Some(span), Some(body)) = (text_at(&spans, row), text_at(&bodies, row)) else { continue };
            if self.skips(trace) {
                continue;
            }
            let named = text_at(&names, row)
                .is_some_and(|name| matches!(name.to_ascii_uppercase().as_str(), "ERROR" | "FATAL" | "CRITICAL"));
            let error = if severities.is_null(row) { named } else { severities.value(row) >= 17 };
            let service = self.vocabulary.services.number(text_at(&services, row).unwrap_or(""));
            let template = self.vocabulary.templates.of((service, error), body);
            self.logs.push(LogLine { span: hash(trace, span), template, error });
        }
        Ok(())
    }
}

impl Loaded {
    fn take_flags(&mut self, batch: &RecordBatch) -> Result<()> {
        let text: Vec<StringArray> = (0..4).map(|at| texts(batch, at)).collect::<Result<_>>()?;
        let value = |at: usize, row: usize| text.get(at).and_then(|column| text_at(column, row));
        for row in 0..batch.num_rows() {
            let (Some(trace), Some(span), Some(flag), Some(variant)) =
                (value(0, row), value(1, row), value(2, row), value(3, row))
            else {
                continue;
            };
            if !self.skips(trace) {
                let words = &mut self.vocabulary;
                let (flag, variant) = (words.flags.number(flag), words.variants.number(variant));
                self.flags.push(Evaluation { span: hash(trace, span), flag, variant });
            }
        }
        Ok(())
    }
}

/// The flag that a change is about: it says so, or names one that was evaluated.
fn flag_of(flags: &Names, kind: &str, said: Option<&str>, title: Option<&str>) -> u32 {
    if kind != "feature_flag" {
        return NONE;
    }
    if let Some(flag) = said.and_then(|said| flags.find(said)) {
        return flag;
    }
    let word = |c: char| c.is_whitespace() || matches!(c, ':' | ',' | ';' | '"' | '\'' | '`' | '(' | ')' | '=');
    title.into_iter().flat_map(|title| title.split(word)).find_map(|word| flags.find(word)).unwrap_or(NONE)
}

/// Gauges of processors, memory and the like of all services, from an hour before the incident to its end.
pub(in crate::table_functions) async fn resources(call: &Call, question: &Question, loaded: &mut Loaded) -> Result<()> {
    let sql = format!(
        "SELECT service_name, metric_name, time, value FROM metric_points \
         WHERE time >= $from AND time < $to AND value IS NOT NULL AND service_name IS NOT NULL \
         AND (metric_kind = 'gauge' OR is_monotonic = false OR temporality = 'delta') \
         AND regexp_like(metric_name, 'cpu|memory|heap|gc|throttl|restart|oom|disk|filesystem|thread|connection|queue|lag|saturation'){}",
        question.environment_filter()
    );
    let from = question.from.saturating_sub(config::RESOURCE_BASELINE_MICROS);
    let mut known: HashMap<(u32, String), ResourceSeries> = HashMap::new();
    let to = question.to.saturating_add(config::RESOURCE_LAG_MICROS);
    let mut stream = call.query(&sql, question.parameters(from, to)).await?;
    while let Some(batch) = stream.next().await {
        let batch = batch?;
        let (services, metrics) = (texts(&batch, 0)?, texts(&batch, 1)?);
        let (at, values) = (times(&batch, 2)?, doubles(&batch, 3)?);
        for row in 0..batch.num_rows() {
            let Some(time) = time_at(&at, row) else { continue };
            let service = loaded.vocabulary.services.number(services.value(row));
            let metric = metrics.value(row);
            let series = known
                .entry((service, metric.to_owned()))
                .or_insert_with(|| ResourceSeries { metric: metric.to_owned(), ..ResourceSeries::default() });
            let side = if time < question.from { &mut series.before } else { &mut series.during };
            side.push(values.value(row));
        }
    }
    let mut sorted: Vec<_> = known.into_iter().collect();
    sorted.sort_by(|a, b| a.0.cmp(&b.0));
    for ((service, _), series) in sorted {
        loaded.resources.entry(service).or_default().push(series);
    }
    Ok(())
}

/// The statement that selects recorded changes: one row a change, however many of its states were recorded. Begin and end
/// are expressions.
pub(super) fn changes_query(from: &str, to: &str, filter: &str) -> String {
    format!(
        "SELECT change_id, min(kind) AS kind, min(service_name) AS service_name, min(version) AS version, \
         min(coalesce(started_at, finished_at)) AS began, \
         bool_or(status = 'succeeded' OR status IS NULL OR status = 'started') \
           AND NOT bool_or(status IN ('failed', 'cancelled')) AS fine, \
         min(attributes['feature_flag.key']) AS flag, min(title) AS title \
         FROM changes WHERE coalesce(started_at, finished_at) >= {from} AND coalesce(started_at, finished_at) < {to} \
         AND change_id IS NOT NULL{filter} GROUP BY change_id ORDER BY began DESC, change_id LIMIT {}",
        config::CANDIDATE_CHANGES
    )
}

/// Recorded changes that were complete or begun before the end of the incident, and versions that changed unrecorded.
pub(in crate::table_functions) async fn changes(
    call: &Call,
    question: &Question,
    loaded: &mut Loaded,
) -> Result<Vec<Change>> {
    let sql = changes_query("$from", "$to", question.environment_filter());
    let from = question.from.saturating_sub(config::CHANGE_LOOKBACK_MICROS);
    let mut changes = Vec::new();
    for batch in call.collect(&sql, question.parameters(from, question.to)).await? {
        let text: Vec<StringArray> = (0..4).map(|at| texts(&batch, at)).collect::<Result<_>>()?;
        let (began, fine) = (times(&batch, 4)?, texts(&batch, 5)?);
        let (flags, titles) = (texts(&batch, 6)?, texts(&batch, 7)?);
        let value = |at: usize, row: usize| text.get(at).and_then(|column| text_at(column, row));
        for row in 0..batch.num_rows() {
            let (Some(id), Some(time)) = (value(0, row), time_at(&began, row)) else { continue };
            let words = &mut loaded.vocabulary;
            let kind = value(1, row).unwrap_or("other").to_owned();
            changes.push(Change {
                id: id.to_owned(),
                flag: flag_of(&words.flags, &kind, text_at(&flags, row), text_at(&titles, row)),
                kind,
                service: value(2, row).map_or(NONE, |service| words.services.number(service)),
                version: value(3, row).map_or(NONE, |version| words.versions.number(version)),
                time,
                succeeded: text_at(&fine, row) != Some("false"),
                recorded: true,
            });
        }
    }
    let derived = derived_changes(loaded, &changes);
    changes.extend(derived);
    Ok(changes)
}

/// Versions that came up in the spans with no recorded change to explain them.
fn derived_changes(loaded: &Loaded, recorded: &[Change]) -> Vec<Change> {
    const BIN: i64 = 30_000_000_000;
    let mut seen: HashMap<(u32, i64, u32), (i64, i64, f64)> = HashMap::new();
    for span in loaded.spans.iter().filter(|span| span.version != NONE) {
        let sighting =
            seen.entry((span.service, span.start.div_euclid(BIN), span.version)).or_insert((i64::MAX, i64::MIN, 0.0));
        sighting.0 = sighting.0.min(span.start / 1000);
        sighting.1 = sighting.1.max(span.start / 1000);
        sighting.2 += 1.0;
    }
    let words = &loaded.vocabulary;
    let rows = seen.into_iter().map(|((service, bin, version), (first, last, spans))| {
        (service, bin, Sighting { version: words.versions.text(version).to_owned(), first, last, spans })
    });
    let mut derived = Vec::new();
    for (service, sightings) in crate::attribution::version_changes::by_service(rows.collect()) {
        for change in version_changes(&sightings).into_iter().filter(|change| change.kind != Kind::Initial) {
            let version = words.versions.find(&change.to_version).unwrap_or(NONE);
            let known = recorded.iter().any(|known| {
                known.service == service && (known.time - change.time).abs() < config::CHANGE_MATCH_MICROS
            });
            let id = format!("{}@{}", words.services.text(service), change.to_version);
            if !known && derived.iter().all(|other: &Change| other.id != id) {
                derived.push(Change {
                    id,
                    kind: change.kind.name().to_owned(),
                    service,
                    version,
                    flag: NONE,
                    time: change.time,
                    succeeded: true,
                    recorded: false,
                });
            }
        }
    }
    derived
}

/// Traces a second by service and tenant, before and during, of everything that was read; under [`NONE`] of all services.
pub(in crate::table_functions) fn traffic(visits: &Visits, window: &Window) -> HashMap<u32, Traffic> {
    let mut seen: HashSet<(u32, bool, u64)> = HashSet::new();
    let mut tenants: HashMap<u64, u32> = HashMap::new();
    for visit in visits.all.iter().filter(|visit| visit.tenant != NONE) {
        tenants.entry(visit.trace).or_insert(visit.tenant);
    }
    let mut traffic: HashMap<u32, Traffic> = HashMap::new();
    let mut active = (ActiveTime::default(), ActiveTime::default());
    for visit in &visits.all {
        let before = visit.start >= window.before && visit.start < window.until;
        let during = visit.start >= window.from && visit.start < window.to;
        if before {
            active.0.add(visit.start);
        }
        if during {
            active.1.add(visit.start);
        }
        if !(before || during) {
            continue;
        }
        // NONE stands for the whole system; a trace counts once, however often a service was retried in it.
        for service in [visit.service, NONE] {
            if !seen.insert((service, before, visit.trace)) {
                continue;
            }
            let service = traffic.entry(service).or_default();
            let tenant = tenants.get(&visit.trace).copied().unwrap_or(NONE);
            let tenant = service.tenants.entry(tenant).or_default();
            if before {
                service.before += visit.weight;
                service.seen.0 += 1.0;
                tenant.0 += visit.weight;
            } else {
                service.during += visit.weight;
                service.seen.1 += 1.0;
                tenant.1 += visit.weight;
            }
        }
    }
    let (before, during) = (active.0.seconds(), active.1.seconds());
    for service in traffic.values_mut() {
        service.before /= before;
        service.during /= during;
        for tenant in service.tenants.values_mut() {
            *tenant = (tenant.0 / before, tenant.1 / during);
        }
    }
    traffic
}

/// Who owned each service at a time: the primary owner with the largest weight.
pub(in crate::table_functions) async fn owners(call: &Call, at: i64) -> Result<HashMap<String, String>> {
    let sql = "SELECT entity, owner FROM ownership WHERE entity_kind = 'service' AND valid_from <= $at \
               AND (valid_to IS NULL OR valid_to > $at) AND owner IS NOT NULL \
               ORDER BY entity, CASE WHEN role = 'secondary' THEN 1 ELSE 0 END, weight DESC NULLS LAST, owner";
    let mut owners = HashMap::new();
    for batch in call.collect(sql, vec![("at", timestamp(at))]).await? {
        let (entities, names) = (texts(&batch, 0)?, texts(&batch, 1)?);
        for row in 0..batch.num_rows() {
            if let (Some(entity), Some(owner)) = (text_at(&entities, row), text_at(&names, row)) {
                owners.entry(entity.to_owned()).or_insert_with(|| owner.to_owned());
            }
        }
    }
    Ok(owners)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_is_known_by_its_key_or_by_the_title_of_the_change() {
        let mut flags = Names::default();
        let key = flags.number("cart.fast-path");
        assert_eq!(flag_of(&flags, "feature_flag", Some("cart.fast-path"), None), key);
        assert_eq!(flag_of(&flags, "feature_flag", None, Some("cart.fast-path: on for 40 %")), key);
        assert_eq!(flag_of(&flags, "feature_flag", None, Some("cart.fast-path-2: on")), NONE);
        assert_eq!(flag_of(&flags, "deploy", Some("cart.fast-path"), None), NONE);
    }

    #[test]
    fn the_baseline_stops_at_a_silence_once_it_is_long_enough() {
        let bins = |from: i64, to: i64| (from..to).rev().map(|bin| (bin * 10 * SECOND, 10));
        let two: Vec<_> = bins(100, 108).chain(bins(20, 60)).collect();
        assert_eq!(walk_back(&two), Some(1000 * SECOND));
        let short: Vec<_> = bins(100, 103).chain(bins(90, 97)).collect();
        assert_eq!(walk_back(&short), Some(900 * SECOND), "too short to stop at a silence");
        assert_eq!(walk_back(&[]), None);
    }
}
