//! From a question to ranked causes with their evidence.

use std::cmp::Ordering;
use std::collections::HashMap;

use uuid::Uuid;

use super::learn::{Learned, learn};
use super::load::{self, Loaded};
use super::question::{Question, SECOND};
use super::reasons::{Draft, Reasoner};
use crate::attribution::change_scoring::{self, Candidate, Cause, Change, Evidence};
use crate::attribution::confidence;
use crate::attribution::detectors::{self, Findings};
use crate::attribution::visits::NONE;
use crate::config;
use crate::error::Result;
use crate::model;
use crate::security::Rights;
use crate::table_functions::Call;

/// Version of the method: part of every attribution's id.
pub(in crate::table_functions) const METHOD_VERSION: &str = "4";

/// Name of the method.
pub(in crate::table_functions) const METHOD: &str = "blame-and-changes";

/// Namespace of attribution ids.
const NAMESPACE: Uuid = Uuid::from_u128(0x8a6d_5b6f_0f5e_4c0c_9d5e_2f0b_7a31_44c1);

/// Candidates that are returned.
const MAX_CANDIDATES: usize = 40;

/// Candidates whose evidence is written down.
const EXPLAINED: usize = 12;

/// A candidate as it is returned and stored.
#[derive(Debug, Clone)]
pub(in crate::table_functions) struct Row {
    pub attribution_id: String,
    pub role: &'static str,
    pub cause_kind: String,
    pub cause_id: Option<String>,
    pub service: Option<String>,
    pub owner: Option<String>,
    pub lead_time: Option<i64>,
    pub effect: f64,
    pub score: f64,
    pub confidence: Option<f64>,
    pub evidence: Vec<Draft>,
}

/// The answer to a question.
#[derive(Debug)]
pub(in crate::table_functions) struct Answer {
    /// Id of the answer as a whole: the same question over the same data has the same.
    pub id: Uuid,
    pub rows: Vec<Row>,
}

/// Answer a question. `subject` is what the answer is filed under.
pub(in crate::table_functions) async fn answer(call: &Call, question: &Question, subject: &str) -> Result<Answer> {
    let id = answer_id(call, question, subject).await?;
    let learned = learn(call, question, false).await?;
    let Learned { changes, findings, traffic, .. } = &learned;
    let onset = findings.outcome.onset.map_or(question.from, |nanos| nanos / 1000);
    let evidence = Evidence { findings, changes, onset, traffic };
    let mut candidates = change_scoring::rank(&evidence);
    candidates.truncate(MAX_CANDIDATES);
    let owners = load::owners(call, onset).await?;
    let rows = rows(id, &candidates, &Reasoner::new(question, &learned), &owners, onset);
    Ok(Answer { id, rows })
}

async fn answer_id(call: &Call, question: &Question, subject: &str) -> Result<Uuid> {
    let lake = call.lake()?;
    let mut name = format!(
        "{METHOD}/{METHOD_VERSION}/{subject}/{}/{:?}/{:?}/{}/{}",
        question.service, question.environment, question.signal, question.from, question.to
    );
    for table in ["spans", "logs", "metric_points", "changes", "ownership"] {
        if let Some(table) = model::table(table) {
            let version = lake.version(table).await?;
            name.push_str(&format!("/{}@{}", table.name, version.map_or(-1, u64::cast_signed)));
            let seen = Rights::restriction(call.state(), config::SCHEMA, table.name).await?;
            if !seen.is_none() {
                // Who sees other rows gets another answer.
                name.push_str(&format!("({:?} {:?})", seen.condition, seen.masks));
            }
        }
    }
    Ok(Uuid::new_v5(&NAMESPACE, name.as_bytes()))
}

fn rows(
    id: Uuid,
    candidates: &[Candidate],
    reasoner: &Reasoner<'_>,
    owners: &HashMap<String, String>,
    onset: i64,
) -> Vec<Row> {
    let Learned { loaded, changes, .. } = reasoner.learned;
    let words = &loaded.vocabulary;
    let nothing = candidates.iter().find(|candidate| candidate.cause == Cause::Nothing).map_or(0.0, |none| none.score);
    // Where nothing could be compared nobody can say how sure to be.
    let measured = reasoner.learned.findings.surprise.is_some();
    let mut rows = Vec::with_capacity(candidates.len());
    for (at, candidate) in candidates.iter().enumerate() {
        let service = (candidate.service != NONE).then(|| words.services.text(candidate.service).to_owned());
        let (cause_kind, cause_id) = name(candidate, changes, loaded, service.as_deref());
        // One tenant may be a candidate at several services.
        let key = format!("{cause_kind}/{}/{}", cause_id.as_deref().unwrap_or(""), service.as_deref().unwrap_or(""));
        let owner = service.as_ref().and_then(|service| owners.get(service)).cloned();
        let confidence = if candidate.cause == Cause::Nothing {
            nothing
        } else {
            confidence::confidence(&confidence::Input {
                score: candidate.score / (1.0 - nothing).max(1e-12),
                lead_time: candidate.lead_time.map(|lead| lead as f64 / SECOND as f64),
                complete: reasoner.learned.complete,
                candidates: candidates.len(),
                happened: 1.0 - nothing,
            })
        };
        rows.push(Row {
            attribution_id: Uuid::new_v5(&id, key.as_bytes()).to_string(),
            role: "candidate",
            cause_kind,
            cause_id,
            service,
            owner,
            lead_time: candidate.lead_time,
            effect: rounded(candidate.effect),
            score: rounded(candidate.score),
            confidence: measured.then(|| rounded(confidence)),
            evidence: if at < EXPLAINED { reasoner.explain(candidate, onset) } else { Vec::new() },
        });
    }
    rows.sort_by(|a, b| b.confidence.partial_cmp(&a.confidence).unwrap_or(Ordering::Equal));
    let top = rows.first().map_or(0.0, |row| row.score);
    for (at, row) in rows.iter_mut().enumerate() {
        row.role = role(at, row.score, top);
    }
    rows
}

/// Spans arrive in any order, so that sums differ in their last digits; what is shown does not.
fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

/// A second cause contributes when it is not much less likely than the first; the rest are candidates that lost.
fn role(at: usize, score: f64, top: f64) -> &'static str {
    match at {
        0 => "primary",
        _ if score >= 0.1 && score >= top * 0.2 => "contributing",
        _ => "candidate",
    }
}

fn name(candidate: &Candidate, changes: &[Change], loaded: &Loaded, service: Option<&str>) -> (String, Option<String>) {
    let service = service.map(str::to_owned);
    match &candidate.cause {
        Cause::Change(at) => {
            changes.get(*at).map_or(("none".to_owned(), None), |change| (change.kind.clone(), Some(change.id.clone())))
        }
        Cause::Service => ("service".to_owned(), service),
        Cause::Dependency => ("dependency".to_owned(), service),
        Cause::Load => ("load".to_owned(), service),
        Cause::Tenant(tenant) => ("tenant".to_owned(), Some(loaded.vocabulary.tenants.text(*tenant).to_owned())),
        Cause::Nothing => ("none".to_owned(), None),
    }
}

/// What the findings say about a service.
pub(in crate::table_functions) fn suspect_of(findings: &Findings, service: u32) -> Option<&detectors::Suspect> {
    findings.suspects.iter().find(|suspect| suspect.service == service)
}
