//! What a server counts of itself: `GET /metrics` of the port that receives telemetry, in the text format of OpenMetrics
//! (<https://prometheus.io/docs/specs/om/open_metrics_spec/>), which Prometheus reads.

use std::collections::BTreeMap;
use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::catalog::client::Connections;
use crate::database::Database;
use crate::error::{Result, UserError, sqlstate};
use crate::ingest::buffer::Buffer;
use crate::server::pgwire::Admission;

/// The media type of what [`render`] writes.
pub(super) const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Bounds of the classes of durations, seconds.
const DURATIONS: [f64; 13] = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    sqlstate: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct State {
    state: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Endpoint {
    source: String,
    endpoint: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Version {
    version: String,
}

/// What is counted of the statements and connections of a server.
#[derive(Debug)]
pub struct Meters {
    connections: Arc<Connections>,
    admission: Arc<Admission>,
    accepted: Counter,
    refused: Counter,
    statements: Family<Outcome, Counter>,
    durations: Histogram,
    rows: Counter,
}

impl Meters {
    pub(super) fn new(connections: &Arc<Connections>, admission: &Arc<Admission>) -> Self {
        Self {
            connections: Arc::clone(connections),
            admission: Arc::clone(admission),
            accepted: Counter::default(),
            refused: Counter::default(),
            statements: Family::default(),
            durations: Histogram::new(DURATIONS),
            rows: Counter::default(),
        }
    }

    /// A client was let in, or not.
    pub(super) fn login(&self, admitted: bool) {
        if admitted {
            self.accepted.inc()
        } else {
            self.refused.inc()
        };
    }

    /// A statement has ended.
    pub(super) fn ended(&self, sqlstate: &str, micros: i64, rows: Option<i64>) {
        self.statements.get_or_create(&Outcome { sqlstate: sqlstate.to_owned() }).inc();
        // A statement of a duration that a double cannot hold has not been seen.
        self.durations.observe(std::time::Duration::from_micros(micros.unsigned_abs()).as_secs_f64());
        self.rows.inc_by(rows.and_then(|rows| u64::try_from(rows).ok()).unwrap_or(0));
    }

    fn register(&self, registry: &mut Registry) {
        let mut states: BTreeMap<&str, i64> =
            [("active", 0), ("idle", 0), ("idle in transaction", 0), ("idle in transaction (aborted)", 0)].into();
        for activity in self.connections.read().values() {
            *states.entry(activity.state).or_default() += 1;
        }
        let open = Family::<State, Gauge>::default();
        for (state, count) in states {
            open.get_or_create(&State { state: state.to_owned() }).set(count);
        }
        registry.register("connections", "Connections of clients by their state", open);
        let waiting = Gauge::<i64>::default();
        waiting.set(i64::try_from(self.admission.waiting()).unwrap_or(i64::MAX));
        registry.register("statements_waiting", "Statements that wait for others to end", waiting);
        registry.register("logins", "Clients that were let in", self.accepted.clone());
        registry.register("logins_refused", "Clients that were not let in", self.refused.clone());
        registry.register("statements", "Statements that have ended, by SQLSTATE", self.statements.clone());
        let help = "How long statements took";
        registry.register_with_unit("statement_duration", help, Unit::Seconds, self.durations.clone());
        registry.register("rows_sent", "Rows that statements sent or wrote", self.rows.clone());
    }
}

/// What all of it is at this moment.
///
/// # Errors
/// When it cannot be written, which is a defect of ours.
pub(super) fn render(meters: Option<&Meters>, buffer: &Buffer, database: &Database) -> Result<String> {
    let mut registry = Registry::with_prefix("ascribe");
    let build = Family::<Version, Gauge>::default();
    build.get_or_create(&Version { version: env!("CARGO_PKG_VERSION").to_owned() }).set(1);
    registry.register("build_info", "The version of the server", build);
    if let Some(meters) = meters {
        meters.register(&mut registry);
    }
    let (reserved, limit) = database.memory();
    let mut gauge = |name: &str, help: &str, value: usize| {
        let gauge = Gauge::<i64>::default();
        gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        registry.register_with_unit(name, help, Unit::Bytes, gauge);
    };
    gauge("memory_reserved", "Memory that queries have of what they share", reserved);
    gauge("memory_limit", "Memory that queries share", limit);
    let sent_away = Counter::<u64>::default();
    sent_away.inc_by(buffer.sent_away());
    registry.register("ingest_sent_away", "Requests that found no room and are to come again", sent_away);
    let totals = [
        ("ingest_requests", "Requests that were received"),
        ("ingest_rows", "Rows that landed"),
        ("ingest_rejected", "Records that did not land, and requests that were refused"),
        ("ingest_received_bytes", "Bytes of requests, decompressed"),
    ];
    let families = totals.map(|(name, help)| {
        let family = Family::<Endpoint, Counter>::default();
        registry.register(name, help, family.clone());
        family
    });
    for ((source, endpoint), total) in buffer.totals() {
        let label = Endpoint { source: source.to_owned(), endpoint: endpoint.to_owned() };
        let counts = [total.requests, total.rows, total.rejected, total.bytes];
        for (family, count) in families.iter().zip(counts) {
            family.get_or_create(&label).inc_by(count);
        }
    }
    let mut text = String::new();
    encode(&mut text, &registry).map_err(|error| UserError::new(sqlstate::INTERNAL, error.to_string()))?;
    Ok(text)
}
