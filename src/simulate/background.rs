//! Everything innocent: the ledger of changes, deploys that break nothing, tuning, flags, maintenance, and services
//! that fluctuate for no reason.

use super::faults::{Cohort, Effect, Target};
use super::random::Random;
use super::story::{Change, Flag, Rollout, SECOND, Via, Windows};
use super::world::World;

/// People who deploy, a few a team.
pub const PEOPLE: [&str; 14] = [
    "amara", "bogdan", "chen", "dalia", "emeka", "freya", "goran", "hana", "ines", "jonas", "kavya", "liam", "mira",
    "noor",
];

/// Pipeline runs are numbered apart from deployments.
const RUN_OFFSET: i64 = 9_000_000_000;

fn whole_seconds(at: i64) -> i64 {
    at - at.rem_euclid(SECOND)
}

/// Collects the changes and the versions that follow from them.
#[derive(Debug)]
pub struct Ledger {
    random: Random,
    versions: Vec<Vec<String>>,
    rollouts: Vec<Option<Rollout>>,
    changes: Vec<Change>,
    number: i64,
}

impl Ledger {
    /// Nothing has changed yet; every service has its first version.
    #[must_use]
    pub fn new(seed: u64, world: &World) -> Self {
        let mut random = Random::new(seed, "ledger");
        let version =
            |random: &mut Random| format!("{}.{}.{}", 1 + random.below(4), random.below(40), random.below(12));
        let versions = world.services.iter().map(|_| vec![version(&mut random)]).collect();
        let number = 1_400_000_000 + random.integer(0, 300_000_000);
        Self { random, versions, rollouts: vec![None; world.services.len()], changes: Vec::new(), number }
    }

    /// Its random numbers.
    pub fn random(&mut self) -> &mut Random {
        &mut self.random
    }

    /// Whether the service already changes its version within the telemetry.
    #[must_use]
    pub fn has_rollout(&self, service: usize) -> bool {
        self.rollouts[service].is_some()
    }

    /// The pipeline run of a change.
    #[must_use]
    pub fn run_of(&self, change: &str) -> Option<i64> {
        self.changes.iter().find(|c| c.id == change).map(|c| c.run)
    }

    /// Versions, rollouts and changes in order of time.
    #[must_use]
    pub fn close(mut self) -> (Vec<Vec<String>>, Vec<Option<Rollout>>, Vec<Change>) {
        self.changes.sort_by(|a, b| (a.started, &a.id).cmp(&(b.started, &b.id)));
        (self.versions, self.rollouts, self.changes)
    }

    /// Numbers of deployments grow with time, as they do at the platform that hands them out.
    fn number_at(&mut self, at: i64) -> i64 {
        loop {
            let number = self.number + at / SECOND % 100_000_000 * 7 + self.random.integer(0, 7);
            let run = RUN_OFFSET + number;
            if self.changes.iter().all(|change| change.run != run) {
                return number;
            }
        }
    }

    fn push(
        &mut self,
        world: &World,
        service: usize,
        kind: &'static str,
        versions: [&str; 2],
        times: [i64; 2],
    ) -> String {
        let via = if world.services[service].cdevents { Via::CdEvents } else { Via::GitHub };
        let times = times.map(whole_seconds);
        let number = self.number_at(times[0]);
        let id = if via == Via::CdEvents { self.random.uuid() } else { number.to_string() };
        let name = world.services[service].name;
        let verb = if kind == "rollback" { "roll back" } else { "deploy" };
        let actor = *self.random.pick(&PEOPLE);
        self.changes.push(Change {
            id: id.clone(),
            kind,
            target: name.to_owned(),
            version: Some(versions[1].to_owned()),
            previous: Some(versions[0].to_owned()),
            revision: self.random.hex(40),
            run: RUN_OFFSET + number,
            actor: actor.to_owned(),
            status: "succeeded",
            started: times[0],
            finished: Some(times[1]),
            title: format!("{verb} {name} {}", versions[1]),
            via,
        });
        id
    }

    /// A deploy that the telemetry shows: at `at`, to a canary of this share (1 for none) that is promoted later unless
    /// the deploy is rolled back. Returns the id of the change.
    pub fn deploy(&mut self, world: &World, service: usize, at: i64, canary: f64, back_at: Option<i64>) -> String {
        let at = whole_seconds(at);
        if self.rollouts[service].is_some() {
            return String::new();
        }
        let old = self.versions[service][0].clone();
        let new = bump(&old, &mut self.random);
        self.versions[service].push(new.clone());
        let ramp = self.random.integer(10, 60) * SECOND;
        let id = self.push(world, service, "deploy", [&old, &new], [at, at + ramp + 5 * SECOND]);
        if let Some(back) = back_at {
            self.push(world, service, "rollback", [&new, &old], [back - 10 * SECOND, back + ramp]);
        }
        let promoted = at + self.random.integer(240, 1200) * SECOND;
        let full_at = (canary < 1.0 && back_at.is_none()).then_some(promoted);
        self.rollouts[service] = Some(Rollout { at, from: 0, to: 1, canary, ramp, full_at, back_at });
        id
    }

    /// A deploy in the past or one that failed: recorded, but the telemetry shows only its result.
    pub fn past_deploy(&mut self, world: &World, service: usize, at: i64, failed: bool) {
        let current = self.versions[service][0].clone();
        let other = if failed { bump(&current, &mut self.random) } else { lower(&current) };
        let pair = if failed { [current.as_str(), &other] } else { [other.as_str(), &current] };
        let finished = at + self.random.integer(40, 200) * SECOND;
        self.push(world, service, "deploy", pair, [at, finished]);
        if let (true, Some(change)) = (failed, self.changes.last_mut()) {
            change.status = "failed";
        }
    }

    /// A change that no webhook expresses. Returns its id.
    pub fn table(&mut self, kind: &'static str, target: &str, at: i64, finished: Option<i64>, title: &str) -> String {
        let (at, finished) = (whole_seconds(at), finished.map(whole_seconds));
        let id = format!("{}-{}", &kind[..3], self.random.hex(10));
        let actor = if kind == "provider" { "status-page" } else { *self.random.pick(&PEOPLE) };
        self.changes.push(Change {
            id: id.clone(),
            kind,
            target: target.to_owned(),
            version: None,
            previous: None,
            revision: if kind == "config" { self.random.hex(40) } else { String::new() },
            run: 0,
            actor: actor.to_owned(),
            status: "succeeded",
            started: at,
            finished,
            title: title.to_owned(),
            via: Via::Table,
        });
        id
    }
}

fn parts(version: &str) -> [u32; 3] {
    let mut numbers = version.split('.').map(|part| part.parse().unwrap_or(0));
    [(); 3].map(|()| numbers.next().unwrap_or(0))
}

fn bump(version: &str, random: &mut Random) -> String {
    let [major, minor, patch] = parts(version);
    if random.chance(0.5) { format!("{major}.{minor}.{}", patch + 1) } else { format!("{major}.{}.0", minor + 1) }
}

fn lower(version: &str) -> String {
    let [major, minor, patch] = parts(version);
    match (minor, patch) {
        (0, 0) => format!("{major}.0.0-rc.1"),
        (minor, 0) => format!("{major}.{}.3", minor - 1),
        (minor, patch) => format!("{major}.{minor}.{}", patch - 1),
    }
}

/// A plausible flag of a service.
pub fn flag_key(random: &mut Random, service: &str) -> String {
    let what = ["fast-path", "new-layout", "batch-writes", "strict-mode", "cache-v2", "async-lookup"];
    format!("{service}.{}-{}", random.pick(&what), random.below(90) + 10)
}

/// A plausible title of a configuration change.
pub fn config_title(random: &mut Random) -> String {
    let what = [
        "connection pool size",
        "upstream timeout",
        "cache ttl",
        "worker threads",
        "batch size",
        "rate limit",
        "heap size",
        "log level",
    ];
    format!("{}: {} → {}", random.pick(&what), random.integer(10, 90), random.integer(2, 400))
}

/// Record innocent changes: a week of history, deploys all over the telemetry, and some shortly before the incident
/// beside the service that alerts.
pub fn changes(world: &World, windows: &Windows, alert: usize, ledger: &mut Ledger, flags: &mut Vec<Flag>) {
    let week = 7 * 86_400 * SECOND;
    for service in 0..world.services.len() {
        if ledger.random.chance(0.7) {
            let at = windows.start - ledger.random.integer(3600, week / SECOND) * SECOND;
            ledger.past_deploy(world, service, at, false);
        }
    }
    let total = 4 + ledger.random.below(4);
    let near = 1 + ledger.random.below(3);
    for at_number in 0..total + near {
        let mut service = ledger.random.below(world.services.len());
        let shortly = at_number < near;
        if shortly && at_number == 0 && !ledger.has_rollout(alert) && ledger.random.chance(0.5) {
            service = alert;
        }
        if ledger.has_rollout(service) {
            continue;
        }
        let at = if shortly {
            windows.onset - ledger.random.integer(10, windows.incident() / SECOND) * SECOND
        } else {
            ledger.random.integer(windows.start / SECOND, windows.end / SECOND) * SECOND
        };
        if ledger.random.chance(0.1) {
            ledger.past_deploy(world, service, at, true);
            continue;
        }
        let canary = if ledger.random.chance(0.4) { ledger.random.between(0.1, 0.5) } else { 1.0 };
        let back = at + ledger.random.integer(120, 600) * SECOND;
        let regretted = canary < 1.0 && back < windows.end && ledger.random.chance(0.3);
        ledger.deploy(world, service, at, canary, regretted.then_some(back));
    }
    tuning(world, windows, ledger);
    innocent_flags(world, windows, ledger, flags);
}

/// Configuration changes and a provider's maintenance that hurt nobody.
fn tuning(world: &World, windows: &Windows, ledger: &mut Ledger) {
    for _ in 0..2 + ledger.random.below(3) {
        let name = world.services[ledger.random.below(world.services.len())].name;
        let at = ledger.random.integer(windows.start / SECOND, windows.over / SECOND) * SECOND;
        let title = config_title(&mut ledger.random);
        ledger.table("config", name, at, Some(at + SECOND), &title);
    }
    let external: Vec<&str> = world.peers.iter().filter(|peer| peer.external).map(|peer| peer.name).collect();
    let name = *ledger.random.pick(&external);
    let at = ledger.random.integer(windows.start / SECOND, windows.end / SECOND) * SECOND;
    let title = format!("{name}: scheduled maintenance in another region");
    ledger.table("provider", name, at, Some(at + 1800 * SECOND), &title);
}

fn innocent_flags(world: &World, windows: &Windows, ledger: &mut Ledger, flags: &mut Vec<Flag>) {
    for _ in 0..2 + ledger.random.below(2) {
        let service = ledger.random.below(world.services.len());
        if flags.iter().any(|flag| flag.service == service) {
            continue;
        }
        let name = world.services[service].name;
        let key = flag_key(&mut ledger.random, name);
        let at = ledger.random.integer(windows.start / SECOND, windows.over / SECOND) * SECOND;
        let (before, after) = (ledger.random.between(0.0, 0.3), ledger.random.between(0.3, 1.0));
        let title = format!("{key}: on for {:.0} %", after * 100.0);
        ledger.table("feature_flag", name, at, Some(at), &title);
        let in_logs = ledger.random.chance(0.4);
        flags.push(Flag { key, service, in_logs, shares: vec![(0, before), (at, after)] });
    }
}

/// Services that fluctuate a little on their own, during the incident too.
pub fn wiggles(random: &mut Random, world: &World, windows: &Windows, hit: &[Target]) -> Vec<Effect> {
    let mut wiggles = Vec::new();
    for _ in 0..4 + random.below(4) {
        let service = random.below(world.services.len());
        if hit.contains(&Target::Service(service)) {
            continue;
        }
        let from = random.integer(windows.start / SECOND, windows.over / SECOND) * SECOND;
        let noisy = random.chance(0.5);
        wiggles.push(Effect {
            target: Target::Service(service),
            cohort: Cohort::All,
            operations: Vec::new(),
            from,
            to: from + (windows.incident() as f64 * random.between(0.2, 0.8)) as i64,
            ramp: 20 * SECOND,
            error_rate: if noisy { random.between(0.004, 0.03) } else { 0.0 },
            latency: if noisy { 1.0 } else { random.between(1.1, 1.6) },
            error_type: "Unavailable",
            silent: false,
            message: "temporary failure while handling {}",
        });
    }
    wiggles
}
