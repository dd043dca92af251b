//! A simulator with known truth: a company of 26 services, generated as the input files that real sources deliver, and
//! a `truth.json` that says what really happened. The same plan gives the same bytes on every machine.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Datelike};

use crate::error::{Result, UserError, plural};

mod background;
mod billing;
mod faults;
mod identity;
mod metrics;
mod otlp;
mod ownership;
mod random;
mod scenario;
mod story;
mod timeline;
mod traffic;
mod truth;
mod webhooks;
mod world;

pub use billing::RULE_SET;
use story::{SECOND, Windows};

/// When the telemetry of a simulation begins unless told otherwise: 2026-03-17 09:30 UTC, in microseconds since the epoch.
pub const DEFAULT_START: i64 = 1_773_739_800_000_000;

/// Fewest spans that make a window worth looking at.
pub const MIN_SPANS: u64 = 1_000;

/// Most spans of one simulation.
pub const MAX_SPANS: u64 = 1_000_000_000;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// A release breaks a service.
    BadDeploy,
    /// A configuration change or a feature flag does.
    BadConfig,
    /// A provider fails shortly after an innocent deploy.
    InnocentDeploy,
    /// Two independent causes at once.
    TwoCauses,
    /// More load than a service can take; nobody changed anything.
    NoChange,
    /// A store becomes slow, with or without a migration.
    SlowDependency,
    /// The key of a CI job is used by an outsider.
    LeakedCiKey,
    /// Autoscaling multiplies the cost of a service.
    CostSpike,
    /// One tenant crowds out the others.
    NoisyTenant,
}

const SCENARIOS: &[Scenario] = &[
    Scenario::BadDeploy,
    Scenario::BadConfig,
    Scenario::InnocentDeploy,
    Scenario::TwoCauses,
    Scenario::NoChange,
    Scenario::SlowDependency,
    Scenario::LeakedCiKey,
    Scenario::CostSpike,
    Scenario::NoisyTenant,
];

/// Every scenario, in the order in which help shows them.
#[must_use]
pub fn scenarios() -> &'static [Scenario] {
    SCENARIOS
}

impl Scenario {
    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::BadDeploy => "bad-deploy",
            Self::BadConfig => "bad-config",
            Self::InnocentDeploy => "innocent-deploy",
            Self::TwoCauses => "two-causes",
            Self::NoChange => "no-change",
            Self::SlowDependency => "slow-dependency",
            Self::LeakedCiKey => "leaked-ci-key",
            Self::CostSpike => "cost-spike",
            Self::NoisyTenant => "noisy-tenant",
        }
    }

    /// One line for people.
    #[must_use]
    pub fn doc(self) -> &'static str {
        match self {
            Self::BadDeploy => {
                "a release breaks a service: errors or latency, full or as a canary, at once or after a while"
            }
            Self::BadConfig => "a configuration change or a feature flag breaks a service",
            Self::InnocentDeploy => "a provider fails shortly after an innocent deploy on the same path",
            Self::TwoCauses => "two independent causes hurt the same service at once",
            Self::NoChange => "more load than a service can take, and nobody changed anything",
            Self::SlowDependency => "a store becomes slow, with or without a migration",
            Self::LeakedCiKey => "an outsider uses the issued key of a CI job to read secrets",
            Self::CostSpike => "a deploy or a setting makes the autoscaler multiply a service's replicas and its cost",
            Self::NoisyTenant => "one tenant's traffic saturates a service that all tenants need",
        }
    }
}

impl std::str::FromStr for Scenario {
    type Err = UserError;

    fn from_str(text: &str) -> std::result::Result<Self, UserError> {
        SCENARIOS.iter().copied().find(|scenario| scenario.name() == text).ok_or_else(|| {
            let names: Vec<&str> = SCENARIOS.iter().map(|scenario| scenario.name()).collect();
            UserError::invalid(format!("unknown scenario: {text}")).hint(format!("Use one of {}.", names.join(", ")))
        })
    }
}

/// What to simulate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// What goes wrong.
    pub scenario: Scenario,
    /// Decides everything else.
    pub seed: u64,
    /// About how many spans; more spans mean more requests a second, and a longer window only up to a point.
    pub spans: u64,
    /// When the telemetry begins, microseconds since the epoch.
    pub start: i64,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Spans.
    pub spans: u64,
    /// Traces.
    pub traces: u64,
    /// Log records.
    pub logs: u64,
    /// Metric data points and histograms.
    pub metrics: u64,
    /// Recorded changes.
    pub changes: usize,
    /// The truth file.
    pub truth: PathBuf,
}

/// One import that lands a part of the simulation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// Name of the source, as `ascribe import` takes it.
    pub source: &'static str,
    /// Files in order.
    pub paths: Vec<PathBuf>,
    /// Target table of the generic sources.
    pub table: Option<&'static str>,
}

/// The imports of a generated directory, in the order in which they are to be made: ownership before what is owned.
///
/// # Errors
/// When the directory cannot be read.
pub fn manifest(directory: &Path) -> Result<Vec<Import>> {
    let parts: [(&str, &str, Option<&str>); 10] = [
        ("csv", "ownership.csv", Some("ownership")),
        ("csv", "allocation_rules.csv", Some("allocation_rules")),
        ("backstage", "backstage", None),
        ("github", "github", None),
        ("cdevents", "cdevents", None),
        ("csv", "changes.csv", Some("changes")),
        ("csv", "scaling_events.csv", Some("scaling_events")),
        ("focus", "focus", None),
        ("cloudtrail", "cloudtrail", None),
        ("otlp", "otlp", None),
    ];
    let mut imports = Vec::new();
    for (source, part, table) in parts {
        let path = directory.join(part);
        let mut paths = Vec::new();
        if path.is_dir() {
            for entry in std::fs::read_dir(&path)? {
                paths.push(entry?.path());
            }
            paths.sort();
        } else {
            paths.push(path);
        }
        if !paths.is_empty() {
            imports.push(Import { source, paths, table });
        }
    }
    Ok(imports)
}

/// Generate the plan's files into the directory, which is created; files of an earlier run there are replaced.
///
/// # Errors
/// When the plan is out of range, the files cannot be written, or no place for the trouble can be found.
pub fn run(plan: &Plan, directory: &Path) -> Result<Summary> {
    let windows = windows(plan)?;
    let mut world = world::World::new(plan.seed)?;
    let story = scenario::draw(plan.scenario, plan.seed, &mut world, windows)?;
    let timeline = timeline::Timeline::new(plan.seed, &world, &story);
    for part in ["otlp", "github", "cdevents", "focus", "cloudtrail", "backstage"] {
        let path = directory.join(part);
        if path.is_dir() {
            std::fs::remove_dir_all(&path)?;
        }
        std::fs::create_dir_all(&path)?;
    }
    let (counts, exported, instances) = telemetry(plan, &world, &story, &timeline, directory)?;
    webhooks::write(plan.seed, &world, &story, &timeline, directory)?;
    let month = DateTime::from_timestamp_nanos(windows.start).date_naive().with_day(1).unwrap_or_default();
    let ownership = ownership::Ownership::new(plan.seed, &world, billing::nanos(month));
    ownership.write_csv(&directory.join("ownership.csv"))?;
    ownership.write_backstage(&world, &directory.join("backstage").join("catalog-info.yaml"))?;
    billing::write_rules(&directory.join("allocation_rules.csv"))?;
    let billed = billing::write(plan.seed, &world, &story, &ownership, month, directory)?;
    let access = identity::write(plan.seed, &world, &story, directory)?;
    let known = truth::Known {
        plan,
        world: &world,
        story: &story,
        counts: &counts,
        exported: &exported,
        instances: &instances,
        billed: &billed,
        access: &access,
    };
    let path = directory.join("truth.json");
    let mut text = serde_json::to_string_pretty(&truth::json(&known)).map_err(std::io::Error::from)?;
    text.push('\n');
    std::fs::write(&path, text)?;
    Ok(Summary {
        spans: exported.spans,
        traces: counts.traces,
        logs: exported.logs,
        metrics: exported.metrics,
        changes: story.changes.len(),
        truth: path,
    })
}

/// Requests that a trial sends to learn how many spans one makes.
const TRIAL: u32 = 600;

fn telemetry(
    plan: &Plan,
    world: &world::World,
    story: &story::Story,
    timeline: &timeline::Timeline,
    directory: &Path,
) -> Result<(traffic::Counts, otlp::Exported, Vec<otlp::Instance>)> {
    let mut trial = traffic::Traffic::new(plan.seed, "trial", world, story, timeline, None);
    let requests = trial.requests_for(plan.spans as f64, TRIAL);
    let mut exporter = otlp::Exporter::new(plan.seed, &directory.join("otlp"));
    let mut traffic = traffic::Traffic::new(plan.seed, "traffic", world, story, timeline, Some(&mut exporter));
    traffic.run(requests)?;
    let counts = traffic.counts.clone();
    let (exported, instances) = exporter.close()?;
    Ok((counts, exported, instances))
}

/// The baseline is four times as long as the incident; small volumes get short windows, so that rates stay meaningful.
fn windows(plan: &Plan) -> Result<Windows> {
    if !(MIN_SPANS..=MAX_SPANS).contains(&plan.spans) {
        return Err(UserError::invalid(format!("cannot simulate {} {}", plan.spans, plural(plan.spans, "span")))
            .hint(format!("Ask for {MIN_SPANS} to {MAX_SPANS}."))
            .into());
    }
    let day = 86_400_000_000;
    let start = if (31 * day..=80_000 * day).contains(&plan.start) {
        plan.start * 1000
    } else {
        return Err(UserError::invalid("the simulation cannot start at that time")
            .hint("Choose a time between 1970-02-01 and 2189.")
            .into());
    };
    let minutes = match plan.spans {
        ..50_000 => 5,
        50_000..300_000 => 8,
        _ => 15,
    };
    let mut random = random::Random::new(plan.seed, "windows");
    let length = minutes * 60 * SECOND + random.integer(0, 90) * SECOND;
    let onset = start + 4 * length + random.integer(0, 60_000) * (SECOND / 1000);
    let over = onset + length;
    Ok(Windows { start, onset, over, end: over + length / 3 })
}

#[cfg(test)]
mod tests;
