//! Reads what is known of services by their metrics: durations at the serving and at the calling side, and the counters
//! of a service graph, by the names that OpenTelemetry's conventions and its collector's connectors use.

use std::collections::{BTreeMap, HashMap, HashSet};

use datafusion::arrow::array::{Array, Float64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use datafusion::common::ScalarValue;
use futures::StreamExt;

use super::question::Question;
use super::rows::{doubles, literal, text_at, texts, time_at, times};
use crate::attribution::anomaly::Names;
use crate::attribution::load::Traffic;
use crate::attribution::metric_blame::{Link, Measured, Point, Span};
use crate::error::Result;
use crate::table_functions::Call;

/// Durations measured by the service that served.
const SERVER: [&str; 7] = [
    "http.server.request.duration",
    "http.server.duration",
    "rpc.server.call.duration",
    "rpc.server.duration",
    "messaging.process.duration",
    "traces.span.metrics.duration",
    "traces_span_metrics_duration_seconds",
];

/// Durations measured by the service that called; the callee is an attribute.
const CLIENT: [&str; 6] = [
    "http.client.request.duration",
    "http.client.duration",
    "rpc.client.call.duration",
    "rpc.client.duration",
    "db.client.operation.duration",
    "messaging.client.operation.duration",
];

/// The service graph connector: calls, failed calls and their durations at the serving side, by `client` and `server`.
const GRAPH: [&str; 4] = [
    "traces_service_graph_request_total",
    "traces_service_graph_request_failed_total",
    "traces_service_graph_request_server",
    "traces_service_graph_request_server_seconds",
];

/// How a client metric names whom it called.
const CALLEE: &str = "coalesce(attributes['service.peer.name'], attributes['peer.service'], attributes['server.address'], \
                      attributes['db.system.name'], attributes['db.system'], attributes['messaging.system'])";

/// Spans that are summed up by the span metrics connector say their service and kind in attributes.
const SERVING: &str =
    "coalesce(attributes['span.kind'], 'SPAN_KIND_SERVER') IN ('SPAN_KIND_SERVER', 'SPAN_KIND_CONSUMER')";

/// What a failed request's point says of it.
const FAILED: &str = "(attributes['error.type'] IS NOT NULL OR coalesce(attributes['http.response.status_code'], \
                      attributes['http.status_code'], '') LIKE '5__' OR attributes['status.code'] = 'STATUS_CODE_ERROR')";

/// Services by their metrics, and who calls whom.
#[derive(Debug, Default)]
pub(in crate::table_functions) struct Metrics {
    pub services: Vec<Measured>,
    pub links: Vec<Link>,
    /// The condition that selects the points of a service.
    pub filters: HashMap<u32, String>,
}

fn list(names: &[&str]) -> String {
    names.iter().map(|name| literal(name)).collect::<Vec<_>>().join(", ")
}

/// Condition for the points that a service, or its callers, measured of it; the parameter is a literal.
fn own(service: &str) -> String {
    format!(
        "metric_name IN ({}) AND coalesce(attributes['service.name'], service_name) = {service} AND {SERVING}",
        list(&SERVER)
    )
}

fn in_graph(service: &str) -> String {
    format!("metric_name IN ({}) AND attributes['server'] = {service}", list(&GRAPH))
}

fn by_callers(service: &str) -> String {
    format!("metric_name IN ({}) AND {CALLEE} = {service}", list(&CLIENT))
}

/// Whether anything is known of the service's requests in the window from its metrics.
pub(in crate::table_functions) async fn known(call: &Call, question: &Question) -> Result<bool> {
    let sql = format!(
        "SELECT time FROM metric_points WHERE time >= $from AND time < $to AND ({} OR {}){} LIMIT 1",
        own("$service"),
        in_graph("$service"),
        question.environment_filter()
    );
    let mut parameters = question.parameters(question.from, question.to);
    parameters.push(("service", ScalarValue::Utf8(Some(question.service.clone()))));
    Ok(call.collect(&sql, parameters).await?.iter().any(|batch| batch.num_rows() > 0))
}

/// Read the request metrics of all services from `from` to the end of the question.
pub(in crate::table_functions) async fn read(
    call: &Call,
    question: &Question,
    from: i64,
    words: &mut Names,
) -> Result<Metrics> {
    let sql = format!(
        "SELECT metric_name, CASE WHEN metric_name IN ({graph}) THEN attributes['client'] \
           ELSE coalesce(attributes['service.name'], service_name) END AS caller, \
         CASE WHEN metric_name IN ({graph}) THEN attributes['server'] WHEN metric_name IN ({client}) THEN {CALLEE} END AS callee, \
         CASE WHEN attributes['virtual_node'] IS NOT NULL OR attributes['connection_type'] = 'virtual_node' THEN 'virtual' END, \
         CASE WHEN {FAILED} THEN 'failed' END, \
         CASE WHEN temporality = 'cumulative' THEN concat_ws('|', service_name, \
           array_to_string(map_keys(attributes), ','), array_to_string(map_values(attributes), ','), \
           array_to_string(map_values(resource_attributes), ',')) END AS series, \
         time, value, CAST(count AS double), \
         sum / CASE unit WHEN 'ms' THEN 1e3 WHEN 'us' THEN 1e6 ELSE 1e0 END \
         FROM metric_points WHERE time >= $from AND time < $to AND (metric_name IN ({graph}) OR metric_name IN ({client}) \
         OR (metric_name IN ({server}) AND {SERVING})){environment} ORDER BY time",
        graph = list(&GRAPH),
        client = list(&CLIENT),
        server = list(&SERVER),
        environment = question.environment_filter(),
    );
    let mut reader = Reader::default();
    let mut stream = call.query(&sql, question.parameters(from, question.to)).await?;
    while let Some(batch) = stream.next().await {
        reader.take(&batch?, question.from, words)?;
    }
    Ok(reader.finish(words))
}

/// Points of one service by who measured them.
#[derive(Debug, Default)]
struct Sources {
    own: Vec<Point>,
    graph: Vec<Point>,
    callers: Vec<Point>,
    inferred: bool,
}

#[derive(Debug, Default)]
struct Reader {
    services: BTreeMap<u32, Sources>,
    /// Calls by the service graph, and by client metrics.
    graph: BTreeMap<(u32, u32), f64>,
    clients: BTreeMap<(u32, u32), f64>,
    /// Last value, count and sum of a cumulative series.
    last: HashMap<(String, String), [f64; 3]>,
}

struct Columns {
    text: Vec<StringArray>,
    time: TimestampMicrosecondArray,
    numbers: Vec<Float64Array>,
}

impl Reader {
    fn take(&mut self, batch: &RecordBatch, incident: i64, words: &mut Names) -> Result<()> {
        let columns = Columns {
            text: (0..6).map(|at| texts(batch, at)).collect::<Result<_>>()?,
            time: times(batch, 6)?,
            numbers: (7..10).map(|at| doubles(batch, at)).collect::<Result<_>>()?,
        };
        for row in 0..batch.num_rows() {
            self.row(&columns, row, incident, words);
        }
        Ok(())
    }

    fn row(&mut self, columns: &Columns, row: usize, incident: i64, words: &mut Names) {
        let text = |at: usize| columns.text.get(at).and_then(|column| text_at(column, row));
        let (Some(metric), Some(time)) = (text(0), time_at(&columns.time, row)) else { return };
        let (caller, callee) = (text(1).map(|name| words.number(name)), text(2).map(|name| words.number(name)));
        let now: [f64; 3] = std::array::from_fn(|at| {
            columns.numbers.get(at).filter(|column| !column.is_null(row)).map_or(0.0, |column| column.value(row))
        });
        // A counter that starts over has counted from 0.
        let [value, count, sum] = match text(5) {
            Some(series) => match self.last.insert((metric.to_owned(), series.to_owned()), now) {
                Some(last) if now.iter().zip(last).all(|(now, last)| *now >= last) => {
                    std::array::from_fn(|at| now[at] - last[at])
                }
                Some(_) => now,
                None => [0.0; 3],
            },
            None => now,
        };
        let failed = if text(4).is_some() { count } else { 0.0 };
        let has_sum = columns.numbers.get(2).is_some_and(|column| !column.is_null(row));
        let known = if has_sum { count } else { 0.0 };
        let timed = Point { time, requests: count, failed, timed: known, seconds: sum };
        let calls = if time >= incident { value.max(count) } else { 0.0 };
        if GRAPH.contains(&metric) {
            let Some(callee) = callee else { return };
            let source = self.services.entry(callee).or_default();
            source.inferred |= text(3).is_some();
            source.graph.push(match metric {
                "traces_service_graph_request_total" => Point { time, requests: value, ..Point::default() },
                "traces_service_graph_request_failed_total" => Point { time, failed: value, ..Point::default() },
                _ => Point { time, timed: known, seconds: sum, ..Point::default() },
            });
            if let Some(caller) = caller.filter(|caller| *caller != callee) {
                let counts = metric == "traces_service_graph_request_total";
                *self.graph.entry((caller, callee)).or_default() += if counts { calls } else { 0.0 };
            }
        } else if CLIENT.contains(&metric) {
            let (Some(caller), Some(callee)) = (caller, callee) else { return };
            self.services.entry(callee).or_default().callers.push(timed);
            if caller != callee {
                *self.clients.entry((caller, callee)).or_default() += calls;
            }
        } else if let Some(service) = caller {
            self.services.entry(service).or_default().own.push(timed);
        }
    }

    /// What a service says of itself counts before the graph, and that before what its callers say.
    fn finish(self, words: &Names) -> Metrics {
        let mut metrics = Metrics::default();
        for (service, sources) in self.services {
            let name = literal(words.text(service));
            let counted = |points: &[Point]| points.iter().any(|point| point.requests + point.timed > 0.0);
            let (points, filter, inferred) = if counted(&sources.own) {
                (sources.own, own(&name), false)
            } else if counted(&sources.graph) || sources.callers.is_empty() {
                (sources.graph, in_graph(&name), sources.inferred)
            } else {
                (sources.callers, by_callers(&name), true)
            };
            metrics.filters.insert(service, filter);
            metrics.services.push(Measured { service, inferred, points });
        }
        let in_graph: HashSet<(u32, u32)> = self.graph.keys().copied().collect();
        let both = self.graph.into_iter().chain(self.clients.into_iter().filter(|(edge, _)| !in_graph.contains(edge)));
        metrics.links = both.map(|((caller, callee), calls)| Link { caller, callee, calls }).collect();
        metrics
    }
}

/// Requests a second by service, before and during.
pub(in crate::table_functions) fn traffic(services: &[Measured], span: &Span) -> HashMap<u32, Traffic> {
    let total = |measured: &Measured, from: i64, to: i64| {
        let inside = measured.points.iter().filter(|point| point.time >= from && point.time < to);
        inside.map(|point| point.requests.max(point.timed)).sum::<f64>()
    };
    let seconds = |from: i64, to: i64| ((to - from) as f64 / 1e6).max(1.0);
    // Where measuring began later than the time before the incident, nothing is known of what came before it.
    let first = services.iter().flat_map(|measured| &measured.points).map(|point| point.time).min();
    let begin = first.map_or(span.before, |first| first.clamp(span.before, span.until));
    let of = |measured: &Measured| {
        let seen = (total(measured, begin, span.until), total(measured, span.from, span.to));
        let (before, during) = (seen.0 / seconds(begin, span.until), seen.1 / seconds(span.from, span.to));
        Traffic { before, during, seen, tenants: HashMap::new() }
    };
    services.iter().map(|measured| (measured.service, of(measured))).collect()
}
