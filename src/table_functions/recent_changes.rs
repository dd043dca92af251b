//! `recent_changes(service, at [, lookback, hops])`: what changed lately in a service and in what it depends on.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use datafusion::arrow::array::{RecordBatch, StringArray};
use datafusion::common::ScalarValue;
use datafusion::execution::SendableRecordBatchStream;

use super::incidents::owners;
use super::incidents::rows::{int_column, literal, text_at, text_column, texts, time_at, time_column, times};
use super::{Argument, ArgumentType, Call, Signature, TableFunction, timestamp};
use crate::config;
use crate::error::{Result, UserError};
use crate::model::cell::{Int, Text, Time};

/// The function `recent_changes`.
#[derive(Debug)]
pub struct RecentChanges;

static SIGNATURE: Signature = Signature {
    name: "recent_changes",
    doc: &[
        "Changes to a service and to what it calls, directly or through others, latest first. What it calls is learned",
        "from the spans of the hour before, or of the lookback if that is shorter.",
    ],
    arguments: &[
        Argument { names: &["service", "service_name"], kind: ArgumentType::Text, required: true, doc: "Service." },
        Argument {
            names: &["at"],
            kind: ArgumentType::Time,
            required: true,
            doc: "Changes that began up to this time.",
        },
        Argument {
            names: &["lookback"],
            kind: ArgumentType::Interval,
            required: false,
            doc: "How far back; default: 24 hours.",
        },
        Argument {
            names: &["hops"],
            kind: ArgumentType::Int,
            required: false,
            doc: "How many calls away; default: 2.",
        },
    ],
    columns: crate::columns! {
        /// When the change began.
        started_at: Time,
        /// When it was complete.
        finished_at: Time,
        /// Calls between the service that was asked about and the changed one; 0 for itself.
        hop: Int,
        /// Service that was changed.
        service_name: Text,
        /// Owner of that service when it was changed.
        owner: Text,
        /// Id of the change.
        change_id: Text,
        /// Kind of the change.
        kind: Text,
        /// Version before.
        previous_version: Text,
        /// Version after.
        version: Text,
        /// started, succeeded, failed or cancelled.
        status: Text,
        /// Who made it.
        actor: Text,
        /// One line for people.
        title: Text,
    },
    example: "SELECT started_at, hop, service_name, kind, version FROM recent_changes('checkout', '2026-03-01T10:00:00Z', lookback => interval '2 hours')",
};

#[async_trait]
impl TableFunction for RecentChanges {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    async fn run(&self, call: Call) -> Result<SendableRecordBatchStream> {
        let service = call.text(0).unwrap_or_default().to_owned();
        let at = call.time(1).ok_or_else(|| UserError::invalid("recent_changes: the time is null"))?;
        let lookback = call.interval(2).unwrap_or(config::CHANGE_LOOKBACK_MICROS);
        let hops = call.int(3).unwrap_or(2);
        if lookback <= 0 || hops < 0 {
            return Err(UserError::invalid("recent_changes: lookback must be positive and hops not negative")
                .hint("without them it looks back a day and 2 hops along the calls")
                .into());
        }
        known(&call, &service).await?;
        let distance = distances(&call, &service, at, lookback, hops).await?;
        let owners = owners(&call, at).await?;
        let mut names: Vec<&String> = distance.keys().collect();
        names.sort();
        let list: Vec<String> = names.into_iter().map(|name| literal(name)).collect();
        // Each status of a change is a row of its own; the latest says how it went.
        let sql = format!(
            "SELECT min(coalesce(started_at, finished_at)) AS began, max(finished_at), service_name, change_id, min(kind), \
             min(previous_version), min(version), last_value(status ORDER BY coalesce(finished_at, started_at)), min(actor), \
             min(title) FROM changes WHERE service_name IN ({}) AND coalesce(started_at, finished_at) >= $from \
             AND coalesce(started_at, finished_at) <= $at GROUP BY service_name, change_id ORDER BY began DESC, change_id",
            list.join(", ")
        );
        let parameters = vec![("from", timestamp(at.saturating_sub(lookback))), ("at", timestamp(at))];
        let mut batches = Vec::new();
        for batch in call.collect(&sql, parameters).await? {
            let (began, finished) = (times(&batch, 0)?, times(&batch, 1)?);
            let text: Vec<StringArray> = (2..10).map(|at| texts(&batch, at)).collect::<Result<_>>()?;
            let rows = 0..batch.num_rows();
            let of = |at: usize| {
                let column = text.get(at);
                rows.clone()
                    .map(|row| column.and_then(|column| text_at(column, row)).map(str::to_owned))
                    .collect::<Vec<_>>()
            };
            let services = of(0);
            let hop = |service: &Option<String>| distance.get(service.as_ref()?).copied();
            let owner = |service: &Option<String>| owners.get(service.as_ref()?).cloned();
            let columns = vec![
                time_column(rows.clone().map(|row| time_at(&began, row)).collect()),
                time_column(rows.clone().map(|row| time_at(&finished, row)).collect()),
                int_column(services.iter().map(hop).collect()),
                text_column(services.clone()),
                text_column(services.iter().map(owner).collect()),
                text_column(of(1)),
                text_column(of(2)),
                text_column(of(3)),
                text_column(of(4)),
                text_column(of(5)),
                text_column(of(6)),
                text_column(of(7)),
            ];
            batches.push(RecordBatch::try_new(call.schema(), columns)?);
        }
        Ok(call.rows(batches))
    }
}

async fn known(call: &Call, service: &str) -> Result<()> {
    let parameters = vec![("service", ScalarValue::Utf8(Some(service.to_owned())))];
    let sql = "SELECT 1 FROM (SELECT service_name FROM spans WHERE service_name = $service LIMIT 1) UNION ALL \
               SELECT 1 FROM (SELECT service_name FROM changes WHERE service_name = $service LIMIT 1)";
    let rows: usize = call.collect(sql, parameters).await?.iter().map(RecordBatch::num_rows).sum();
    if rows > 0 {
        return Ok(());
    }
    Err(UserError::invalid(format!("recent_changes: no service named {service}"))
        .detail("Looked for that service_name in the tables spans and changes.")
        .hint("SELECT DISTINCT service_name FROM spans shows the services that there are")
        .into())
}

async fn distances(call: &Call, service: &str, at: i64, lookback: i64, hops: i64) -> Result<HashMap<String, i64>> {
    let mut distance = HashMap::from([(service.to_owned(), 0)]);
    if hops == 0 {
        return Ok(distance);
    }
    let sql = "SELECT DISTINCT p.service_name AS caller, c.service_name AS callee FROM spans c JOIN spans p \
               ON p.trace_id = c.trace_id AND p.span_id = c.parent_span_id \
               WHERE c.start_time >= $from AND c.start_time <= $at AND p.start_time >= $from AND p.start_time <= $at \
               AND p.service_name <> c.service_name \
               UNION SELECT DISTINCT service_name AS caller, peer_service AS callee FROM spans \
               WHERE start_time >= $from AND start_time <= $at AND peer_service IS NOT NULL AND peer_service <> service_name";
    let from = at.saturating_sub(lookback.min(config::RESOURCE_BASELINE_MICROS));
    let mut calls: HashMap<String, HashSet<String>> = HashMap::new();
    for batch in call.collect(sql, vec![("from", timestamp(from)), ("at", timestamp(at))]).await? {
        let (callers, callees) = (texts(&batch, 0)?, texts(&batch, 1)?);
        for row in 0..batch.num_rows() {
            if let (Some(caller), Some(callee)) = (text_at(&callers, row), text_at(&callees, row)) {
                calls.entry(caller.to_owned()).or_default().insert(callee.to_owned());
            }
        }
    }
    let mut edge = vec![service.to_owned()];
    for hop in 1..=hops {
        let mut next = Vec::new();
        for caller in &edge {
            for callee in calls.get(caller).into_iter().flatten() {
                if !distance.contains_key(callee) {
                    distance.insert(callee.clone(), hop);
                    next.push(callee.clone());
                }
            }
        }
        if next.is_empty() {
            break;
        }
        edge = next;
    }
    Ok(distance)
}
