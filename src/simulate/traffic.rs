//! Requests walking through the company: every call takes its time, may fail, be repeated, time out, or publish a message.

use super::faults::{Cohort, Effect, PROPAGATION, Target};
use super::metrics::{EXPORT_EVERY, Meter};
use super::otlp::{Exporter, Value};
use super::random::{Random, mix};
use super::story::Story;
use super::timeline::{STEP, Timeline, diurnal};
use super::world::{Callee, Edge, World};
use crate::error::{Error, Result};

const MILLISECOND: f64 = 1e6;

/// The topic that old instrumentation consumes within the trace of the producer.
const SAME_TRACE_TOPIC: usize = 2;

/// Parallel calls leave one after the other, this many nanoseconds apart.
const STAGGER: usize = 25_000;

/// Requests, failures and time of a service in some window.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stat {
    /// Requests served.
    pub requests: u64,
    /// Of them failed.
    pub errors: u64,
    /// Sum of their durations, milliseconds.
    pub total_ms: f64,
}

/// What was generated.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    /// Traces, those of consumers included.
    pub traces: u64,
    /// Spans that were sent.
    pub sent: u64,
    /// Spans that were lost on their way.
    pub lost: u64,
    /// Sent spans of which the parent was lost.
    pub orphans: u64,
    /// Retried calls.
    pub retries: u64,
    /// Per service: before the onset, and during the incident.
    pub services: Vec<[Stat; 2]>,
}

#[derive(Debug, Clone, Copy)]
struct Request {
    trace: u128,
    threshold: Option<u64>,
    tenant: usize,
    user: u64,
}

struct Pending {
    operation: usize,
    topic: usize,
    at: i64,
    request: Request,
    producer: (u128, u64),
}

/// Who calls, for the spans of the calling side.
#[derive(Clone, Copy)]
struct Caller<'a> {
    service: usize,
    version: (usize, &'a str),
    replica: u32,
    span: u64,
}

struct Arrival<'a> {
    operation: usize,
    parent: Option<u64>,
    at: i64,
    kind: u8,
    link: Option<(u128, u64)>,
    topic: Option<&'a str>,
}

#[derive(Debug, Clone, Copy)]
struct Done {
    end: i64,
    failed: Option<&'static str>,
    /// The answer looks right and is wrong: what the caller throws, and its log template.
    wrong: Option<Failure>,
}

/// `error.type` and a log template or a callee's name.
type Failure = (&'static str, &'static str);

/// What the active effects do to one request.
#[derive(Debug, Clone, Copy)]
struct Trouble {
    latency: f64,
    own: Option<Failure>,
    wrong: Option<Failure>,
}

/// The calls of one step: when the last is back, and why the caller gives up.
#[derive(Debug, Clone, Copy)]
struct Step {
    end: i64,
    upstream: Option<Failure>,
    wrong: Option<Failure>,
}

/// The generator.
pub struct Traffic<'a> {
    seed: u64,
    world: &'a World,
    story: &'a Story,
    timeline: &'a Timeline,
    random: Random,
    exporter: Option<&'a mut Exporter>,
    by_service: Vec<Vec<&'a Effect>>,
    by_peer: Vec<Vec<&'a Effect>>,
    pending: Vec<Pending>,
    meter: Meter,
    broken: Option<Error>,
    /// What was generated so far.
    pub counts: Counts,
}

impl std::fmt::Debug for Traffic<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Traffic").field("counts", &self.counts).finish_non_exhaustive()
    }
}

impl<'a> Traffic<'a> {
    /// A generator; without an exporter it only counts.
    pub fn new(
        seed: u64,
        stream: &str,
        world: &'a World,
        story: &'a Story,
        timeline: &'a Timeline,
        exporter: Option<&'a mut Exporter>,
    ) -> Self {
        let at = |target| story.effects.iter().filter(|e| e.target == target).collect();
        Self {
            seed,
            world,
            story,
            timeline,
            random: Random::new(seed, stream),
            exporter,
            by_service: (0..world.services.len()).map(|s| at(Target::Service(s))).collect(),
            by_peer: (0..world.peers.len()).map(|p| at(Target::Peer(p))).collect(),
            pending: Vec::new(),
            meter: Meter::new(world),
            broken: None,
            counts: Counts { services: vec![Default::default(); world.services.len()], ..Counts::default() },
        }
    }

    /// Requests relative to the start of the window.
    fn intensity(&self, at: i64) -> (f64, f64) {
        let extra: f64 = self.story.surges.iter().map(|surge| surge.extra(at)).sum();
        (diurnal(at) / diurnal(self.story.windows.start), extra)
    }

    /// How many requests make about this many spans, learned from a trial of some requests at the start.
    pub fn requests_for(&mut self, spans: f64, trial: u32) -> f64 {
        let (tenants, kept) = self.tenants();
        let entries = self.entries();
        for _ in 0..trial {
            let (tenant, entry) = (self.random.weighted(&tenants), self.random.weighted(&entries));
            self.root(tenant, entry, self.story.windows.start);
        }
        let usual = self.counts.sent as f64 / f64::from(trial);
        let mut surging = usual;
        let surge = self.story.surges.first().copied();
        if let Some((tenant, entry)) = surge.and_then(|surge| surge.tenant.zip(surge.entry)) {
            let before = self.counts.sent;
            for _ in 0..trial {
                self.root(tenant, entry, self.story.windows.start);
            }
            let share = kept_share(self.world.tenants[tenant].threshold) / kept;
            surging = (self.counts.sent - before) as f64 / f64::from(trial) * share.min(1.0);
        }
        let (base, extra) = self.weights();
        spans * (base + extra) / (usual * base + surging * extra)
    }

    /// Integrals of the usual and of the added intensity over the window.
    fn weights(&self) -> (f64, f64) {
        let windows = self.story.windows;
        let steps = (windows.start..windows.end).step_by(usize::try_from(STEP).unwrap_or(1));
        steps.fold((0.0, 0.0), |(usual, added), at| {
            let (base, extra) = self.intensity(at);
            let weight = base * STEP.min(windows.end - at) as f64;
            (usual + weight, added + weight * extra)
        })
    }

    fn entries(&self) -> Vec<f64> {
        cumulate(self.world.entries.iter().map(|entry| entry.1))
    }

    /// Tenants by the traces of theirs that are kept, and the share kept overall.
    fn tenants(&self) -> (Vec<f64>, f64) {
        let kept = cumulate(self.world.tenants.iter().map(|tenant| tenant.share * kept_share(tenant.threshold)));
        let share = kept.last().copied().unwrap_or(1.0);
        (kept, share)
    }

    /// Generate about this many requests over the whole window.
    ///
    /// # Errors
    /// When the files cannot be written.
    pub fn run(&mut self, requests: f64) -> Result<()> {
        let windows = self.story.windows;
        let (usual, surging) = self.weights();
        let weight = usual + surging;
        let (tenants, kept) = self.tenants();
        let entries = self.entries();
        let mut at = windows.start;
        let mut next_tick = windows.start + STEP;
        loop {
            let (base, extra) = self.intensity(at);
            let gap = self.random.exponential(weight / (requests * base * (1.0 + extra)));
            at += gap as i64;
            while next_tick <= at.min(windows.end) {
                self.tick(next_tick)?;
                next_tick += STEP;
            }
            if at >= windows.end {
                return Ok(());
            }
            let (tenant, entry) = self.who(extra, &tenants, kept, &entries);
            if let Some(tenant) = tenant {
                self.root(tenant, entry, at);
            }
            if let Some(error) = self.broken.take() {
                return Err(error);
            }
        }
    }

    /// Tenant and entry of the next request; no tenant when sampling drops it.
    fn who(&mut self, extra: f64, tenants: &[f64], kept: f64, entries: &[f64]) -> (Option<usize>, usize) {
        let mut tenant = Some(self.random.weighted(tenants));
        let mut entry = self.random.weighted(entries);
        if self.random.chance(extra / (1.0 + extra))
            && let Some(surge) = self.story.surges.first()
        {
            entry = surge.entry.unwrap_or(entry);
            if let Some(noisy) = surge.tenant {
                let share = kept_share(self.world.tenants[noisy].threshold) / kept;
                tenant = self.random.chance(share).then_some(noisy);
            }
        }
        (tenant, entry)
    }

    fn tick(&mut self, at: i64) -> Result<()> {
        if let Some(exporter) = self.exporter.as_deref_mut() {
            if (at - self.story.windows.start) % EXPORT_EVERY == 0 {
                self.meter.export(at, self.world, self.story, self.timeline, exporter);
            }
            exporter.flush()?;
        }
        Ok(())
    }

    fn root(&mut self, tenant: usize, entry: usize, at: i64) {
        let threshold = self.world.tenants[tenant].threshold;
        let request = Request { trace: self.trace_id(threshold), threshold, tenant, user: self.random.bits() % 400 };
        let operation = self.world.entries[entry].0;
        let kind = if self.world.operations[operation].http().is_some() { 2 } else { 1 };
        self.serve(&request, &Arrival { operation, parent: None, at, kind, link: None, topic: None });
        self.counts.traces += 1;
        while let Some(message) = self.pending.pop() {
            self.consume(&message);
        }
    }

    /// A trace id whose randomness (its last 56 bits) passes the threshold.
    fn trace_id(&mut self, threshold: Option<u64>) -> u128 {
        loop {
            let (high, low) = (self.random.bits(), self.random.bits());
            if low & ((1 << 56) - 1) >= threshold.unwrap_or(0) {
                return (u128::from(high) << 64) | u128::from(low);
            }
        }
    }

    fn consume(&mut self, message: &Pending) {
        let topic = Some(self.world.topics[message.topic].name);
        let same = message.topic == SAME_TRACE_TOPIC;
        let mut request = message.request;
        if !same {
            request.trace = self.trace_id(request.threshold);
            self.counts.traces += 1;
        }
        let parent = same.then_some(message.producer.1);
        let link = (!same).then_some(message.producer);
        self.serve(&request, &Arrival { operation: message.operation, parent, at: message.at, kind: 5, link, topic });
    }

    fn version(&mut self, service: usize, at: i64) -> (usize, &'a str) {
        let versions = &self.story.versions[service];
        let index = match &self.story.rollouts[service] {
            Some(rollout) if self.random.chance(rollout.share(at)) => rollout.to,
            Some(rollout) => rollout.from,
            None => 0,
        };
        (index, &versions[index])
    }

    /// Whether the service's flag is on for this user, if it has one.
    fn flag(&self, service: usize, request: &Request, at: i64) -> Option<(usize, bool)> {
        let index = self.story.flags.iter().position(|flag| flag.service == service)?;
        let hash = mix(&[self.seed, index as u64, request.user, request.tenant as u64]);
        let bucket = (hash >> 11) as f64 / 9_007_199_254_740_992.0;
        Some((index, bucket < self.story.flags[index].share(at)))
    }

    fn serve(&mut self, request: &Request, arrival: &Arrival<'_>) -> Done {
        let operation = &self.world.operations[arrival.operation];
        let service = operation.service;
        let at = arrival.at;
        let version = self.version(service, at);
        let replica = self.random.below(self.timeline.replicas(service, at) as usize) as u32;
        let mut caller = Caller { service, version, replica, span: self.random.bits() | 1 };
        while arrival.parent.is_none() && self.lost(caller.span) {
            caller.span = self.random.bits() | 1;
        }
        let flag = self.flag(service, request, at);
        let Trouble { latency, mut own, wrong } = self.trouble(arrival.operation, service, version.0, flag, at);
        if own.is_none() && self.random.chance(self.world.services[service].base_error) {
            own = Some(("InternalError", "internal error while handling {}"));
        }
        let work = self.random.log_normal(operation.self_ms, operation.sigma) * latency * MILLISECOND;
        let piece = (work / (operation.steps.len() + 1) as f64) as i64 + 1;
        let mut cursor = at + piece;
        let mut upstream = None;
        if own.is_none() || self.random.chance(0.5) {
            for step in &operation.steps {
                let done = self.step(request, &caller, step, cursor);
                cursor = done.end + piece;
                upstream = done.upstream;
                own = own.or(done.wrong);
                if upstream.is_some() || done.wrong.is_some() {
                    break;
                }
            }
        }
        let failed = upstream.map(|(error, _)| error).or(own.map(|(error, _)| error));
        let failures = (own.filter(|_| upstream.is_none()), upstream);
        self.report(request, arrival, &caller, cursor, failures, flag);
        self.count(service, at, cursor, failed.is_some());
        Done { end: cursor, failed, wrong }
    }

    /// What the active effects do to this request, where the dice say so.
    fn trouble(
        &mut self,
        operation: usize,
        service: usize,
        version: usize,
        flag: Option<(usize, bool)>,
        at: i64,
    ) -> Trouble {
        let latency = self.timeline.queueing(service, at);
        let mut trouble = Trouble { latency, own: None, wrong: None };
        for position in 0..self.by_service[service].len() {
            let effect = self.by_service[service][position];
            let concerned = match effect.cohort {
                Cohort::All => true,
                Cohort::Version(broken) => broken == version,
                Cohort::Flag(broken) => flag == Some((broken, true)),
            };
            let strength = effect.strength(at);
            if !concerned || strength <= 0.0 || !effect.hits(operation) {
                continue;
            }
            trouble.latency *= 1.0 + strength * (effect.latency - 1.0);
            if effect.error_rate > 0.0 && self.random.chance(strength * effect.error_rate) {
                let failure = Some((effect.error_type, effect.message));
                if effect.silent { trouble.wrong = failure } else { trouble.own = failure }
            }
        }
        trouble
    }

    /// The calls of one step, in parallel.
    fn step(&mut self, request: &Request, caller: &Caller<'a>, step: &[Edge], at: i64) -> Step {
        let mut outcome = Step { end: at, upstream: None, wrong: None };
        for (edge, stagger) in step.iter().zip((0..).step_by(STAGGER)) {
            if !self.random.chance(edge.probability) {
                continue;
            }
            let done = self.call(request, caller, edge, at + stagger);
            outcome.end = outcome.end.max(done.end);
            if edge.optional || !self.random.chance(PROPAGATION) {
                continue;
            }
            match done.failed {
                Some(error) => outcome.upstream = Some((error, self.callee_name(edge))),
                None => outcome.wrong = outcome.wrong.or(done.wrong),
            }
        }
        outcome
    }

    fn callee_name(&self, edge: &Edge) -> &'static str {
        match edge.callee {
            Callee::Operation(operation) => self.world.services[self.world.operations[operation].service].name,
            Callee::Peer(peer, _) => self.world.peers[peer].name,
            Callee::Topic(topic) => self.world.topics[topic].name,
        }
    }

    /// One call with its repetitions; every attempt is a client span.
    fn call(&mut self, request: &Request, caller: &Caller<'a>, edge: &Edge, at: i64) -> Done {
        let mut start = at;
        for attempt in 0..=edge.retries {
            let id = self.random.bits() | 1;
            let out = (self.random.log_normal(0.35, 0.5) * MILLISECOND) as i64;
            let back = (self.random.log_normal(0.3, 0.5) * MILLISECOND) as i64;
            let mut done = match edge.callee {
                Callee::Topic(topic) => return self.publish(request, caller, topic, id, start),
                Callee::Peer(peer, _) => self.answer(peer, start),
                Callee::Operation(operation) => {
                    let at = start + out;
                    let arrival = Arrival { operation, parent: Some(id), at, kind: 2, link: None, topic: None };
                    let done = self.serve(request, &arrival);
                    Done { end: done.end + back, failed: done.failed.map(answered), ..done }
                }
            };
            let limit = start + (edge.timeout_ms * MILLISECOND) as i64;
            if done.end > limit {
                done = Done { end: limit, failed: Some("timeout"), wrong: None };
            }
            self.report_call(request, caller, edge, (id, attempt), (start, done));
            if done.failed.is_none() || attempt == edge.retries {
                return done;
            }
            self.counts.retries += 1;
            start = done.end + (self.random.between(15.0, 60.0) * MILLISECOND) as i64;
        }
        Done { end: start, failed: None, wrong: None }
    }

    /// A peer's answer.
    fn answer(&mut self, peer: usize, at: i64) -> Done {
        let mut latency = 1.0;
        let mut failed = self.random.chance(0.0004).then_some("connection_reset");
        for position in 0..self.by_peer[peer].len() {
            let effect = self.by_peer[peer][position];
            let strength = effect.strength(at);
            latency *= 1.0 + strength * (effect.latency - 1.0);
            if effect.error_rate > 0.0 && self.random.chance(strength * effect.error_rate) {
                failed = Some(effect.error_type);
            }
        }
        let ms = self.random.log_normal(self.world.peers[peer].median_ms, 0.4) * latency;
        Done { end: at + (ms * MILLISECOND) as i64 + 1, failed, wrong: None }
    }

    fn publish(&mut self, request: &Request, caller: &Caller<'a>, topic: usize, id: u64, at: i64) -> Done {
        let end = at + (self.random.log_normal(0.7, 0.4) * MILLISECOND) as i64;
        let name = self.world.topics[topic].name;
        let attributes = [
            ("messaging.system", Value::Text("kafka")),
            ("messaging.destination.name", Value::Text(name)),
            ("messaging.operation.type", Value::Text("send")),
            ("messaging.operation.name", Value::Text("publish")),
        ];
        let label = format!("publish {name}");
        let span =
            Out { id, parent: Some(caller.span), name: &label, kind: 4, start: at, end, error: None, link: None };
        self.emit(request, caller, &span, &attributes, &[]);
        for &operation in &self.world.topics[topic].consumers {
            let lag = (self.random.log_normal(18.0, 1.0) * MILLISECOND) as i64;
            let producer = (request.trace, id);
            self.pending.push(Pending { operation, topic, at: end + lag, request: *request, producer });
        }
        Done { end, failed: None, wrong: None }
    }

    fn count(&mut self, service: usize, at: i64, end: i64, failed: bool) {
        let ms = (end - at) as f64 / MILLISECOND;
        self.meter.observe(service, ms);
        let windows = &self.story.windows;
        let phase = usize::from(at >= windows.onset);
        if at < windows.over {
            let stat = &mut self.counts.services[service][phase];
            stat.requests += 1;
            stat.errors += u64::from(failed);
            stat.total_ms += ms;
        }
    }
}

/// What the caller sees of the callee's failure.
fn answered(error: &'static str) -> &'static str {
    if error == "timeout" { "504" } else { "500" }
}

/// Share of the traces that head sampling with this threshold keeps.
fn kept_share(threshold: Option<u64>) -> f64 {
    1.0 - threshold.unwrap_or(0) as f64 / (1_u64 << 56) as f64
}

fn cumulate(weights: impl Iterator<Item = f64>) -> Vec<f64> {
    weights
        .scan(0.0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        })
        .collect()
}

/// A span of this caller about to be sent.
struct Out<'s> {
    id: u64,
    parent: Option<u64>,
    name: &'s str,
    kind: u8,
    start: i64,
    end: i64,
    error: Option<&'s str>,
    link: Option<(u128, u64)>,
}

mod report;
