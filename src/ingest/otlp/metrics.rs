//! Metric points → rows of `metric_points`.
//!
//! - A histogram with `n` bounds has `n + 1` counts. Minimum, maximum, exemplars and start times are not kept.
//! - An exponential histogram lands with explicit bounds, computed from its scale and offsets (see [`explicit`]).
//! - A summary has its quantiles in `bounds` and the values of these in attribute [`QUANTILE_VALUES`], a JSON array.

use std::borrow::Cow;

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, ExponentialHistogramDataPoint, HistogramDataPoint, Metric, NumberDataPoint,
    SummaryDataPoint,
};

use super::json::JsonMetric;
use super::points;
use super::record::{Record, Scope};
use super::value::add_all;
use crate::ingest::Output;
use crate::ingest::telemetry::columns::{Column, ColumnSet, METRIC, METRIC_RESOURCE, Sorted};
use crate::ingest::telemetry::scalar::double_text;
use crate::ingest::telemetry::{micros, plausible_nanos, text_cell};
use crate::model::telemetry::MetricPointRow;

/// Attribute that holds the values of a summary's quantiles.
pub const QUANTILE_VALUES: &str = "otel.summary.quantile_values";

/// Most buckets of a histogram that lands.
pub const MAX_BUCKETS: usize = 10_000;

/// Bit of the flags of a point that says that it has no value (`DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK`).
const NO_RECORDED_VALUE: u32 = 1;

type Reason = &'static str;

impl Record for Metric {
    type Json = JsonMetric;
    const RESOURCE: ColumnSet = METRIC_RESOURCE;
    const NAME: &'static str = "metric";
    const JSON_SCOPES: [&'static [u8]; 4] =
        [b"scopeMetrics", b"scope_metrics", b"instrumentationLibraryMetrics", b"instrumentation_library_metrics"];
    const JSON_RECORDS: [&'static [u8]; 2] = [b"metrics", b"metrics"];

    fn parts_of_json(text: &[u8]) -> Vec<Vec<u8>> {
        points::of_json(text)
    }

    fn parts_of_protobuf(bytes: &[u8]) -> Vec<Vec<u8>> {
        points::of_protobuf(bytes)
    }

    fn land(&self, resource: &Sorted<'_>, scope: &Scope<'_>, output: &mut Output<'_>) {
        let mut points = Points { metric: self, resource, scope, output };
        if self.name.is_empty() {
            return points.reject("metric without a name", 0);
        }
        match &self.data {
            Some(Data::Gauge(gauge)) => gauge.data_points.iter().for_each(|point| points.number(point, "gauge", None)),
            Some(Data::Sum(sum)) => {
                let kind = Some((sum.aggregation_temporality, sum.is_monotonic));
                sum.data_points.iter().for_each(|point| points.number(point, "sum", kind));
            }
            Some(Data::Histogram(histogram)) => {
                let temporality = histogram.aggregation_temporality;
                histogram.data_points.iter().for_each(|point| points.histogram(point, temporality));
            }
            Some(Data::ExponentialHistogram(histogram)) => {
                let temporality = histogram.aggregation_temporality;
                histogram.data_points.iter().for_each(|point| points.exponential(point, temporality));
            }
            Some(Data::Summary(summary)) => summary.data_points.iter().for_each(|point| points.summary(point)),
            None => points.reject("metric without data", 0),
        }
    }
}

struct Points<'p, 'a, 'o> {
    metric: &'p Metric,
    resource: &'p Sorted<'a>,
    scope: &'p Scope<'a>,
    output: &'p mut Output<'o>,
}

impl Points<'_, '_, '_> {
    fn reject(&mut self, reason: Reason, time: u64) {
        let name: String = self.metric.name.chars().take(80).collect();
        self.output.reject(reason, &format!("metric {name:?} at {time}"));
    }

    /// Complete a row with what all kinds of points have, and append it.
    fn push(&mut self, time: u64, attributes: &[KeyValue], extra: Option<String>, row: MetricPointRow<'_>) {
        let Some(nanos) = plausible_nanos(time) else {
            return self.reject("metric point from before 1990 or after 2199", time);
        };
        let mut sorted = Sorted::new(METRIC, attributes.len() + self.scope.attributes.len() + 2);
        add_all(&mut sorted, attributes);
        self.scope.add_named_to(&mut sorted);
        if let Some(extra) = extra {
            sorted.add(QUANTILE_VALUES, extra);
        }
        let row = MetricPointRow {
            time: Some(micros(nanos)),
            metric_name: text_cell(&self.metric.name),
            unit: text_cell(&self.metric.unit),
            service_name: self.resource.get(Column::ServiceName),
            environment: self.resource.get(Column::Environment),
            tenant_id: sorted.take(Column::Tenant).or_else(|| self.resource.get(Column::Tenant)),
            resource_attributes: self.resource.rest(),
            attributes: sorted.into_rest(),
            ..row
        };
        self.output.metric_points.push(&row);
    }

    fn number(&mut self, point: &NumberDataPoint, kind: &'static str, sum: Option<(i32, bool)>) {
        let value = match point.value {
            Some(Value::AsDouble(value)) => Some(value),
            #[expect(clippy::cast_precision_loss, reason = "the column is a double")]
            Some(Value::AsInt(value)) => Some(value as f64),
            None if point.flags & NO_RECORDED_VALUE != 0 => None,
            None => return self.reject("metric point without a value", point.time_unix_nano),
        };
        let row = MetricPointRow {
            metric_kind: Some(Cow::Borrowed(kind)),
            temporality: sum.and_then(|(temporality, _)| temporality_name(temporality)),
            is_monotonic: sum.map(|(_, monotonic)| monotonic),
            value,
            ..MetricPointRow::default()
        };
        self.push(point.time_unix_nano, &point.attributes, None, row);
    }

    fn histogram(&mut self, point: &HistogramDataPoint, temporality: i32) {
        let (bounds, counts) = (point.explicit_bounds.len(), point.bucket_counts.len());
        let matching = counts == bounds + 1 || (counts == 0 && bounds == 0);
        if !matching {
            return self.reject("histogram point whose counts do not match its bounds", point.time_unix_nano);
        }
        if counts > MAX_BUCKETS {
            return self.reject("histogram point with too many buckets", point.time_unix_nano);
        }
        let row = MetricPointRow {
            metric_kind: Some(Cow::Borrowed("histogram")),
            temporality: temporality_name(temporality),
            count: Some(to_i64(point.count)),
            sum: point.sum,
            bounds: (counts > 0).then(|| point.explicit_bounds.clone()),
            bucket_counts: (counts > 0).then(|| point.bucket_counts.iter().copied().map(to_i64).collect()),
            ..MetricPointRow::default()
        };
        self.push(point.time_unix_nano, &point.attributes, None, row);
    }

    fn exponential(&mut self, point: &ExponentialHistogramDataPoint, temporality: i32) {
        let buckets = |side: &Option<Buckets>| side.as_ref().map_or(0, |side| side.bucket_counts.len());
        if buckets(&point.positive) + buckets(&point.negative) > MAX_BUCKETS {
            return self.reject("histogram point with too many buckets", point.time_unix_nano);
        }
        let (bounds, bucket_counts) = explicit(point);
        let row = MetricPointRow {
            metric_kind: Some(Cow::Borrowed("exponential_histogram")),
            temporality: temporality_name(temporality),
            count: Some(to_i64(point.count)),
            sum: point.sum,
            bounds: Some(bounds),
            bucket_counts: Some(bucket_counts),
            ..MetricPointRow::default()
        };
        self.push(point.time_unix_nano, &point.attributes, None, row);
    }

    fn summary(&mut self, point: &SummaryDataPoint) {
        if point.quantile_values.len() > MAX_BUCKETS {
            return self.reject("summary point with too many quantiles", point.time_unix_nano);
        }
        let values: Vec<_> = point.quantile_values.iter().map(|at| json_number(at.value)).collect();
        let row = MetricPointRow {
            metric_kind: Some(Cow::Borrowed("summary")),
            count: Some(to_i64(point.count)),
            sum: Some(point.sum),
            bounds: Some(point.quantile_values.iter().map(|at| at.quantile).collect()),
            ..MetricPointRow::default()
        };
        let values = (!values.is_empty()).then(|| format!("[{}]", values.join(",")));
        self.push(point.time_unix_nano, &point.attributes, values, row);
    }
}

/// Explicit upper bounds and counts (one more) of an exponential histogram.
///
/// Bucket `i` of base `b = 2^(2^-scale)` holds what lies in `(b^i, b^(i+1)]`, on the negative side mirrored
/// (OpenTelemetry metrics data model, `ExponentialHistogram`). In ascending order there are: nothing below the lowest
/// negative bucket; the negative buckets; the zero bucket, up to the lowest positive bound (or the zero threshold where
/// no positive bucket exists); the positive buckets; nothing above.
#[must_use]
pub fn explicit(point: &ExponentialHistogramDataPoint) -> (Vec<f64>, Vec<i64>) {
    let (mut bounds, mut counts) = (Vec::new(), Vec::new());
    let mut upper = |bound: f64, count: u64| {
        bounds.push(bound);
        counts.push(to_i64(count));
    };
    let bound = |offset: i32, index: usize| bucket_bound(point.scale, offset, index);
    if let Some(side) = point.negative.as_ref().filter(|side| !side.bucket_counts.is_empty()) {
        upper(-bound(side.offset, side.bucket_counts.len()), 0);
        for (index, count) in side.bucket_counts.iter().enumerate().rev() {
            upper(-bound(side.offset, index), *count);
        }
    }
    match point.positive.as_ref().filter(|side| !side.bucket_counts.is_empty()) {
        Some(side) => {
            upper(bound(side.offset, 0), point.zero_count);
            for (index, count) in side.bucket_counts.iter().enumerate() {
                upper(bound(side.offset, index + 1), *count);
            }
        }
        None => upper(point.zero_threshold, point.zero_count),
    }
    counts.push(0);
    (bounds, counts)
}

fn bucket_bound(scale: i32, offset: i32, index: usize) -> f64 {
    let index = f64::from(offset) + f64::from(u32::try_from(index).unwrap_or(u32::MAX));
    (index * (-f64::from(scale)).exp2()).exp2()
}

fn temporality_name<'a>(temporality: i32) -> Option<Cow<'a, str>> {
    match AggregationTemporality::try_from(temporality) {
        Ok(AggregationTemporality::Delta) => Some(Cow::Borrowed("delta")),
        Ok(AggregationTemporality::Cumulative) => Some(Cow::Borrowed("cumulative")),
        Ok(AggregationTemporality::Unspecified) | Err(_) => None,
    }
}

fn to_i64(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn json_number(value: f64) -> String {
    let text = double_text(value);
    if value.is_finite() { text.into_owned() } else { format!("\"{text}\"") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_buckets_get_explicit_bounds() {
        let mut point = ExponentialHistogramDataPoint {
            scale: 1,
            zero_count: 7,
            positive: Some(Buckets { offset: 2, bucket_counts: vec![3, 4] }),
            negative: Some(Buckets { offset: 0, bucket_counts: vec![1, 2] }),
            zero_threshold: 0.5,
            ..Default::default()
        };
        let (bounds, counts) = explicit(&point);
        let expected = [-2.0, -2_f64.sqrt(), -1.0, 2.0, 2.0 * 2_f64.sqrt(), 4.0];
        assert_eq!(bounds.len(), expected.len());
        assert!(bounds.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-12), "{bounds:?}");
        assert_eq!(counts, [0, 2, 1, 7, 3, 4, 0]);
        point.positive = None;
        point.negative = None;
        assert_eq!(explicit(&point), (vec![0.5], vec![7, 0]));
    }
}
