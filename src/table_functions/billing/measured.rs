//! What consumers consumed: of a metric, or of a service along traces.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::common::ScalarValue;
use futures::StreamExt;

use crate::attribution::allocation::{Action, Consumer, Consumption, Measure, Rule, Split};
use crate::attribution::demand::{DemandSpan, demand};
use crate::config::TRACE_MARGIN_MICROS;
use crate::error::Result;
use crate::table_functions::arrays::{column, doubles, text, texts, times};
use crate::table_functions::{Call, timestamp};

/// Points of a metric whose peaks are compared are brought together by the minute.
const MINUTE: i64 = 60_000_000;

/// What was consumed in the window, by the index of the rule that asks.
pub(super) async fn load(call: &Call, rules: &[&Rule], window: (i64, i64)) -> Result<HashMap<usize, Vec<Consumption>>> {
    let mut measured = HashMap::new();
    for (at, rule) in rules.iter().enumerate() {
        let Action::Shared(Split::Measured { measure, basis, by }) = &rule.action else { continue };
        let consumed = match measure {
            Measure::Demand => traced(call, basis, *by, window).await?,
            Measure::Usage | Measure::Peak => metered(call, basis, *by, *measure, window).await?,
        };
        measured.insert(at, consumed);
    }
    Ok(measured)
}

/// The points of one series: consumer, and whether its values only add up.
#[derive(Default)]
struct Series {
    cumulative: bool,
    points: Vec<(i64, f64)>,
}

type Metered = HashMap<(Option<String>, u64), Series>;

async fn metered(
    call: &Call,
    metric: &str,
    by: Consumer,
    measure: Measure,
    (from, to): (i64, i64),
) -> Result<Vec<Consumption>> {
    const STATEMENT: &str = "SELECT time, temporality, coalesce(value, sum, CAST(count AS double)) AS quantity, \
         service_name, tenant_id, map_values(attributes) AS labels, map_values(resource_attributes) AS resource \
         FROM ascribe.public.metric_points WHERE metric_name = $metric AND time >= $from AND time < $to";
    let parameters = vec![("metric", ScalarValue::from(metric)), ("from", timestamp(from)), ("to", timestamp(to))];
    let mut batches = call.query(STATEMENT, parameters).await?;
    let mut series = Metered::new();
    while let Some(batch) = batches.next().await {
        push_points(&batch?, by, &mut series)?;
    }
    Ok(match measure {
        Measure::Peak => peaks(series),
        Measure::Usage | Measure::Demand => usage(series),
    })
}

fn push_points(batch: &RecordBatch, by: Consumer, series: &mut Metered) -> Result<()> {
    let (at, quantity, temporality) =
        (times(batch, "time")?, doubles(batch, "quantity")?, texts(batch, "temporality")?);
    let (service, tenant) = (texts(batch, "service_name")?, texts(batch, "tenant_id")?);
    let lists = [column_as_is(batch, "labels"), column_as_is(batch, "resource")];
    for row in 0..batch.num_rows() {
        if !quantity.is_valid(row) || !at.is_valid(row) {
            continue;
        }
        let mut hasher = DefaultHasher::new();
        (text(&service, row), text(&tenant, row)).hash(&mut hasher);
        for list in lists.iter().flatten() {
            let values = list.value(row);
            let values = datafusion::arrow::compute::cast(&values, &DataType::Utf8)?;
            let values = values.as_string::<i32>();
            (0..values.len()).for_each(|at| text(values, at).hash(&mut hasher));
        }
        let consumer = text(if by == Consumer::Service { &service } else { &tenant }, row);
        let known = series.entry((consumer.map(str::to_owned), hasher.finish())).or_default();
        known.cumulative = text(&temporality, row) == Some("cumulative");
        known.points.push((at.value(row), quantity.value(row)));
    }
    Ok(())
}

fn column_as_is<'a>(batch: &'a RecordBatch, name: &str) -> Option<&'a datafusion::arrow::array::ListArray> {
    batch.column_by_name(name).and_then(|column| column.as_list_opt::<i32>())
}

/// Sums: of deltas and gauges the values, of cumulative sums what they grew by, a fall being a restart from 0.
fn usage(series: Metered) -> Vec<Consumption> {
    let mut totals: BTreeMap<Option<String>, f64> = BTreeMap::new();
    for ((consumer, _), mut series) in series {
        series.points.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        let amount = if series.cumulative {
            let steps = series.points.windows(2).filter_map(|pair| match pair {
                [(_, before), (_, after)] => Some(if after < before { *after } else { after - before }),
                _ => None,
            });
            steps.sum()
        } else {
            series.points.iter().map(|(_, value)| value).sum::<f64>()
        };
        *totals.entry(consumer).or_default() += amount;
    }
    consumptions(totals)
}

/// The highest minute of each consumer, its series added up.
fn peaks(series: Metered) -> Vec<Consumption> {
    let mut minutes: HashMap<(Option<String>, i64), f64> = HashMap::new();
    for ((consumer, _), series) in series {
        let mut last: BTreeMap<i64, (i64, f64)> = BTreeMap::new();
        for (at, value) in series.points {
            let minute = last.entry(at.div_euclid(MINUTE)).or_insert((at, value));
            *minute = if at >= minute.0 { (at, value) } else { *minute };
        }
        for (minute, (_, value)) in last {
            *minutes.entry((consumer.clone(), minute)).or_default() += value;
        }
    }
    let mut highest: BTreeMap<Option<String>, f64> = BTreeMap::new();
    for ((consumer, _), value) in minutes {
        let known = highest.entry(consumer).or_insert(value);
        *known = known.max(value);
    }
    consumptions(highest)
}

fn consumptions(totals: BTreeMap<Option<String>, f64>) -> Vec<Consumption> {
    totals.into_iter().map(|(consumer, quantity)| Consumption { consumer, quantity }).collect()
}

async fn traced(call: &Call, service: &str, by: Consumer, (from, to): (i64, i64)) -> Result<Vec<Consumption>> {
    const STATEMENT: &str = "SELECT trace_id, span_id, parent_span_id, service_name, tenant_id, start_unix_nano, \
         duration_nano, adjusted_count FROM ascribe.public.spans \
         WHERE start_time >= $early AND start_time < $late AND trace_id IN (SELECT trace_id FROM ascribe.public.spans \
         WHERE service_name = $service AND start_time >= $from AND start_time < $to)";
    let parameters = vec![
        ("early", timestamp(from.saturating_sub(TRACE_MARGIN_MICROS))),
        ("late", timestamp(to.saturating_add(TRACE_MARGIN_MICROS))),
        ("service", ScalarValue::from(service)),
        ("from", timestamp(from)),
        ("to", timestamp(to)),
    ];
    let batches = call.collect(STATEMENT, parameters).await?;
    let columns = batches.iter().map(|batch| {
        let names = ["trace_id", "span_id", "parent_span_id", "service_name", "tenant_id"];
        let texts = names.iter().map(|name| texts(batch, name)).collect::<Result<Vec<_>>>()?;
        let numbers = ["start_unix_nano", "duration_nano"].map(|name| column(batch, name, &DataType::Int64));
        let [start, duration] = numbers;
        Ok((texts, start?, duration?, doubles(batch, "adjusted_count")?))
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    let mut spans = Vec::new();
    for (texts, start, duration, weight) in &columns {
        let (start, duration) = (start.as_primitive::<Int64Type>(), duration.as_primitive::<Int64Type>());
        for row in 0..start.len() {
            let column = |at: usize| texts.get(at).and_then(|column| text(column, row));
            spans.push(DemandSpan {
                trace_id: column(0).unwrap_or_default(),
                span_id: column(1).unwrap_or_default(),
                parent_span_id: column(2),
                service: column(3),
                tenant: column(4),
                start: start.value(row),
                duration: if duration.is_valid(row) { duration.value(row) } else { 0 },
                weight: weight.is_valid(row).then(|| weight.value(row)),
            });
        }
    }
    Ok(demand(&spans, service, by))
}
