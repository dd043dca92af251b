//! Evidence: what a candidate's score rests on, each statement with the SQL that returns its rows.

use std::collections::HashMap;

use super::answer::suspect_of;
use super::facts::{Fact, Property, name_of};
use super::learn::Learned;
use super::load::changes_query;
use super::question::Question;
use super::rows::{literal, time_literal};
use crate::attribution::change_scoring::{self, Candidate, Cause, Change, Part, sides};
use crate::attribution::contrast::Cohort;
use crate::attribution::detectors::{Detector, Group, Reason, Signal, contribution};
use crate::attribution::metric_blame::Unusual;
use crate::attribution::visits::{Feature, NONE};
use crate::config;

/// Reasons of a service that are written down.
const REASONS: usize = 4;

/// One row of evidence.
#[derive(Debug, Clone)]
pub(in crate::table_functions) struct Draft {
    pub kind: &'static str,
    pub statement: String,
    pub table: &'static str,
    pub row_key: Option<String>,
    pub observed_at: i64,
    pub weight: f64,
    pub query: String,
    /// Rows that the query returns, where they have been counted already.
    pub rows: Option<usize>,
}

/// Everything that statements are made from.
#[derive(Debug)]
pub(in crate::table_functions) struct Reasoner<'a> {
    pub question: &'a Question,
    pub learned: &'a Learned,
    /// The question as arguments of a function.
    arguments: String,
}

/// What the metrics of services say, where there are no traces.
#[derive(Debug)]
pub(in crate::table_functions) struct Measurements {
    pub unusual: HashMap<u32, Unusual>,
    /// Failures, and not durations.
    pub errors: bool,
    /// The condition that selects the points of a service.
    pub filters: HashMap<u32, String>,
}

/// Two groups of requests to one service: what is said of them, and the condition that tells them apart.
struct Contrast<'a> {
    service: &'a str,
    statement: String,
    /// Condition, and the rows that it is asked of.
    is_new: String,
    among: String,
    sides: [Cohort; 2],
    weight: f64,
}

impl<'a> Reasoner<'a> {
    /// What there is to say about a question.
    pub fn new(question: &'a Question, learned: &'a Learned) -> Self {
        Self { question, learned, arguments: question.arguments() }
    }

    /// The evidence of a candidate.
    pub fn explain(&self, candidate: &Candidate, onset: i64) -> Vec<Draft> {
        let mut drafts = Vec::new();
        let words = &self.learned.loaded.vocabulary;
        match candidate.cause {
            Cause::Change(at) => {
                if let Some(change) = self.learned.changes.get(at) {
                    drafts.push(self.lead_time(candidate, change));
                    drafts.extend(self.cohort(candidate, change, onset));
                    drafts.push(self.blame(candidate, "reaches", onset));
                }
            }
            Cause::Nothing => {
                drafts.push(self.all_changes(candidate));
                drafts.extend(self.quiet(candidate));
            }
            _ => drafts.push(self.blame(candidate, "lies with", onset)),
        }
        self.explain_service(candidate, &mut drafts);
        let contrast = part(candidate, Part::Cohort);
        if let Cause::Tenant(tenant) = candidate.cause
            && contrast != 0.0
        {
            drafts.push(self.tenant(candidate, tenant, onset, contrast));
        }
        let load = part(candidate, Part::Load);
        if load > 0.0 {
            drafts.extend(self.load(words.services.text(candidate.service), candidate, load));
        }
        drafts
    }

    fn visits(&self) -> String {
        format!("incident_visits({})", self.arguments)
    }

    /// When the change was made, against the onset that its lead time counts to: that of the service, where it has one.
    fn lead_time(&self, candidate: &Candidate, change: &Change) -> Draft {
        let words = &self.learned.loaded.vocabulary;
        let (service, version) = (words.services.text(change.service), words.versions.text(change.version));
        let lead = candidate.lead_time.unwrap_or_default() as f64 / 1e6;
        let trouble = match self.learned.findings.onsets.get(&change.service) {
            Some(own) => format!("the trouble in {service} at {}", shown(own / 1000)),
            None => "the trouble".to_owned(),
        };
        let when = match lead.round() {
            0.0 => format!("together with {trouble}"),
            lead if lead > 0.0 => format!("{lead} s before {trouble}"),
            lead => format!("{} s after {trouble}", -lead),
        };
        let what = if service.is_empty() { change.kind.clone() } else { format!("{} of {service}", change.kind) };
        let (statement, table, query) = if change.recorded {
            (
                format!("The {what} ({}) began {when}.", change.id),
                "changes",
                // A state of it that was told twice is one row, whether maintenance has been there or not.
                format!(
                    "SELECT DISTINCT ON (status, source) * FROM changes WHERE change_id = {} \
                     ORDER BY status, source, started_at, ingested_at",
                    literal(&change.id)
                ),
            )
        } else {
            let (from, to) = (self.learned.window.before / 1000, self.question.to);
            (
                format!("Version {version} of {service} was first seen {when}; nobody recorded a change."),
                "spans",
                format!(
                    "SELECT DISTINCT ON (trace_id, span_id) trace_id, span_id, start_time, service_version FROM spans \
                     WHERE service_name = {} \
                     AND service_version = {} AND start_time >= {} AND start_time < {} \
                     ORDER BY trace_id, span_id, start_time",
                    literal(service),
                    literal(version),
                    time_literal(from),
                    time_literal(to)
                ),
            )
        };
        Draft {
            kind: Part::LeadTime.name(),
            statement,
            table,
            row_key: change.recorded.then(|| change.id.clone()),
            observed_at: change.time,
            weight: part(candidate, Part::LeadTime) + part(candidate, Part::Prior),
            query,
            rows: None,
        }
    }

    /// How much of the blame there is, by the service's row of `incident_services`.
    fn blame(&self, candidate: &Candidate, verb: &str, onset: i64) -> Draft {
        let service = self.learned.loaded.vocabulary.services.text(candidate.service);
        let known = suspect_of(&self.learned.findings, candidate.service).is_some();
        let statement = if known {
            format!("{:.1} % of the blame {verb} {service}.", 100.0 * candidate.effect)
        } else if service.is_empty() {
            "The change names no service.".to_owned()
        } else if self.learned.visits.all.iter().any(|visit| visit.service == candidate.service) {
            format!(
                "{service} did nothing for the requests to {0}: what calls {0} is not to blame for it.",
                self.question.service
            )
        } else {
            format!("{service} took no part in any request that was seen.")
        };
        Draft {
            kind: Part::Blame.name(),
            statement,
            table: if self.learned.measured.is_some() { "metric_points" } else { "spans" },
            row_key: None,
            observed_at: onset,
            weight: part(candidate, Part::Blame),
            query: format!(
                "SELECT * FROM incident_services({}) WHERE service_name = {}",
                self.arguments,
                literal(service)
            ),
            rows: Some(usize::from(known)),
        }
    }

    /// Requests that the change concerned, against the others at the same time.
    fn cohort(&self, candidate: &Candidate, change: &Change, onset: i64) -> Option<Draft> {
        let weight = Some(part(candidate, Part::Cohort)).filter(|weight| *weight != 0.0)?;
        let (new, others, _) = sides(&self.learned.findings, change)?;
        let words = &self.learned.loaded.vocabulary;
        let service = words.services.text(change.service);
        let (which, is_new, among) = if change.version == NONE {
            let variant = change_scoring::new_variant(&self.learned.findings, change)?;
            let flag = words.flags.text(change.flag);
            let seen = name_of(words, Feature::Flag(change.flag, variant));
            (
                format!("with {flag} = {}", words.variants.text(variant)),
                format!("flag = {}", literal(&seen)),
                format!(
                    "(SELECT *, unnest(seen) AS flag FROM {}) AS visits WHERE starts_with(flag, {})",
                    self.visits(),
                    literal(&format!("flag: {flag}="))
                ),
            )
        } else {
            let version = words.versions.text(change.version);
            (
                format!("in version {version}"),
                format!("service_version = {}", literal(version)),
                format!("{} WHERE service_version IS NOT NULL", self.visits()),
            )
        };
        let statement = format!(
            "From {} on, {} of the requests to {service} {which} were unusual, {} of the others.",
            shown(onset),
            share(&new),
            share(&others)
        );
        Some(self.contrast(Contrast { service, statement, is_new, among, sides: [new, others], weight }, onset))
    }

    /// One tenant's requests against those of the others.
    fn tenant(&self, candidate: &Candidate, tenant: u32, onset: i64, weight: f64) -> Draft {
        let words = &self.learned.loaded.vocabulary;
        let (service, name) = (words.services.text(candidate.service), words.tenants.text(tenant));
        let (mut theirs, mut others) = (Cohort::default(), Cohort::default());
        for (group, (_, during)) in self.learned.findings.cohorts.get(&candidate.service).into_iter().flatten() {
            match group {
                Group::Tenant(known) if *known == tenant => theirs.add(during),
                Group::Tenant(_) => others.add(during),
                _ => {}
            }
        }
        let statement = format!(
            "From {} on, {} of the requests of tenant {name} to {service} were unusual, {} of those of others.",
            shown(onset),
            share(&theirs),
            share(&others)
        );
        let is_new = format!("tenant_id = {}", literal(name));
        let among = format!("{} WHERE tenant_id IS NOT NULL", self.visits());
        self.contrast(Contrast { service, statement, is_new, among, sides: [theirs, others], weight }, onset)
    }

    fn contrast(&self, contrast: Contrast<'_>, onset: i64) -> Draft {
        let from = onset.max(self.question.from);
        Draft {
            kind: Part::Cohort.name(),
            statement: contrast.statement,
            table: "spans",
            row_key: None,
            observed_at: from,
            weight: contrast.weight,
            query: format!(
                "SELECT {} AS concerned, count(*) FILTER (WHERE is_unusual) AS unusual, count(*) AS requests FROM {} \
                 AND service_name = {} AND in_scope AND phase = 'during' AND start_time >= {} \
                 AND is_unusual IS NOT NULL GROUP BY concerned",
                contrast.is_new,
                contrast.among,
                literal(contrast.service),
                time_literal(from)
            ),
            rows: Some(contrast.sides.iter().filter(|side| side.visits > 0.0).count()),
        }
    }

    fn all_changes(&self, candidate: &Candidate) -> Draft {
        let (recorded, derived): (Vec<_>, Vec<_>) = self.learned.changes.iter().partition(|change| change.recorded);
        let unrecorded = match derived.len() {
            0 => String::new(),
            some => format!(", and {some} that only the versions in the spans tell of"),
        };
        Draft {
            kind: "no_change",
            statement: match recorded.len() {
                1 => format!("1 recorded change was considered{unrecorded}."),
                some => format!("{some} recorded changes were considered{unrecorded}."),
            },
            table: "changes",
            row_key: None,
            observed_at: self.question.from,
            weight: part(candidate, Part::Prior),
            query: changes_query(
                &time_literal(self.question.from.saturating_sub(config::CHANGE_LOOKBACK_MICROS)),
                &time_literal(self.question.to),
                &self.question.environment_literal(),
            ),
            rows: Some(recorded.len()),
        }
    }

    /// That what was noticed may be no more than chance.
    fn quiet(&self, candidate: &Candidate) -> Option<Draft> {
        let surprise = self.learned.findings.surprise?;
        let (what, table, query) = match &self.learned.measured {
            None => (
                "Unusual requests (or gaps) exceed their usual number".to_owned(),
                "spans",
                format!(
                    "SELECT phase, count(*) FILTER (WHERE is_unusual) AS unusual, \
                     count(*) FILTER (WHERE has_unusual_gap) AS gaps, count(*) AS visits FROM {} \
                     WHERE in_scope AND phase IN ('before', 'during') AND is_unusual IS NOT NULL GROUP BY phase",
                    self.visits()
                ),
            ),
            Some(measured) => {
                let service = self.learned.loaded.vocabulary.services.find(&self.question.service)?;
                let what = if measured.errors { "Failures of" } else { "Durations of" };
                (
                    format!("{what} requests to {} exceed what is usual", self.question.service),
                    "metric_points",
                    self.points(measured.filters.get(&service)?, self.learned.window.before / 1000),
                )
            }
        };
        Some(Draft {
            kind: Part::Quiet.name(),
            statement: format!("{what} by {:.1} standard deviations; two are within chance.", surprise.all),
            table,
            row_key: None,
            observed_at: self.question.from,
            weight: part(candidate, Part::Quiet),
            query,
            rows: None,
        })
    }

    /// The points that a condition selects, from a time to the end of the incident. One that arrived twice is one: maintenance
    /// may leave it out, and the query gives the same rows before and after.
    fn points(&self, filter: &str, from: i64) -> String {
        format!(
            "SELECT DISTINCT time, metric_name, value, count, sum, attributes FROM metric_points WHERE {filter} \
             AND time >= {} AND time < {}{}",
            time_literal(from),
            time_literal(self.question.to),
            self.question.environment_literal()
        )
    }

    fn explain_service(&self, candidate: &Candidate, drafts: &mut Vec<Draft>) {
        drafts.extend(self.measured(candidate));
        let Some(suspect) = suspect_of(&self.learned.findings, candidate.service) else { return };
        let service = self.learned.loaded.vocabulary.services.text(candidate.service);
        for reason in suspect.reasons.iter().take(REASONS) {
            let weight = contribution(suspect, reason.detector, Signal::Any);
            drafts.extend(self.reason(candidate.service, reason, weight));
        }
        if let Some((metric, saturation)) = &suspect.resource {
            let (from, to) = (self.question.from, self.question.to + config::RESOURCE_LAG_MICROS);
            drafts.push(Draft {
                kind: "resource",
                statement: format!(
                    "{metric} of {service} rose to {:.4} from a usual {:.4}.",
                    saturation.peak, saturation.usual
                ),
                table: "metric_points",
                row_key: None,
                observed_at: from,
                weight: contribution(suspect, Detector::Resource, Signal::Any),
                query: format!(
                    "SELECT DISTINCT time, value, resource_attributes FROM metric_points WHERE service_name = {} \
                     AND metric_name = {} AND time >= {} AND time < {} AND value >= {}{}",
                    literal(service),
                    literal(metric),
                    time_literal(from),
                    time_literal(to),
                    saturation.threshold,
                    self.question.environment_literal()
                ),
                rows: None,
            });
        }
    }

    /// What a service's own metrics say about it.
    fn measured(&self, candidate: &Candidate) -> Option<Draft> {
        let measured = self.learned.measured.as_ref()?;
        let unusual = measured.unusual.get(&candidate.service)?;
        let filter = measured.filters.get(&candidate.service)?;
        let service = self.learned.loaded.vocabulary.services.text(candidate.service);
        let statement = if measured.errors {
            format!(
                "Up to {:.2} % of the requests to {service} failed; {:.2} % is usual.",
                100.0 * unusual.peak,
                100.0 * unusual.usual
            )
        } else {
            format!(
                "Requests to {service} took up to {:.1} ms on average; {:.1} ms is usual.",
                1000.0 * unusual.peak,
                1000.0 * unusual.usual
            )
        };
        Some(Draft {
            kind: if measured.errors { "errors" } else { "latency" },
            statement,
            table: "metric_points",
            row_key: None,
            observed_at: unusual.since.unwrap_or(self.question.from),
            weight: candidate.effect,
            query: self.points(filter, self.question.from),
            rows: None,
        })
    }

    /// A reason as a fact that can be counted. Flags are compared as groups; none is a reason.
    fn reason(&self, service: u32, reason: &Reason, weight: f64) -> Option<Draft> {
        let words = &self.learned.loaded.vocabulary;
        let named = reason.feature.map(|feature| name_of(words, feature));
        let limit = (reason.threshold * 1e6).floor() as i64;
        let (kind, property) = match (reason.detector, &named) {
            (Detector::Latency, _) => ("latency", Property::SelfTimeOver(limit)),
            (Detector::Gap, _) => ("gap", Property::GapOver(limit)),
            (Detector::Structure, Some(name)) if reason.vanished => ("vanished_successor", Property::Lacks(name)),
            (Detector::Structure, Some(name)) => ("new_error", Property::Shows(name)),
            (Detector::Structure | Detector::Resource, _) => return None,
        };
        let fact = Fact { service, operation: reason.operation, property };
        let count = fact.count(self.learned);
        let (service, operation) = (words.services.text(service), words.operations.text(reason.operation));
        let usual = 100.0 * reason.usual;
        let requests = if count == 1 { "request" } else { "requests" };
        let statement = match &fact.property {
            Property::SelfTimeOver(_) => format!(
                "{count} {requests} to {operation} of {service} spent more than {:.1} ms in {service} itself; {:.1} ms is usual.",
                reason.threshold, reason.usual
            ),
            Property::GapOver(_) => format!(
                "{count} {} of {operation} of {service} took their caller more than {:.1} ms longer than {service}; {:.1} ms is usual.",
                if count == 1 { "call" } else { "calls" },
                reason.threshold,
                reason.usual
            ),
            Property::Lacks(name) => format!(
                "{count} {requests} to {operation} of {service} went without “{name}”, which {usual:.0} % of them show usually."
            ),
            Property::Shows(name) => format!(
                "{count} {requests} to {operation} of {service} had “{name}”, which {usual:.0} % of them have usually."
            ),
        };
        Some(Draft {
            kind,
            statement,
            table: "spans",
            row_key: None,
            observed_at: self.question.from,
            weight,
            query: format!("SELECT * FROM {} WHERE {}", self.visits(), fact.condition(words)),
            rows: Some(count),
        })
    }

    fn load(&self, service: &str, candidate: &Candidate, weight: f64) -> Option<Draft> {
        let traffic = self.learned.traffic.get(&candidate.service).cloned().unwrap_or_default();
        let mut statement =
            format!("{service} took part in {:.2} requests a second, {:.2} before", traffic.during, traffic.before);
        let mut theirs = String::new();
        if let Cause::Tenant(tenant) = candidate.cause {
            let name = self.learned.loaded.vocabulary.tenants.text(tenant);
            let (before, during) = traffic.tenants.get(&tenant).copied().unwrap_or_default();
            statement.push_str(&format!(", of tenant {name} {during:.2} and {before:.2}"));
            theirs = format!(
                ", coalesce(sum(requests) FILTER (WHERE tenant = {}), 0) / seconds AS of_tenant_a_second",
                literal(name)
            );
        }
        let (table, query) = match &self.learned.measured {
            Some(measured) => {
                let filter = measured.filters.get(&candidate.service)?;
                ("metric_points", self.points(filter, self.learned.window.before / 1000))
            }
            // What nothing happened in is no time without requests: a system that was idle was not less busy.
            None => (
                "spans",
                format!(
                    "WITH visits AS (SELECT *, max(tenant_id) OVER (PARTITION BY trace_id) AS tenant FROM {} WHERE phase IN ('before', 'during')), \
                     active AS (SELECT phase, 10 * count(DISTINCT floor(extract(epoch FROM start_time) / 10)) AS seconds \
                     FROM visits GROUP BY phase), \
                     traces AS (SELECT phase, trace_id, tenant, max(adjusted_count) AS requests FROM visits \
                     WHERE service_name = {} GROUP BY phase, trace_id, tenant) \
                     SELECT phase, sum(requests) / seconds AS requests_a_second{theirs} FROM traces JOIN active USING (phase) \
                     GROUP BY phase, seconds",
                    self.visits(),
                    literal(service)
                ),
            ),
        };
        Some(Draft {
            kind: Part::Load.name(),
            statement: statement + ".",
            table,
            row_key: None,
            observed_at: self.question.from,
            weight,
            query,
            rows: None,
        })
    }
}

fn part(candidate: &Candidate, part: Part) -> f64 {
    candidate.parts.iter().filter(|known| known.0 == part).map(|known| known.1).sum()
}

/// Unusual visits of all.
fn share(cohort: &Cohort) -> String {
    format!("{:.1} % ({} of {})", 100.0 * cohort.bad / cohort.visits.max(1.0), cohort.bad, cohort.visits)
}

fn shown(micros: i64) -> String {
    chrono::DateTime::from_timestamp_micros(micros).map_or_else(String::new, |time| time.format("%H:%M:%S").to_string())
}
