//! Draws a story: what causes the incident of a scenario, where, how strongly, how long before, and who alerts.

use super::Scenario;
use super::background::{self, Ledger};
use super::faults::{Cohort, Effect, Expectation, Stress, Target, callers_of_peer, expect};
use super::random::Random;
use super::story::{Cause, CostSpike, Flag, Incident, Rollout, SECOND, Story, Surge, Windows};
use super::world::World;
use crate::error::{Result, UserError, sqlstate};

/// What kind of thing a cause is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Deploy,
    Config,
    Flag,
    Provider,
    Dependency,
    Migration,
}

/// `error.type` and log template of what a broken release, configuration or flag throws.
const SERVICE_ERRORS: &[(&str, &str)] = &[
    ("NullReference", "unhandled exception while mapping response for request {}: value is null"),
    ("SchemaMismatch", "cannot decode payload of {}: unknown field at position 14"),
    ("ConnectionPoolExhausted", "no connection available after 500 ms for {}"),
    ("PermissionDenied", "credentials rejected for request {}"),
    ("IndexOutOfRange", "index out of range while pricing lines of {}"),
    ("InvalidArgument", "required parameter missing in call {}"),
];

/// What callers throw when an answer looks right and is wrong.
const WRONG_ANSWERS: &[(&str, &str)] = &[
    ("InvalidResponse", "unexpected value in the answer for {}"),
    ("AssertionFailed", "totals do not match for {}"),
    ("DecodeError", "cannot decode the answer for {}: missing field"),
];

/// The same for peers.
const PEER_ERRORS: &[(&str, &str)] = &[
    ("503", "upstream answered 503 for {}"),
    ("connection_reset", "connection reset by peer during {}"),
    ("deadline_exceeded", "deadline exceeded waiting for {}"),
];

/// An effect that somebody notices.
struct Placed {
    effect: Effect,
    alert: usize,
    signal: &'static str,
    rise: f64,
}

/// Calls an entry request that a service must get to have an alert.
const ALERTING: f64 = 0.3;

struct Draft<'a> {
    random: Random,
    world: &'a mut World,
    windows: Windows,
    visits: Vec<f64>,
    traffic: Vec<f64>,
    quiet: Expectation,
    ledger: Ledger,
    effects: Vec<Effect>,
    flags: Vec<Flag>,
    surges: Vec<Surge>,
    causes: Vec<Cause>,
    note: String,
    spike: Option<CostSpike>,
    leak: Option<i64>,
}

/// Stories that are tried before giving up: some combinations of places cannot hurt one service noticeably.
const ATTEMPTS: u32 = 40;

/// The story of the scenario under this seed; a load scenario also moves the bottleneck's usual utilisation.
///
/// # Errors
/// When no place can be found where the trouble would be noticed.
pub fn draw(scenario: Scenario, seed: u64, world: &mut World, windows: Windows) -> Result<Story> {
    let mut story = attempt(scenario, seed, 0, world, windows);
    for number in 1..ATTEMPTS {
        if story.is_ok() {
            break;
        }
        story = attempt(scenario, seed, number, world, windows);
    }
    story
}

fn attempt(scenario: Scenario, seed: u64, number: u32, world: &mut World, windows: Windows) -> Result<Story> {
    let random = Random::new(seed, &format!("story {number}"));
    let visits = world.visits();
    let traffic = world.by_service(&visits);
    let quiet = expect(world, &Stress::none(world), &visits);
    let ledger = Ledger::new(seed, world);
    let mut draft = Draft {
        random,
        world,
        windows,
        visits,
        traffic,
        quiet,
        ledger,
        effects: Vec::new(),
        flags: Vec::new(),
        surges: Vec::new(),
        causes: Vec::new(),
        note: String::new(),
        spike: None,
        leak: None,
    };
    let (service, signal) = match scenario {
        Scenario::BadDeploy => draft.single(Kind::Deploy, None)?,
        Scenario::BadConfig if draft.random.chance(0.6) => draft.single(Kind::Config, None)?,
        Scenario::BadConfig => draft.single(Kind::Flag, None)?,
        Scenario::InnocentDeploy => draft.innocent_deploy()?,
        Scenario::TwoCauses => draft.two_causes()?,
        Scenario::NoChange => draft.load(false)?,
        Scenario::NoisyTenant => draft.load(true)?,
        Scenario::SlowDependency if draft.random.chance(0.5) => draft.single(Kind::Migration, Some("latency"))?,
        Scenario::SlowDependency => draft.single(Kind::Dependency, Some("latency"))?,
        Scenario::CostSpike => draft.cost_spike(),
        Scenario::LeakedCiKey => draft.leaked_key(),
    };
    Ok(draft.finish(scenario, service, signal))
}

impl Draft<'_> {
    fn single(&mut self, kind: Kind, signal: Option<&'static str>) -> Result<(usize, &'static str)> {
        let placed = self.cause(kind, self.windows.onset, None, signal)?;
        Ok((placed.alert, placed.signal))
    }

    fn innocent_deploy(&mut self) -> Result<(usize, &'static str)> {
        let placed = self.cause(Kind::Provider, self.windows.onset, None, None)?;
        if let Target::Peer(peer) = placed.effect.target {
            let callers = callers_of_peer(self.world, peer);
            let near = if self.random.chance(0.7) { *self.random.pick(&callers) } else { placed.alert };
            let lead = (self.windows.incident() as f64 * self.random.between(0.05, 0.5)) as i64;
            let at = self.windows.onset - lead;
            let canary = if self.random.chance(0.5) { self.random.between(0.2, 0.5) } else { 1.0 };
            let change = self.ledger.deploy(self.world, near, at, canary, None);
            self.note = format!("deploy {change} of {} is innocent", self.world.services[near].name);
        }
        Ok((placed.alert, placed.signal))
    }

    fn two_causes(&mut self) -> Result<(usize, &'static str)> {
        let mut kinds = [Kind::Deploy, Kind::Config, Kind::Flag, Kind::Provider];
        self.random.shuffle(&mut kinds);
        let first = self.cause(kinds[0], self.windows.onset, None, None)?;
        let later = (self.windows.incident() as f64 * self.random.between(0.0, 0.25)) as i64;
        let onset = self.windows.onset + later;
        let second = self.cause(kinds[1], onset, Some(first.alert), Some(first.signal))?;
        let minor = usize::from(first.rise >= second.rise);
        self.causes[minor].role = "contributing";
        Ok((first.alert, first.signal))
    }

    /// Find a place where an effect is noticed, record the change behind it, and make it happen.
    fn cause(&mut self, kind: Kind, onset: i64, alert: Option<usize>, signal: Option<&'static str>) -> Result<Placed> {
        let share = match kind {
            Kind::Deploy if self.random.chance(0.55) => self.random.between(0.15, 0.5),
            Kind::Flag => self.random.between(0.2, 0.9),
            _ => 1.0,
        };
        let mut placed = self.place(kind, share, onset, alert, signal)?;
        let lead = self.lead(kind);
        let stays = kind == Kind::Deploy && self.random.chance(0.3);
        if stays {
            placed.effect.to = self.windows.end;
        }
        let name = match placed.effect.target {
            Target::Service(service) => self.world.services[service].name,
            Target::Peer(peer) => self.world.peers[peer].name,
        };
        let (change, subject) = self.record(kind, &mut placed.effect, onset - lead, share, name, stays);
        let kind_name = match kind {
            Kind::Deploy => "deploy",
            Kind::Config => "config",
            Kind::Flag => "feature_flag",
            Kind::Provider => "provider",
            Kind::Dependency => "dependency",
            Kind::Migration => "migration",
        };
        self.causes.push(Cause {
            role: "primary",
            kind: kind_name,
            change,
            service: Some(name.to_owned()),
            subject,
            since: onset,
        });
        if placed.effect.silent {
            self.note = format!("{name} reports no errors itself, its callers do");
        }
        self.effects.push(placed.effect.clone());
        Ok(placed)
    }

    fn lead(&mut self, kind: Kind) -> i64 {
        let length = self.windows.incident() as f64;
        let immediate = self.random.chance(0.6);
        let seconds = SECOND as f64;
        (match kind {
            Kind::Deploy | Kind::Config if !immediate => length * self.random.between(0.1, 0.6),
            Kind::Migration => length * self.random.between(0.03, 0.3),
            Kind::Provider => self.random.between(0.0, 20.0) * seconds,
            _ => self.random.between(2.0, 20.0) * seconds,
        }) as i64
    }

    /// The recorded change, and what makes it visible in telemetry.
    fn record(
        &mut self,
        kind: Kind,
        effect: &mut Effect,
        at: i64,
        share: f64,
        name: &'static str,
        stays: bool,
    ) -> (Option<String>, Option<String>) {
        let over = effect.to;
        match (kind, effect.target) {
            (Kind::Deploy, Target::Service(service)) => {
                effect.cohort = Cohort::Version(1);
                let id = self.ledger.deploy(self.world, service, at, share, (!stays).then_some(over));
                (Some(id), None)
            }
            (Kind::Flag, Target::Service(service)) => {
                effect.cohort = Cohort::Flag(self.flags.len());
                let key = background::flag_key(&mut self.random, name);
                let shares = vec![(0, 0.0), (at, share), (over, 0.0)];
                let in_logs = self.random.chance(0.4);
                self.flags.push(Flag { key: key.clone(), service, in_logs, shares });
                let title = format!("{key}: on for {:.0} %", share * 100.0);
                let id = self.ledger.table("feature_flag", name, at, Some(at), &title);
                self.ledger.table("feature_flag", name, over, Some(over), &format!("{key}: off"));
                (Some(id), Some(key))
            }
            (Kind::Provider, _) => {
                let title = format!("{name}: elevated error rates and latency");
                (Some(self.ledger.table("provider", name, at, Some(over), &title)), None)
            }
            (Kind::Migration, _) => {
                let title = format!("{name}: rebuild index concurrently");
                (Some(self.ledger.table("migration", name, at, Some(over), &title)), None)
            }
            (Kind::Dependency, _) => (None, None),
            _ => {
                let title = background::config_title(&mut self.random);
                let id = self.ledger.table("config", name, at, Some(at + SECOND), &title);
                self.ledger.table("config", name, over, Some(over + SECOND), &format!("revert: {title}"));
                (Some(id), None)
            }
        }
    }

    fn targets(&self, kind: Kind) -> Vec<Target> {
        let inside = self.world.peers.iter().enumerate().filter(|(_, peer)| !peer.external);
        let stores = inside.map(|(at, _)| Target::Peer(at)).collect();
        match kind {
            Kind::Provider => (0..self.world.peers.len()).map(Target::Peer).collect(),
            Kind::Dependency | Kind::Migration => stores,
            Kind::Deploy | Kind::Config | Kind::Flag => {
                let busy = (0..self.traffic.len()).filter(|&s| self.traffic[s] > 0.08);
                let free = busy.filter(|&s| !self.ledger.has_rollout(s));
                free.map(Target::Service).collect()
            }
        }
    }

    fn place(
        &mut self,
        kind: Kind,
        share: f64,
        onset: i64,
        alert: Option<usize>,
        signal: Option<&'static str>,
    ) -> Result<Placed> {
        let targets: Vec<Target> =
            self.targets(kind).into_iter().filter(|t| self.effects.iter().all(|e| e.target != *t)).collect();
        for _ in 0..60 {
            let target = *self.random.pick(&targets);
            let signal = signal.unwrap_or(if self.random.chance(0.55) { "errors" } else { "latency" });
            if let Some(placed) = self.try_place(target, share, onset, alert, signal) {
                return Ok(placed);
            }
        }
        Err(UserError::new(sqlstate::INTERNAL, "no service of the simulated company would notice the trouble")
            .hint("Try another seed.")
            .into())
    }

    /// Raise the strength step by step until some service suffers visibly.
    fn try_place(
        &mut self,
        target: Target,
        share: f64,
        onset: i64,
        alert: Option<usize>,
        signal: &'static str,
    ) -> Option<Placed> {
        let errors = signal == "errors";
        let wanted = if errors { self.random.between(0.03, 0.08) } else { self.random.between(0.3, 0.6) };
        let mut effect = self.effect(target, onset, errors);
        let ladder: &[f64] =
            if errors { &[0.08, 0.15, 0.25, 0.4, 0.6, 0.85] } else { &[2.0, 3.0, 5.0, 8.0, 14.0, 24.0] };
        for &strength in &ladder[self.random.below(3)..] {
            if errors {
                effect.error_rate = strength;
            } else {
                effect.latency = strength;
            }
            let mut stress = Stress::none(self.world);
            stress.add(self.world, &effect, share);
            let loud = expect(self.world, &stress, &self.visits);
            let rise = |service: usize| {
                if errors {
                    loud.error[service] - self.quiet.error[service]
                } else {
                    loud.ms[service] / self.quiet.ms[service] - 1.0
                }
            };
            let noticed = |&s: &usize| self.traffic[s] > ALERTING && rise(s) > wanted && alert.is_none_or(|a| a == s);
            let mut alerts: Vec<usize> = (0..self.world.services.len()).filter(noticed).collect();
            let elsewhere: Vec<usize> = alerts.iter().copied().filter(|&s| target != Target::Service(s)).collect();
            if effect.silent || (!elsewhere.is_empty() && self.random.chance(0.8)) {
                alerts = elsewhere;
            }
            if !alerts.is_empty() {
                let alert = busiest(&mut self.random, &self.traffic, &alerts);
                return Some(Placed { effect, alert, signal, rise: rise(alert) });
            }
        }
        None
    }

    fn effect(&mut self, target: Target, onset: i64, errors: bool) -> Effect {
        let mut operations = Vec::new();
        if let Target::Service(service) = target
            && self.random.chance(0.35)
        {
            let own: Vec<usize> =
                (0..self.visits.len()).filter(|&o| self.world.operations[o].service == service).collect();
            operations.push(*self.random.pick(&own));
        }
        let known = if matches!(target, Target::Peer(_)) { PEER_ERRORS } else { SERVICE_ERRORS };
        let silent = errors && matches!(target, Target::Service(_)) && self.random.chance(0.15);
        let (error_type, message) = match (errors, silent) {
            (true, false) => *self.random.pick(known),
            (true, true) => *self.random.pick(WRONG_ANSWERS),
            _ => ("", ""),
        };
        Effect {
            target,
            cohort: Cohort::All,
            operations,
            from: onset,
            to: self.windows.over,
            ramp: self.random.integer(0, 30) * SECOND,
            error_rate: 0.0,
            latency: 1.0,
            error_type,
            silent,
            message,
        }
    }

    /// More traffic than some service can take: from everybody, or from one tenant at one entry.
    fn load(&mut self, one_tenant: bool) -> Result<(usize, &'static str)> {
        for _ in 0..400 {
            let tenant = one_tenant.then(|| 2 + self.random.below(self.world.tenants.len() / 2));
            let entry = one_tenant.then(|| self.random.below(self.world.entries.len() - 2));
            let extra = self.random.between(0.8, 1.4);
            let bottleneck = self.random.below(self.world.services.len());
            let surge = Surge { from: self.windows.onset, to: self.windows.over, extra, tenant, entry };
            let growth = self.growth(&surge);
            let factor = self.random.between(5.0, 14.0);
            let usual = (factor - 1.0) / (factor * growth[bottleneck] - 1.0);
            if !(0.25..0.72).contains(&usual) || self.traffic[bottleneck] < 0.15 {
                continue;
            }
            let mut effect = self.effect(Target::Service(bottleneck), self.windows.onset, false);
            effect.operations.clear();
            effect.latency = factor;
            let mut stress = Stress::none(self.world);
            stress.add(self.world, &effect, 1.0);
            let loud = expect(self.world, &stress, &self.visits);
            let noticed = |&s: &usize| self.traffic[s] > ALERTING && loud.ms[s] / self.quiet.ms[s] > 1.35;
            let alerts: Vec<usize> = (0..self.world.services.len()).filter(noticed).collect();
            if alerts.is_empty() {
                continue;
            }
            let alert = busiest(&mut self.random, &self.traffic, &alerts);
            self.saturate(bottleneck, usual, &growth);
            self.note = format!("{} saturates at its ceiling of replicas", self.world.services[bottleneck].name);
            if let Some(tenant) = tenant {
                self.causes.push(Cause {
                    role: "primary",
                    kind: "tenant",
                    change: None,
                    service: Some(self.world.services[bottleneck].name.to_owned()),
                    subject: Some(self.world.tenants[tenant].id.clone()),
                    since: self.windows.onset,
                });
            }
            self.surges.push(surge);
            return Ok((alert, "latency"));
        }
        Err(UserError::new(sqlstate::INTERNAL, "no service of the simulated company saturates").into())
    }

    /// How many times the usual requests every service gets at the height of the surge.
    fn growth(&self, surge: &Surge) -> Vec<f64> {
        let added = match surge.entry {
            Some(entry) => self.world.by_service(&self.world.visits_of(self.world.entries[entry].0)),
            None => self.traffic.clone(),
        };
        added.iter().zip(&self.traffic).map(|(added, usual)| 1.0 + surge.extra * added / usual.max(1e-9)).collect()
    }

    fn saturate(&mut self, bottleneck: usize, usual: f64, growth: &[f64]) {
        for (service, growth) in self.world.services.iter_mut().zip(growth) {
            service.utilisation = service.utilisation.min(0.6 / growth);
        }
        let service = &mut self.world.services[bottleneck];
        service.utilisation = usual;
        service.max_replicas = service.replicas;
    }

    fn cost_spike(&mut self) -> (usize, &'static str) {
        let busy: Vec<usize> = (0..self.traffic.len()).filter(|&s| self.traffic[s] > 0.15).collect();
        let service = *self.random.pick(&busy);
        let name = self.world.services[service].name;
        let at = self.windows.onset - self.random.integer(20, 120) * SECOND;
        let deploy = self.random.chance(0.5);
        let change = if deploy {
            self.ledger.deploy(self.world, service, at, 1.0, None)
        } else {
            self.ledger.table("config", name, at, Some(at + SECOND), "autoscaler: target utilisation 65 % → 20 %")
        };
        self.spike = Some(CostSpike { service, factor: self.random.between(2.5, 5.0) });
        self.world.services[service].max_replicas = self.world.services[service].replicas * 6;
        self.causes.push(Cause {
            role: "primary",
            kind: if deploy { "deploy" } else { "config" },
            change: Some(change),
            service: Some(name.to_owned()),
            subject: None,
            since: self.windows.onset,
        });
        (service, "cost")
    }

    fn leaked_key(&mut self) -> (usize, &'static str) {
        let service = self.random.below(self.world.services.len());
        let at = self.windows.onset - self.random.integer(60, 200) * SECOND;
        let change = self.ledger.deploy(self.world, service, at, 1.0, None);
        self.leak = self.ledger.run_of(&change);
        self.causes.push(Cause {
            role: "primary",
            kind: "credential",
            change: None,
            service: Some(self.world.services[service].name.to_owned()),
            subject: self.leak.map(|run| format!("ci run {run}")),
            since: self.windows.onset,
        });
        (service, "security")
    }

    fn finish(mut self, scenario: Scenario, alert: usize, signal: &'static str) -> Story {
        let windows = self.windows;
        let hit: Vec<Target> = self.effects.iter().map(|effect| effect.target).collect();
        background::changes(self.world, &windows, alert, &mut self.ledger, &mut self.flags);
        self.effects.extend(background::wiggles(self.ledger.random(), self.world, &windows, &hit));
        let shift = self.random.integer(-15, 40) * SECOND;
        let mut incident = Incident {
            id: format!("INC-{}", 2000 + self.random.below(7000)),
            service: self.world.services[alert].name.to_owned(),
            signal,
            t0: windows.onset + shift,
            t1: windows.over + shift.min(0),
            detected: windows.onset + self.random.integer(30, 120) * SECOND,
        };
        if scenario == Scenario::CostSpike {
            let day = 86_400 * SECOND;
            incident.t0 = windows.onset - windows.onset.rem_euclid(day);
            incident.t1 = incident.t0 + 7 * day;
            incident.detected = incident.t0 + day + 9 * 3600 * SECOND;
        }
        let (versions, rollouts, changes): (_, Vec<Option<Rollout>>, _) = self.ledger.close();
        Story {
            windows,
            effects: self.effects,
            surges: self.surges,
            versions,
            rollouts,
            flags: self.flags,
            changes,
            incident,
            causes: self.causes,
            note: self.note,
            spike: self.spike,
            leak: self.leak,
        }
    }
}

/// One of the services, in proportion to their traffic: busy services have the alerts.
fn busiest(random: &mut Random, traffic: &[f64], services: &[usize]) -> usize {
    let mut total = 0.0;
    let mut cumulative = Vec::with_capacity(services.len());
    for &service in services {
        total += traffic[service];
        cumulative.push(total);
    }
    services[random.weighted(&cumulative)]
}
