//! Evidence: what a candidate's score rests on, each statement with the SQL that returns its rows.

use std::collections::HashMap;

use super::answer::suspect_of;
use super::load::{Loaded, Question};
use super::rows::{literal, time_literal};
use crate::attribution::change_scoring::{Candidate, Cause, Change, Part, sides};
use crate::attribution::contrast::Cohort;
use crate::attribution::detectors::{Detector, Findings, Reason, Signal, Window, contribution};
use crate::attribution::load::Traffic;
use crate::attribution::metric_blame::Unusual;
use crate::attribution::visits::{Feature, NONE};
use crate::config;

/// Reasons of a service that are written down.
const REASONS: usize = 4;

/// One row of evidence before its rows were counted.
#[derive(Debug, Clone)]
pub(in crate::table_functions) struct Draft {
    pub kind: &'static str,
    pub statement: String,
    pub table: &'static str,
    pub row_key: Option<String>,
    pub observed_at: i64,
    pub weight: f64,
    pub query: String,
}

/// Everything that statements are made from.
#[derive(Debug)]
pub(in crate::table_functions) struct Reasoner<'a> {
    pub question: &'a Question,
    pub window: &'a Window,
    pub loaded: &'a Loaded,
    pub findings: &'a Findings,
    pub changes: &'a [Change],
    pub traffic: &'a HashMap<u32, Traffic>,
    pub measured: Option<&'a Measurements>,
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

impl Reasoner<'_> {
    /// The evidence of a candidate.
    pub fn explain(&self, candidate: &Candidate, onset: i64) -> Vec<Draft> {
        let mut drafts = Vec::new();
        if let Cause::Change(at) = candidate.cause
            && let Some(change) = self.changes.get(at)
        {
            self.explain_change(candidate, change, onset, &mut drafts);
        }
        if candidate.cause == Cause::Nothing {
            drafts.push(self.all_changes(candidate));
        }
        self.explain_service(candidate, &mut drafts);
        let contrast = Self::part(candidate, Part::Cohort);
        if let Cause::Tenant(tenant) = candidate.cause
            && contrast != 0.0
        {
            drafts.push(self.explain_tenant(candidate, tenant, contrast));
        }
        if let Some((_, weight)) = candidate.parts.iter().find(|(part, weight)| *part == Part::Load && *weight > 0.0) {
            drafts.push(self.explain_load(candidate, *weight));
        }
        drafts
    }

    fn part(candidate: &Candidate, part: Part) -> f64 {
        candidate.parts.iter().filter(|known| known.0 == part).map(|known| known.1).sum()
    }

    fn during(&self, alias: &str) -> String {
        let (from, to) = (self.window.from / 1000, self.window.to / 1000);
        format!("{alias}start_time >= {} AND {alias}start_time < {}", time_literal(from), time_literal(to))
    }

    fn explain_change(&self, candidate: &Candidate, change: &Change, onset: i64, drafts: &mut Vec<Draft>) {
        let recorded = !change.id.contains('@') || self.is_recorded(change);
        let service = self.loaded.vocabulary.services.text(change.service);
        let version = self.loaded.vocabulary.versions.text(change.version);
        let row = if recorded {
            format!("SELECT * FROM changes WHERE change_id = {}", literal(&change.id))
        } else {
            self.spans_of(&literal(service), "service_version", version)
        };
        let (table, row_key) = if recorded { ("changes", Some(change.id.clone())) } else { ("spans", None) };
        let lead = (onset - change.time) as f64 / 1e6;
        let when = if lead >= 0.0 { format!("{lead:.0} s before") } else { format!("{:.0} s after", -lead) };
        let what = if service.is_empty() { change.kind.clone() } else { format!("{} of {service}", change.kind) };
        drafts.push(Draft {
            kind: Part::LeadTime.name(),
            statement: format!("The {what} ({}) began {when} the trouble.", change.id),
            table,
            row_key: row_key.clone(),
            observed_at: change.time,
            weight: Self::part(candidate, Part::LeadTime) + Self::part(candidate, Part::Prior),
            query: row.clone(),
        });
        drafts.extend(self.contrast(candidate, change));
        drafts.push(Draft {
            kind: Part::Blame.name(),
            statement: format!(
                "{:.0} % of the blame reaches {}.",
                100.0 * candidate.effect,
                if service.is_empty() { "what was changed" } else { service }
            ),
            table,
            row_key,
            observed_at: onset,
            weight: Self::part(candidate, Part::Blame),
            query: row,
        });
    }

    fn is_recorded(&self, change: &Change) -> bool {
        let words = &self.loaded.vocabulary;
        change.id != format!("{}@{}", words.services.text(change.service), words.versions.text(change.version))
    }

    /// Requests that the change concerned, against the others at the same time.
    fn contrast(&self, candidate: &Candidate, change: &Change) -> Option<Draft> {
        let weight = Some(Self::part(candidate, Part::Cohort)).filter(|weight| *weight != 0.0)?;
        let (new, others, _) = sides(self.findings, change)?;
        let words = &self.loaded.vocabulary;
        let service = literal(words.services.text(change.service));
        let (what, query) = if change.version == NONE {
            let flag = words.flags.text(change.flag);
            (
                format!("with the new variant of {flag}"),
                format!(
                    "SELECT trace_id, span_id, time, variant FROM feature_usage WHERE service_name = {service} \
                     AND flag = {} AND {}",
                    literal(flag),
                    self.during("").replace("start_time", "time")
                ),
            )
        } else {
            let version = words.versions.text(change.version);
            (format!("to version {version}"), self.spans_of(&service, "service_version", version))
        };
        Some(Draft {
            kind: Part::Cohort.name(),
            statement: format!(
                "From the onset on {:.1} % of the requests to {} {what} were unusual, {:.1} % of the others.",
                percent(&new),
                words.services.text(change.service),
                percent(&others)
            ),
            table: "spans",
            row_key: None,
            observed_at: self.window.from / 1000,
            weight,
            query,
        })
    }

    /// Spans of a service (a literal) during the incident with a value in a column.
    fn spans_of(&self, service: &str, column: &str, value: &str) -> String {
        format!(
            "SELECT trace_id, span_id, start_time, duration_nano, status_code, {column} FROM spans \
             WHERE service_name = {service} AND {column} = {} AND {}",
            literal(value),
            self.during("")
        )
    }

    /// One tenant's requests against those of the others.
    fn explain_tenant(&self, candidate: &Candidate, tenant: u32, weight: f64) -> Draft {
        let words = &self.loaded.vocabulary;
        let (service, tenant) = (words.services.text(candidate.service), words.tenants.text(tenant));
        Draft {
            kind: Part::Cohort.name(),
            statement: format!(
                "Requests of tenant {tenant} to {service} are unusual far more often than those of others."
            ),
            table: "spans",
            row_key: None,
            observed_at: self.window.from / 1000,
            weight,
            query: self.spans_of(&literal(service), "tenant_id", tenant),
        }
    }

    fn all_changes(&self, candidate: &Candidate) -> Draft {
        let from = self.question.from.saturating_sub(config::CHANGE_LOOKBACK_MICROS);
        Draft {
            kind: "no_change",
            statement: format!("{} changes were considered.", self.changes.len()),
            table: "changes",
            row_key: None,
            observed_at: self.question.from,
            weight: Self::part(candidate, Part::Prior),
            query: format!(
                "SELECT * FROM changes WHERE coalesce(started_at, finished_at) >= {} AND coalesce(started_at, finished_at) < {}",
                time_literal(from),
                time_literal(self.question.to)
            ),
        }
    }

    fn explain_service(&self, candidate: &Candidate, drafts: &mut Vec<Draft>) {
        drafts.extend(self.measured(candidate));
        let Some(suspect) = suspect_of(self.findings, candidate.service) else { return };
        let service = self.loaded.vocabulary.services.text(candidate.service);
        for reason in suspect.reasons.iter().take(REASONS) {
            let weight = contribution(suspect, reason.detector, Signal::Any);
            drafts.push(self.reason(service, reason, weight, suspect.external));
        }
        if let Some((metric, saturation)) = &suspect.resource {
            let (from, to) = (self.window.from / 1000, self.window.to / 1000 + config::RESOURCE_LAG_MICROS);
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
                    "SELECT time, value, resource_attributes FROM metric_points WHERE service_name = {} \
                     AND metric_name = {} AND time >= {} AND time < {} AND value >= {}",
                    literal(service),
                    literal(metric),
                    time_literal(from),
                    time_literal(to),
                    saturation.threshold
                ),
            });
        }
    }

    /// What a service's own metrics say about it.
    fn measured(&self, candidate: &Candidate) -> Option<Draft> {
        let measured = self.measured?;
        let unusual = measured.unusual.get(&candidate.service)?;
        let filter = measured.filters.get(&candidate.service)?;
        let service = self.loaded.vocabulary.services.text(candidate.service);
        let (from, to) = (self.window.from / 1000, self.window.to / 1000);
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
            observed_at: unusual.since.unwrap_or(from),
            weight: candidate.effect,
            query: format!(
                "SELECT time, metric_name, value, count, sum, attributes FROM metric_points WHERE {filter} \
                 AND time >= {} AND time < {}",
                time_literal(from),
                time_literal(to)
            ),
        })
    }

    fn reason(&self, service: &str, reason: &Reason, weight: f64, external: bool) -> Draft {
        let words = &self.loaded.vocabulary;
        let operation = words.operations.text(reason.operation);
        let spans = |more: &str| {
            // An external peer has no spans of its own: those of its callers stand for it.
            let whose = if external {
                format!(
                    "coalesce(peer_service, attributes['server.address'], attributes['db.system.name'], \
                         attributes['db.system'], attributes['net.peer.name'], attributes['messaging.system']) = {}",
                    literal(service)
                )
            } else {
                format!("service_name = {}", literal(service))
            };
            format!(
                "SELECT trace_id, span_id, start_time, duration_nano, status_code FROM spans WHERE {whose} \
                 AND span_name = {} AND {}{more}",
                literal(operation),
                self.during("")
            )
        };
        let slower = |limit: f64| format!(" AND duration_nano > {:.0}", limit * 1e6);
        let (kind, statement, table, query) = match reason.detector {
            Detector::Latency | Detector::Resource => (
                "latency",
                format!(
                    "{:.0} requests to {operation} spent more than {:.1} ms in {service} itself; {:.1} ms is usual.",
                    reason.visits, reason.threshold, reason.usual
                ),
                "spans",
                spans(&slower(reason.threshold)),
            ),
            Detector::Gap => (
                "gap",
                format!(
                    "{:.0} calls of {operation} of {service} took their caller {} more than {:.1} ms longer than the callee; {:.1} ms is usual.",
                    reason.visits,
                    words.services.text(reason.caller),
                    reason.threshold,
                    reason.usual
                ),
                "spans",
                format!(
                    "SELECT p.trace_id, p.span_id, c.span_id AS callee_span_id, p.duration_nano - c.duration_nano AS gap_nano \
                     FROM spans c JOIN spans p ON p.trace_id = c.trace_id AND p.span_id = c.parent_span_id \
                     WHERE c.service_name = {} AND c.span_name = {} AND p.span_kind IN ('CLIENT', 'PRODUCER') \
                     AND p.service_name <> c.service_name AND p.duration_nano - c.duration_nano > {:.0} AND {}",
                    literal(service),
                    literal(operation),
                    reason.threshold * 1e6,
                    self.during("c.")
                ),
            ),
            Detector::Structure => self.structural(service, operation, reason, &spans),
        };
        Draft { kind, statement, table, row_key: None, observed_at: self.window.from / 1000, weight, query }
    }

    fn structural(
        &self,
        service: &str,
        operation: &str,
        reason: &Reason,
        spans: &dyn Fn(&str) -> String,
    ) -> (&'static str, String, &'static str, String) {
        let words = &self.loaded.vocabulary;
        let (from, to) = (time_literal(self.window.from / 1000), time_literal(self.window.to / 1000));
        let usual = 100.0 * reason.usual;
        let (what, table, inner) = match reason.feature {
            Some(Feature::Operation(name) | Feature::Failed(name)) => {
                let name = words.operations.text(name);
                let failed = matches!(reason.feature, Some(Feature::Failed(_)));
                let status = if failed { " AND c.status_code = 'ERROR'" } else { "" };
                let what = if failed { format!("a failed {name}") } else { name.to_owned() };
                (
                    what,
                    "spans",
                    format!("c.service_name = {} AND c.span_name = {}{status}", literal(service), literal(name)),
                )
            }
            Some(Feature::Call(callee)) => {
                let callee = words.services.text(callee);
                (
                    format!("a call to {callee}"),
                    "spans",
                    format!("(c.service_name = {0} OR c.peer_service = {0})", literal(callee)),
                )
            }
            Some(Feature::Log(template) | Feature::ErrorLog(template)) => {
                let error = matches!(reason.feature, Some(Feature::ErrorLog(_)));
                let text = fixed_part(words.templates.example(template));
                let what =
                    if error { format!("the error line “{text}”") } else { format!("the log line “{text}”") };
                (
                    what,
                    "logs",
                    format!("c.service_name = {} AND strpos(c.body, {}) > 0", literal(service), literal(&text)),
                )
            }
            // Flags are compared as groups; none is a reason.
            Some(Feature::Flag(..)) | None => ("something".to_owned(), "spans", "false".to_owned()),
        };
        let time = if table == "logs" { "time" } else { "start_time" };
        if reason.vanished {
            let statement = format!(
                "In {:.0} requests to {operation} of {service}, {what} did not follow; it does in {usual:.0} % of them usually.",
                reason.visits
            );
            let query = spans(&format!(
                " AND NOT EXISTS (SELECT 1 FROM {table} c WHERE c.trace_id = spans.trace_id AND c.{time} >= {from} AND {inner})"
            ));
            return ("vanished_successor", statement, "spans", query);
        }
        let statement = format!(
            "{:.0} requests to {operation} of {service} show {what}, which {usual:.0} % of them do usually.",
            reason.visits
        );
        let columns = if table == "logs" {
            "trace_id, span_id, time, severity_text, body"
        } else {
            "trace_id, span_id, start_time, duration_nano, status_code, status_message"
        };
        let query = format!("SELECT {columns} FROM {table} c WHERE {inner} AND c.{time} >= {from} AND c.{time} < {to}");
        ("new_error", statement, table, query)
    }

    fn explain_load(&self, candidate: &Candidate, weight: f64) -> Draft {
        let service = self.loaded.vocabulary.services.text(candidate.service);
        let traffic = self.traffic.get(&candidate.service).cloned().unwrap_or_default();
        let (whose, filter) = match candidate.cause {
            Cause::Tenant(tenant) if tenant != NONE => {
                let tenant = self.loaded.vocabulary.tenants.text(tenant);
                (format!(", most of the growth from tenant {tenant}"), format!(" AND tenant_id = {}", literal(tenant)))
            }
            _ => (String::new(), String::new()),
        };
        Draft {
            kind: Part::Load.name(),
            statement: format!(
                "{service} took part in {:.2} requests a second, {:.2} before{whose}.",
                traffic.during, traffic.before
            ),
            table: "spans",
            row_key: None,
            observed_at: self.window.from / 1000,
            weight,
            query: format!(
                "SELECT DISTINCT trace_id FROM spans WHERE service_name = {}{filter} AND {}",
                literal(service),
                self.during("")
            ),
        }
    }
}

/// Unusual visits in a hundred.
fn percent(cohort: &Cohort) -> f64 {
    100.0 * cohort.bad / cohort.visits.max(1.0)
}

/// The longest part of a log line without digits, which is the same in all lines of its template.
fn fixed_part(line: &str) -> String {
    let parts = line.split(|c: char| c.is_ascii_digit());
    let longest = parts.max_by_key(|part| part.trim().chars().count()).unwrap_or("");
    longest.trim().chars().take(48).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fixed_part_of_a_line_has_no_values() {
        assert_eq!(
            fixed_part("16:48:22 ERROR t.s.Impl#372 [findContactsById] No contacts according to contactsId: 9f1"),
            "[findContactsById] No contacts according to cont"
        );
        assert_eq!(fixed_part(""), "");
    }
}
