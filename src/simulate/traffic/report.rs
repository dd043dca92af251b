//! What the instrumentation of the simulated services sends about the requests.

use super::{Arrival, Caller, Done, Failure, MILLISECOND, Out, Request, Traffic};
use crate::simulate::otlp::{Attributes, Log, Span, Value};
use crate::simulate::random::mix;
use crate::simulate::world::{Callee, Edge, Operation};

/// One in this many spans (other than roots) is lost on its way.
const LOST_ONE_IN: u64 = 300;

/// Share of the requests that a service logs although nothing is wrong.
const INFO_SHARE: f64 = 0.08;

impl<'a> Traffic<'a> {
    /// Whether the span of this id is lost on its way; roots get ids that are not.
    pub(super) fn lost(&self, id: u64) -> bool {
        mix(&[self.seed, id]).is_multiple_of(LOST_ONE_IN)
    }

    /// Send a span of this caller.
    pub(super) fn emit(
        &mut self,
        request: &Request,
        caller: &Caller<'a>,
        out: &Out<'_>,
        attributes: &Attributes<'_>,
        events: &[(i64, &str, &Attributes<'_>)],
    ) {
        if self.lost(out.id) {
            self.counts.lost += 1;
            return;
        }
        self.counts.sent += 1;
        if out.parent.is_some_and(|parent| self.lost(parent)) {
            self.counts.orphans += 1;
        }
        let Some(exporter) = self.exporter.as_deref_mut() else { return };
        let instance = exporter.instance(self.world, caller.service, caller.version, caller.replica);
        let sent = exporter.span(&Span {
            instance,
            trace: request.trace,
            id: out.id,
            parent: out.parent,
            threshold: request.threshold,
            name: out.name,
            kind: out.kind,
            start: out.start,
            end: out.end,
            error: out.error,
            attributes,
            events,
            link: out.link,
        });
        if let Err(error) = sent {
            self.broken.get_or_insert(error);
        }
    }

    fn log(
        &mut self,
        request: &Request,
        caller: &Caller<'a>,
        log: (i64, (u8, &str), &str),
        event: Option<(&str, &Attributes<'_>)>,
    ) {
        let Some(exporter) = self.exporter.as_deref_mut() else { return };
        let instance = exporter.instance(self.world, caller.service, caller.version, caller.replica);
        let tenant = [("tenant.id", Value::Text(self.world.tenants[request.tenant].id.as_str()))];
        let (at, severity, body) = log;
        let sent = exporter.log(&Log {
            instance,
            at,
            context: Some((request.trace, caller.span)),
            severity,
            body,
            event: event.map(|(name, _)| name),
            attributes: event.map_or(&tenant, |(_, attributes)| attributes),
        });
        if let Err(error) = sent {
            self.broken.get_or_insert(error);
        }
    }

    /// The span of the serving side, with its logs and flag evaluations.
    pub(super) fn report(
        &mut self,
        request: &Request,
        arrival: &Arrival<'_>,
        caller: &Caller<'a>,
        end: i64,
        failures: (Option<Failure>, Option<Failure>),
        flag: Option<(usize, bool)>,
    ) {
        let (own, upstream) = failures;
        let world = self.world;
        let operation = &world.operations[arrival.operation];
        let reference = format!("{:08x}", caller.span as u32);
        let error = match (own, upstream) {
            (Some((_, template)), _) => Some(template.replacen("{}", &reference, 1)),
            (None, Some((kind, callee))) => Some(format!("call to {callee} failed: {kind}")),
            (None, None) => None,
        };
        let error_type = own.or(upstream).map(|(kind, _)| kind);
        let user = format!("u-{}-{}", request.tenant, request.user);
        let mut attributes = Vec::with_capacity(10);
        served(&mut attributes, operation, arrival.topic, upstream.map(|(kind, _)| kind), error.is_some());
        attributes.push(("tenant.id", Value::Text(world.tenants[request.tenant].id.as_str())));
        if arrival.parent.is_none() && arrival.kind == 2 {
            attributes.push(("user.id", Value::Text(&user)));
        }
        if let Some(kind) = error_type {
            attributes.push(("error.type", Value::Text(kind)));
        }
        let exception = [
            ("exception.type", Value::Text(own.map_or("", |(kind, _)| kind))),
            ("exception.message", Value::Text(error.as_deref().unwrap_or_default())),
        ];
        let mut events: Vec<(i64, &str, &Attributes<'_>)> = Vec::new();
        if own.is_some() && caller.span & 2 == 0 {
            events.push((end - 1000, "exception", &exception));
        }
        let story = self.story;
        let evaluated = flag.map(|(index, on)| (&story.flags[index], if on { "on" } else { "off" }));
        let evaluation = evaluated.map(|(flag, variant)| {
            [
                ("feature_flag.key", Value::Text(flag.key.as_str())),
                ("feature_flag.provider.name", Value::Text("flagd")),
                ("feature_flag.result.variant", Value::Text(variant)),
                ("feature_flag.context.id", Value::Text(&user)),
                ("tenant.id", Value::Text(world.tenants[request.tenant].id.as_str())),
            ]
        });
        let evaluated_at = arrival.at + 10_000;
        if let (Some((flag, _)), Some(evaluation)) = (evaluated, &evaluation) {
            if flag.in_logs {
                let event = Some(("feature_flag.evaluation", evaluation.as_slice()));
                self.log(request, caller, (evaluated_at, (9, "INFO"), "feature flag evaluated"), event);
            } else {
                events.insert(0, (evaluated_at, "feature_flag.evaluation", evaluation));
            }
        }
        let out = Out {
            id: caller.span,
            parent: arrival.parent,
            name: operation.name,
            kind: arrival.kind,
            start: arrival.at,
            end,
            error: error.as_deref(),
            link: arrival.link,
        };
        self.emit(request, caller, &out, &attributes, &events);
        self.write_logs(request, caller, operation, (arrival.at, end), error.as_deref(), own.is_some());
    }

    fn write_logs(
        &mut self,
        request: &Request,
        caller: &Caller<'a>,
        operation: &Operation,
        (at, end): (i64, i64),
        error: Option<&str>,
        own: bool,
    ) {
        if let Some(error) = error {
            if own || self.random.chance(0.5) {
                let severity = if own { (17, "ERROR") } else { (13, "WARN") };
                self.log(request, caller, (end - 500, severity, error), None);
            }
        } else if self.random.chance(INFO_SHARE) {
            let ms = (end - at) as f64 / MILLISECOND;
            let body = format!("handled {} in {ms:.1} ms", operation.name);
            self.log(request, caller, (end - 500, (9, "INFO"), &body), None);
        }
    }

    /// The span of the calling side.
    pub(super) fn report_call(
        &mut self,
        request: &Request,
        caller: &Caller<'a>,
        edge: &Edge,
        (id, attempt): (u64, u32),
        (start, done): (i64, Done),
    ) {
        let world = self.world;
        let callee = self.callee_name(edge);
        let language = world.services[caller.service].language;
        let mut attributes = Vec::with_capacity(8);
        let mut name = match edge.callee {
            Callee::Operation(operation) => {
                let operation = &world.operations[operation];
                called(&mut attributes, operation, done.failed);
                operation.http().map_or(operation.name, |(method, _)| method)
            }
            Callee::Peer(peer, call) => {
                peer_attributes(&mut attributes, world.peers[peer].system, call, done.failed);
                call
            }
            Callee::Topic(_) => "",
        };
        if world_is_http_peer(edge, world) {
            name = "POST";
        }
        attributes.push(("server.address", Value::Text(callee)));
        let internal = matches!(edge.callee, Callee::Operation(_));
        if language == "java" || language == "dotnet" {
            attributes.push(("peer.service", Value::Text(callee)));
        } else if !internal || language != "go" {
            attributes.push(("service.peer.name", Value::Text(callee)));
        }
        if attempt > 0 {
            attributes.push(("http.request.resend_count", Value::Int(i64::from(attempt))));
        }
        if let Some(kind) = done.failed {
            attributes.push(("error.type", Value::Text(kind)));
        }
        let error = done.failed;
        let out = Out { id, parent: Some(caller.span), name, kind: 3, start, end: done.end, error, link: None };
        self.emit(request, caller, &out, &attributes, &[]);
    }
}

fn world_is_http_peer(edge: &Edge, world: &crate::simulate::world::World) -> bool {
    matches!(edge.callee, Callee::Peer(peer, _) if world.peers[peer].system == "http")
}

/// Attributes of the serving side.
fn served<'s>(
    attributes: &mut Vec<(&'s str, Value<'s>)>,
    operation: &'s Operation,
    topic: Option<&'s str>,
    upstream: Option<&str>,
    failed: bool,
) {
    if let Some(topic) = topic {
        attributes.push(("messaging.system", Value::Text("kafka")));
        attributes.push(("messaging.destination.name", Value::Text(topic)));
        attributes.push(("messaging.operation.type", Value::Text("process")));
    } else if let Some((method, route)) = operation.http() {
        attributes.push(("http.request.method", Value::Text(method)));
        attributes.push(("http.route", Value::Text(route)));
        let status = match (failed, upstream) {
            (false, _) => 200,
            (true, None) => 500,
            (true, Some("timeout")) => 504,
            (true, Some(_)) => 502,
        };
        attributes.push(("http.response.status_code", Value::Int(status)));
    } else {
        attributes.push(("rpc.system", Value::Text("grpc")));
        attributes.push(("rpc.method", Value::Text(operation.name)));
        let status = match (failed, upstream) {
            (false, _) => 0,
            (true, None) => 13,
            (true, Some("timeout")) => 4,
            (true, Some(_)) => 14,
        };
        attributes.push(("rpc.grpc.status_code", Value::Int(status)));
    }
}

/// Attributes of a call to another service.
fn called<'s>(attributes: &mut Vec<(&'s str, Value<'s>)>, operation: &'s Operation, failed: Option<&str>) {
    if let Some((method, route)) = operation.http() {
        attributes.push(("http.request.method", Value::Text(method)));
        attributes.push(("url.template", Value::Text(route)));
        match failed {
            Some("timeout") => {}
            Some("504") => attributes.push(("http.response.status_code", Value::Int(504))),
            Some(_) => attributes.push(("http.response.status_code", Value::Int(500))),
            None => attributes.push(("http.response.status_code", Value::Int(200))),
        }
    } else {
        attributes.push(("rpc.system", Value::Text("grpc")));
        attributes.push(("rpc.method", Value::Text(operation.name)));
    }
}

/// Attributes of a call to a peer.
fn peer_attributes<'s>(
    attributes: &mut Vec<(&'s str, Value<'s>)>,
    system: &'s str,
    call: &'s str,
    failed: Option<&str>,
) {
    match system {
        "http" => {
            attributes.push(("http.request.method", Value::Text("POST")));
            if failed == Some("503") {
                attributes.push(("http.response.status_code", Value::Int(503)));
            }
        }
        "s3" => {
            attributes.push(("rpc.system", Value::Text("aws-api")));
            attributes.push(("rpc.method", Value::Text(call)));
        }
        _ => {
            let operation = call.split(' ').next().unwrap_or(call);
            attributes.push(("db.system.name", Value::Text(system)));
            attributes.push(("db.operation.name", Value::Text(operation)));
            if let Some((_, collection)) = call.split_once(' ') {
                attributes.push(("db.collection.name", Value::Text(collection)));
            }
        }
    }
}
