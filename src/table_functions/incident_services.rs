//! `incident_services(incident_id)` and `incident_services(service, t0, t1 [, signal, environment])`.

use async_trait::async_trait;
use datafusion::execution::SendableRecordBatchStream;

use super::incidents::{ARGUMENTS, asked, learn, owners};
use super::{Call, Signature, TableFunction};
use crate::attribution::change_scoring::reached_blame;
use crate::canonical_table;
use crate::error::Result;
use crate::model::cell::{Bool, Double, Int, Text, Time};
use crate::model::{Partition, RowBuilder};

canonical_table! {
    /// One row a service.
    "incident_services", SERVICES, ServiceRow, ServiceBuilder;
    partition Partition::None, |_| None;
    key [];
    cluster [];
    bloom [];
    /// 1 has the most of the blame.
    rank: Int,
    /// Service, or the name of an external one.
    service_name: Text,
    /// Owner when it began.
    owner: Text,
    /// Known from its callers only.
    is_external: Bool,
    /// Share of the outcome's blame that lies with it.
    blame: Double,
    /// How far it is out of the ordinary, all findings together; blame is its share of the sum. Less than 0.1 is hardly
    /// more than chance.
    strength: Double,
    /// That of its neighbours in the graph of calls, halved with every hop, where it is more: what a change of it is scored by.
    reached_blame: Double,
    /// Start of what is unusual about it, where it has much of the blame.
    onset: Time,
    /// Visits before the incident, by adjusted_count.
    visits_before: Double,
    /// Visits during it.
    visits_during: Double,
    /// Time of its own beyond what is usual, a request, in median durations of a request.
    latency_effect: Double,
    /// Share of its visits that are slow, beyond what is usual.
    latency_consistency: Double,
    /// Time between its callers' clocks and its own beyond what is usual, likewise.
    gap_effect: Double,
    /// Share of its calls with such a gap.
    gap_consistency: Double,
    /// Failures and missing steps a request, beyond what is usual.
    structure_effect: Double,
    /// Share of its visits with one.
    structure_consistency: Double,
    /// The most unusual resource metric.
    resource_metric: Text,
    /// Its value at the peak.
    resource_peak: Double,
    /// Its usual value.
    resource_usual: Double,
}

static SIGNATURE: Signature = Signature {
    name: "incident_services",
    doc: &[
        "What was unusual about each service that had a part in an incident, and how the blame is shared among them, before",
        "any change is looked at.",
    ],
    arguments: &ARGUMENTS,
    columns: SERVICES.columns,
    example: "SELECT rank, service_name, owner, blame FROM incident_services('checkout', '2026-03-01T10:00:00Z', '2026-03-01T10:30:00Z') ORDER BY rank",
};

/// The function `incident_services`.
#[derive(Debug)]
pub(super) struct IncidentServices;

#[async_trait]
impl TableFunction for IncidentServices {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    async fn run(&self, call: Call) -> Result<SendableRecordBatchStream> {
        let (question, _) = asked(&call).await?;
        let learned = learn(&call, &question, false).await?;
        let findings = &learned.findings;
        let owners = owners(&call, findings.outcome.onset.map_or(question.from, |nanos| nanos / 1000)).await?;
        let reached = reached_blame(findings);
        let mut rows = ServiceBuilder::default();
        for (suspect, rank) in findings.suspects.iter().zip(1..) {
            let service = learned.loaded.vocabulary.services.text(suspect.service);
            let resource = suspect.resource.as_ref();
            rows.append(&ServiceRow {
                rank: Some(rank),
                service_name: Some(service.into()),
                owner: owners.get(service).map(Into::into),
                is_external: Some(suspect.external),
                blame: Some(suspect.blame),
                strength: Some(suspect.strength),
                reached_blame: reached.get(&suspect.service).copied(),
                onset: findings.onsets.get(&suspect.service).map(|nanos| nanos.div_euclid(1000)),
                visits_before: Some(suspect.visits_before),
                visits_during: Some(suspect.visits_during),
                latency_effect: Some(suspect.latency.effect),
                latency_consistency: Some(suspect.latency.consistency),
                gap_effect: Some(suspect.gap.effect),
                gap_consistency: Some(suspect.gap.consistency),
                structure_effect: Some(suspect.structure.effect),
                structure_consistency: Some(suspect.structure.consistency),
                resource_metric: resource.map(|(metric, _)| metric.into()),
                resource_peak: resource.map(|(_, saturation)| saturation.peak),
                resource_usual: resource.map(|(_, saturation)| saturation.usual),
                ..ServiceRow::default()
            });
        }
        Ok(call.rows(vec![super::own_columns(&mut rows)?]))
    }
}
