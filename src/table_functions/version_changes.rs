//! `version_changes(t0, t1 [, service, environment])`: versions that came and went, recorded or not.

use async_trait::async_trait;
use datafusion::arrow::array::{RecordBatch, StringArray};
use datafusion::common::ScalarValue;
use datafusion::execution::SendableRecordBatchStream;

use super::incidents::rows::{doubles, text_at, text_column, texts, time_at, time_column, times};
use super::traces::known_service;
use super::{Argument, ArgumentType, Call, Signature, TableFunction, timestamp};
use crate::attribution::version_changes::{Sighting, VersionChange, by_service, version_changes};
use crate::config;
use crate::error::Result;
use crate::model::cell::{Text, Time};

/// The function `version_changes`.
#[derive(Debug)]
pub struct VersionChanges;

static SIGNATURE: Signature = Signature {
    name: "version_changes",
    doc: &[
        "Changes of a service's version, found in the spans. There and back again is three rows, the third a rollback.",
        "Where a recorded change to the same version is near, its id and revision are given.",
    ],
    arguments: &[
        Argument { names: &["t0", "from"], kind: ArgumentType::Time, required: true, doc: "Begin of the window." },
        Argument { names: &["t1", "to"], kind: ArgumentType::Time, required: true, doc: "End of the window." },
        Argument {
            names: &["service", "service_name"],
            kind: ArgumentType::Text,
            required: false,
            doc: "Only this service; default: all.",
        },
        Argument {
            names: &["environment"],
            kind: ArgumentType::Text,
            required: false,
            doc: "Only this environment; default: all, each by itself.",
        },
    ],
    columns: crate::columns! {
        /// First span of the new version.
        time: Time,
        /// Last span of the old version in the roll-out (of the new one, if it was withdrawn); null while both serve.
        time_end: Time,
        /// Service.
        service_name: Text,
        /// Environment.
        environment: Text,
        /// Version before; null for the first that was seen.
        from_version: Text,
        /// Version after.
        to_version: Text,
        /// initial, deploy or rollback.
        kind: Text,
        /// The recorded change, if there is one.
        change_id: Text,
        /// Revision that the recorded change names.
        revision: Text,
    },
    example: "SELECT time, service_name, from_version, to_version, kind FROM version_changes('2026-03-01T00:00:00Z', '2026-03-02T00:00:00Z')",
};

#[derive(Debug)]
struct Recorded {
    id: String,
    service: String,
    version: String,
    revision: Option<String>,
    time: i64,
}

#[async_trait]
impl TableFunction for VersionChanges {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    async fn run(&self, call: Call) -> Result<SendableRecordBatchStream> {
        let (from, to) = call.window(0, 1)?;
        let groups = by_service(sightings(&call, from, to).await?);
        if let Some(service) = call.text(2).filter(|_| groups.is_empty()) {
            known_service(&call, service).await?;
        }
        let recorded = recorded(&call, from, to).await?;
        let mut rows: Vec<((String, Option<String>), VersionChange)> = Vec::new();
        for (key, sightings) in groups {
            rows.extend(version_changes(&sightings).into_iter().map(|change| (key.clone(), change)));
        }
        rows.sort_by(|a, b| (a.1.time, &a.0).cmp(&(b.1.time, &b.0)));
        let matched: Vec<Option<&Recorded>> =
            rows.iter().map(|((service, _), change)| nearest(&recorded, service, change)).collect();
        let columns = vec![
            time_column(rows.iter().map(|row| Some(row.1.time)).collect()),
            time_column(rows.iter().map(|row| row.1.time_end).collect()),
            text_column(rows.iter().map(|row| Some(row.0.0.clone())).collect()),
            text_column(rows.iter().map(|row| row.0.1.clone()).collect()),
            text_column(rows.iter().map(|row| row.1.from_version.clone()).collect()),
            text_column(rows.iter().map(|row| Some(row.1.to_version.clone())).collect()),
            text_column(rows.iter().map(|row| Some(row.1.kind.name().to_owned())).collect()),
            text_column(matched.iter().map(|known| known.map(|known| known.id.clone())).collect()),
            text_column(matched.iter().map(|known| known.and_then(|known| known.revision.clone())).collect()),
        ];
        let batch = RecordBatch::try_new(call.schema(), columns)?;
        Ok(call.rows(vec![batch]))
    }
}

fn nearest<'a>(recorded: &'a [Recorded], service: &str, change: &VersionChange) -> Option<&'a Recorded> {
    let distance = |known: &&Recorded| (known.time - change.time).abs();
    // The first version seen may have been deployed at any time.
    change.from_version.as_ref()?;
    recorded
        .iter()
        .filter(|known| known.service == service && known.version == change.to_version)
        .filter(|known| distance(known) < config::CHANGE_MATCH_MICROS)
        .min_by_key(distance)
}

type Key = (String, Option<String>);

async fn sightings(call: &Call, from: i64, to: i64) -> Result<Vec<(Key, i64, Sighting)>> {
    let mut parameters = vec![("from", timestamp(from)), ("to", timestamp(to))];
    let mut filter = String::new();
    for (at, name) in [(2, "service_name"), (3, "environment")] {
        if let Some(value) = call.text(at) {
            filter.push_str(&format!(" AND {name} = ${name}"));
            parameters.push((name, ScalarValue::Utf8(Some(value.to_owned()))));
        }
    }
    // Intervals of a minute, or a thousandth of a long window.
    let interval = (to.saturating_sub(from) / 1000 / 1_000_000).max(60);
    let sql = format!(
        "SELECT service_name, environment, service_version, date_bin(interval '{interval} seconds', start_time) AS bin, \
         min(start_time), max(start_time), count(*) FROM spans \
         WHERE start_time >= $from AND start_time < $to AND service_name IS NOT NULL AND service_version IS NOT NULL{filter} \
         GROUP BY 1, 2, 3, 4"
    );
    let mut rows = Vec::new();
    for batch in call.collect(&sql, parameters).await? {
        let (services, environments, versions) = (texts(&batch, 0)?, texts(&batch, 1)?, texts(&batch, 2)?);
        let (bins, firsts, lasts, spans) =
            (times(&batch, 3)?, times(&batch, 4)?, times(&batch, 5)?, doubles(&batch, 6)?);
        for row in 0..batch.num_rows() {
            let key = (services.value(row).to_owned(), text_at(&environments, row).map(str::to_owned));
            let sighting = Sighting {
                version: versions.value(row).to_owned(),
                first: firsts.value(row),
                last: lasts.value(row),
                spans: spans.value(row),
            };
            rows.push((key, bins.value(row), sighting));
        }
    }
    Ok(rows)
}

async fn recorded(call: &Call, from: i64, to: i64) -> Result<Vec<Recorded>> {
    let sql = "SELECT change_id, service_name, version, max(revision), min(coalesce(started_at, finished_at)) FROM changes \
               WHERE coalesce(started_at, finished_at) >= $from AND coalesce(started_at, finished_at) < $to \
               AND change_id IS NOT NULL AND service_name IS NOT NULL AND version IS NOT NULL GROUP BY 1, 2, 3 ORDER BY 1";
    let margin = config::CHANGE_MATCH_MICROS;
    let parameters =
        vec![("from", timestamp(from.saturating_sub(margin))), ("to", timestamp(to.saturating_add(margin)))];
    let mut recorded = Vec::new();
    for batch in call.collect(sql, parameters).await? {
        let text: Vec<StringArray> = (0..4).map(|at| texts(&batch, at)).collect::<Result<_>>()?;
        let began = times(&batch, 4)?;
        let value = |at: usize, row: usize| text.get(at).and_then(|column| text_at(column, row)).map(str::to_owned);
        for row in 0..batch.num_rows() {
            let Some(time) = time_at(&began, row) else { continue };
            let (Some(id), Some(service), Some(version)) = (value(0, row), value(1, row), value(2, row)) else {
                continue;
            };
            recorded.push(Recorded { id, service, version, revision: value(3, row), time });
        }
    }
    Ok(recorded)
}
