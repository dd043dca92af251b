//! `deploy_impact(change_id [, before, after])`: whether a service fares better or worse after a change.

use async_trait::async_trait;
use datafusion::arrow::array::{Array, RecordBatch};
use datafusion::common::ScalarValue;
use datafusion::execution::SendableRecordBatchStream;

use super::incidents::rows::{double_column, doubles, int_column, ints, text_at, text_column, texts, time_at, times};
use super::{Argument, ArgumentType, Call, Signature, TableFunction, timestamp};
use crate::attribution::stats::{Test, chi2_rates, mann_whitney, quantile};
use crate::config;
use crate::error::{Result, UserError};
use crate::model::cell::{Double, Int, Text};

/// The function `deploy_impact`.
#[derive(Debug)]
pub struct DeployImpact;

static SIGNATURE: Signature = Signature {
    name: "deploy_impact",
    doc: &[
        "Duration, errors and throughput of the changed service before and after a change, with an effect size and a",
        "p-value. What the other services went through at the same time is held against it: a shift that they share is",
        "not the change's. Of a canary, only the requests to the new version count as after, and the versions that serve",
        "beside it are held against it; throughput is that of the whole service.",
    ],
    arguments: &[
        Argument { names: &["change_id"], kind: ArgumentType::Text, required: true, doc: "Id of a row of changes." },
        Argument {
            names: &["before"],
            kind: ArgumentType::Interval,
            required: false,
            doc: "How long before the change; default: 30 minutes.",
        },
        Argument {
            names: &["after"],
            kind: ArgumentType::Interval,
            required: false,
            doc: "How long after the change was complete; default: 30 minutes.",
        },
    ],
    columns: crate::columns! {
        /// duration_p50_ms, duration_p99_ms, error_rate or throughput (requests a minute).
        metric: Text,
        /// Value before.
        baseline: Double,
        /// Value after.
        observed: Double,
        /// Cliff's delta (duration_p50_ms, throughput) or difference of rates (error_rate; duration_p99_ms: the share of requests beyond the old 99th percentile).
        effect_size: Double,
        /// Two-sided p-value: Mann–Whitney for Cliff's delta, χ² for rates.
        p_value: Double,
        /// Requests before (minutes, for throughput).
        n_before: Int,
        /// Requests after (minutes, for throughput).
        n_after: Int,
        /// regressed, improved, no_change or not_enough_data.
        verdict: Text,
    },
    example: "SELECT metric, baseline, observed, verdict FROM deploy_impact('d-42', before => interval '30 minutes')",
};

/// Requests on each side that a verdict needs.
const ENOUGH: usize = 20;
/// Place of throughput among the metrics, behind those of single requests.
const THROUGHPUT: usize = 3;
/// Minutes on each side that a verdict on throughput needs.
const ENOUGH_MINUTES: usize = 5;
/// p-value below which a difference is not chance; four metrics are tested.
const SIGNIFICANT: f64 = 0.0125;
/// Cliff's delta from which an effect is more than negligible (Romano et al. 2006).
const DELTA: f64 = 0.147;
/// Difference of rates from which an effect is more than negligible.
const RATE: f64 = 0.005;

/// Requests of one side.
#[derive(Debug, Default)]
struct Side {
    durations: Vec<f64>,
    errors: f64,
    minutes: Vec<f64>,
}

/// Whose requests.
#[derive(Debug, Clone, Copy)]
enum Of<'a> {
    Service,
    OtherServices,
    Version(&'a str),
    OtherVersions(&'a str),
}

#[derive(Debug)]
struct Changed {
    service: String,
    version: Option<String>,
    from: i64,
    to: i64,
}

#[async_trait]
impl TableFunction for DeployImpact {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    async fn run(&self, call: Call) -> Result<SendableRecordBatchStream> {
        let before = call.interval(1).unwrap_or(config::IMPACT_WINDOW_MICROS);
        let after = call.interval(2).unwrap_or(config::IMPACT_WINDOW_MICROS);
        if before <= 0 || after <= 0 {
            return Err(UserError::invalid("deploy_impact: before and after must be positive intervals")
                .hint("without them both are half an hour")
                .into());
        }
        let change = changed(&call, call.text(0).unwrap_or_default()).await?;
        let old = (change.from.saturating_sub(before), change.from);
        let new = (change.to, change.to.saturating_add(after));
        let of = |of| sides(&call, &change.service, of, [old, new]);
        let (service, others) = (of(Of::Service).await?, of(Of::OtherServices).await?);
        let mut rows = compare((&service.0, &service.1), (&others.0, &others.1));
        if let Some(version) = change.version.as_deref() {
            let (ours, beside) = (of(Of::Version(version)).await?, of(Of::OtherVersions(version)).await?);
            if ours.1.durations.len().min(beside.1.durations.len()) >= ENOUGH {
                let canary = compare((&service.0, &ours.1), (&beside.0, &beside.1));
                rows = canary.into_iter().take(THROUGHPUT).chain(rows.split_off(THROUGHPUT)).collect();
            }
        }
        let batch = RecordBatch::try_new(
            call.schema(),
            vec![
                text_column(rows.iter().map(|row| Some(row.metric.to_owned())).collect()),
                double_column(rows.iter().map(|row| row.baseline).collect()),
                double_column(rows.iter().map(|row| row.observed).collect()),
                double_column(rows.iter().map(|row| row.test.map(|test| test.effect)).collect()),
                double_column(rows.iter().map(|row| row.test.map(|test| test.p_value)).collect()),
                int_column(rows.iter().map(|row| i64::try_from(row.n.0).ok()).collect()),
                int_column(rows.iter().map(|row| i64::try_from(row.n.1).ok()).collect()),
                text_column(rows.iter().map(|row| Some(row.verdict.to_owned())).collect()),
            ],
        )?;
        Ok(call.rows(vec![batch]))
    }
}

async fn changed(call: &Call, id: &str) -> Result<Changed> {
    let sql = "SELECT max(service_name), min(coalesce(started_at, finished_at)), max(coalesce(finished_at, started_at)), \
               count(*), max(version) FROM changes WHERE change_id = $id";
    let batches = call.collect(sql, vec![("id", ScalarValue::Utf8(Some(id.to_owned())))]).await?;
    let unknown = || {
        UserError::invalid(format!("deploy_impact: there is no change {id}"))
            .detail("Looked for that change_id in the table changes.")
            .hint("SELECT change_id, service_name, started_at FROM changes lists them")
    };
    let batch = batches.first().ok_or_else(unknown)?;
    if ints(batch, 3)?.iter().flatten().sum::<i64>() == 0 {
        return Err(unknown().into());
    }
    let (services, from, to) = (texts(batch, 0)?, times(batch, 1)?, times(batch, 2)?);
    match (text_at(&services, 0), time_at(&from, 0), time_at(&to, 0)) {
        (Some(service), Some(from), Some(to)) => {
            let version = text_at(&texts(batch, 4)?, 0).map(str::to_owned);
            Ok(Changed { service: service.to_owned(), version, from, to: to.max(from) })
        }
        _ => Err(UserError::invalid(format!("deploy_impact: change {id} names no service or no time"))
            .hint("a change to something wider than a service has no impact that could be told by service")
            .into()),
    }
}

/// Requests before and after.
async fn sides(call: &Call, service: &str, of: Of<'_>, [old, new]: [(i64, i64); 2]) -> Result<(Side, Side)> {
    Ok((side(call, service, of, old).await?, side(call, service, of, new).await?))
}

/// Requests that were served in a window: spans that came from elsewhere.
async fn side(call: &Call, service: &str, of: Of<'_>, window: (i64, i64)) -> Result<Side> {
    let (which, version) = match of {
        Of::Service => ("service_name = $service", None),
        Of::OtherServices => ("service_name <> $service", None),
        Of::Version(version) => ("service_name = $service AND service_version = $version", Some(version)),
        Of::OtherVersions(version) => ("service_name = $service AND service_version <> $version", Some(version)),
    };
    let sql = format!(
        "SELECT duration_nano / 1e6, CASE WHEN status_code = 'ERROR' OR http_response_status_code >= 500 THEN 1 ELSE 0 END, \
         date_bin(interval '1 minute', start_time) FROM spans WHERE {which} \
         AND (span_kind IN ('SERVER', 'CONSUMER') OR parent_span_id IS NULL) AND start_time >= $from AND start_time < $to"
    );
    let mut parameters = vec![
        ("service", ScalarValue::Utf8(Some(service.to_owned()))),
        ("from", timestamp(window.0)),
        ("to", timestamp(window.1)),
    ];
    parameters.extend(version.map(|version| ("version", ScalarValue::Utf8(Some(version.to_owned())))));
    let mut side = Side::default();
    let mut minutes: std::collections::BTreeMap<i64, f64> = std::collections::BTreeMap::new();
    for batch in call.collect(&sql, parameters).await? {
        let (durations, errors, bins) = (doubles(&batch, 0)?, ints(&batch, 1)?, times(&batch, 2)?);
        side.durations.extend(durations.iter().flatten());
        side.errors += errors.iter().flatten().sum::<i64>() as f64;
        for row in (0..batch.num_rows()).filter(|row| !bins.is_null(*row)) {
            *minutes.entry(bins.value(row)).or_default() += 1.0;
        }
    }
    // The first and the last minute may be cut by the window.
    let cut = minutes.len().saturating_sub(1);
    side.minutes = minutes.into_values().enumerate().filter(|(at, _)| *at > 0 && *at < cut).map(|(_, n)| n).collect();
    Ok(side)
}

/// One row of the result.
#[derive(Debug, PartialEq)]
struct Impact {
    metric: &'static str,
    baseline: Option<f64>,
    observed: Option<f64>,
    test: Option<Test>,
    n: (usize, usize),
    verdict: &'static str,
}

/// The comparison of old and new, with what the others went through.
fn compare(own: (&Side, &Side), others: (&Side, &Side)) -> Vec<Impact> {
    let tests = |sides: (&Side, &Side)| {
        let (old, new) = sides;
        let limit = quantile(&old.durations, 0.99);
        let beyond = |side: &Side| side.durations.iter().filter(|duration| **duration > limit).count() as f64;
        let size = |side: &Side| side.durations.len() as f64;
        [
            mann_whitney(&old.durations, &new.durations),
            chi2_rates(beyond(old), size(old), beyond(new), size(new)),
            chi2_rates(old.errors, size(old), new.errors, size(new)),
            mann_whitney(&old.minutes, &new.minutes),
        ]
    };
    let value = |side: &Side, at: usize| {
        let size = side.durations.len();
        match at {
            0 | 1 => (size > 0).then(|| quantile(&side.durations, if at == 0 { 0.5 } else { 0.99 })),
            2 => (size > 0).then(|| side.errors / size as f64),
            _ => (!side.minutes.is_empty()).then(|| side.minutes.iter().sum::<f64>() / side.minutes.len() as f64),
        }
    };
    let names = ["duration_p50_ms", "duration_p99_ms", "error_rate", "throughput"];
    let found = tests(own).into_iter().zip(tests(others)).zip(names).enumerate();
    found
        .map(|(at, ((test, shared), metric))| {
            let of = |side: &Side| if at == THROUGHPUT { side.minutes.len() } else { side.durations.len() };
            let n = (of(own.0), of(own.1));
            let enough = n.0.min(n.1) >= if at == THROUGHPUT { ENOUGH_MINUTES } else { ENOUGH };
            let negligible = if matches!(at, 0 | THROUGHPUT) { DELTA } else { RATE };
            let verdict = match test.filter(|_| enough) {
                None => "not_enough_data",
                Some(test) => judge(test, shared.map_or(0.0, |shared| shared.effect), negligible, at == THROUGHPUT),
            };
            Impact { metric, baseline: value(own.0, at), observed: value(own.1, at), test, n, verdict }
        })
        .collect()
}

/// More is worse, except for throughput.
fn judge(test: Test, shared: f64, negligible: f64, more_is_better: bool) -> &'static str {
    // Difference in differences: only what the others did not go through counts.
    let own = test.effect - shared;
    if test.p_value >= SIGNIFICANT
        || test.effect.abs() < negligible
        || own.abs() < negligible
        || own.signum() != test.effect.signum()
    {
        return "no_change";
    }
    if (own > 0.0) == more_is_better { "improved" } else { "regressed" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(durations: impl Iterator<Item = f64>, errors: f64) -> Side {
        Side { durations: durations.collect(), errors, minutes: vec![10.0; 8] }
    }

    fn verdicts(rows: &[Impact]) -> Vec<&'static str> {
        rows.iter().map(|row| row.verdict).collect()
    }

    #[test]
    fn slower_and_failing_is_regressed_and_back_again_improved() {
        let steady = || side((0..200).map(|n| 50.0 + f64::from(n % 7)), 2.0);
        let bad = side((0..200).map(|n| 80.0 + f64::from(n % 7)), 30.0);
        let good = side((0..200).map(|n| 10.0 + f64::from(n % 7)), 1.0);
        let calm = (&steady(), &steady());
        assert_eq!(verdicts(&compare((&good, &bad), calm)), ["regressed", "regressed", "regressed", "no_change"]);
        assert_eq!(verdicts(&compare((&bad, &good), calm))[..3], ["improved", "no_change", "improved"]);
        let same = compare((&good, &good), calm);
        assert_eq!(verdicts(&same), ["no_change"; 4]);
        assert_eq!(same[2].baseline, Some(0.005));
    }

    #[test]
    fn what_everybody_went_through_is_not_the_change() {
        let old = side((0..200).map(|n| 10.0 + f64::from(n % 7)), 1.0);
        let new = side((0..200).map(|n| 80.0 + f64::from(n % 7)), 30.0);
        assert_eq!(verdicts(&compare((&old, &new), (&old, &new))), ["no_change"; 4]);
    }

    #[test]
    fn a_handful_of_requests_is_not_enough() {
        let few = side((0..5).map(f64::from), 0.0);
        let none = Side::default();
        assert_eq!(verdicts(&compare((&few, &few), (&none, &none)))[..3], ["not_enough_data"; 3]);
        assert_eq!(compare((&none, &none), (&none, &none))[0].baseline, None);
    }
}
