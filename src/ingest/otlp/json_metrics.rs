//! How exporters write metrics in JSON, read as tolerantly as [`super::json`] reads the rest.
//! One malformed point fails the metric; see [`super::points`] for what becomes of its neighbours.

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
    Sum, Summary, SummaryDataPoint,
};
use serde::Deserialize;
use serde::de::{Deserializer, Error};

use super::json::{attributes, number, number32, temporality};
use crate::ingest::telemetry::scalar::{Scalar, list, nullable};

fn double<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    let scalar = Scalar::deserialize(deserializer)?;
    match scalar.as_f64() {
        None if !scalar.is_null() => Err(Error::custom("not a number")),
        value => Ok(value),
    }
}

fn double_or_zero<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(double(deserializer)?.unwrap_or_default())
}

fn doubles<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
    let scalars: Vec<Scalar<'de>> = list(deserializer)?;
    scalars.iter().map(|scalar| scalar.as_f64().ok_or_else(|| Error::custom("not a number"))).collect()
}

fn numbers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u64>, D::Error> {
    let scalars: Vec<Scalar<'de>> = list(deserializer)?;
    scalars.iter().map(|scalar| scalar.as_u64().ok_or_else(|| Error::custom("not an unsigned number"))).collect()
}

fn signed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    let scalar = Scalar::deserialize(deserializer)?;
    if scalar.is_null() {
        return Ok(None);
    }
    scalar.as_i64().map(Some).ok_or_else(|| Error::custom("not an integer"))
}

fn signed32<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i32, D::Error> {
    i32::try_from(signed(deserializer)?.unwrap_or_default()).map_err(|_| Error::custom("not an integer of 32 bits"))
}

fn truth<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Scalar::deserialize(deserializer)?.as_bool().ok_or_else(|| Error::custom("not true or false"))
}

/// A metric.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct JsonMetric {
    #[serde(deserialize_with = "nullable")]
    name: String,
    #[serde(deserialize_with = "nullable")]
    unit: String,
    gauge: Option<JsonNumbers>,
    sum: Option<JsonNumbers>,
    histogram: Option<JsonHistogram>,
    #[serde(alias = "exponentialHistogram")]
    exponential_histogram: Option<JsonExponential>,
    summary: Option<JsonSummary>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct JsonNumbers {
    #[serde(alias = "dataPoints", deserialize_with = "list")]
    data_points: Vec<JsonNumber>,
    #[serde(alias = "aggregationTemporality", deserialize_with = "temporality")]
    aggregation_temporality: i32,
    #[serde(alias = "isMonotonic", deserialize_with = "truth")]
    is_monotonic: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct JsonNumber {
    #[serde(alias = "timeUnixNano", deserialize_with = "number")]
    time_unix_nano: u64,
    #[serde(alias = "asDouble", deserialize_with = "double")]
    as_double: Option<f64>,
    #[serde(alias = "asInt", deserialize_with = "signed")]
    as_int: Option<i64>,
    #[serde(deserialize_with = "number32")]
    flags: u32,
    #[serde(deserialize_with = "attributes")]
    attributes: Vec<KeyValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct JsonHistogram {
    #[serde(alias = "dataPoints", deserialize_with = "list")]
    data_points: Vec<JsonHistogramPoint>,
    #[serde(alias = "aggregationTemporality", deserialize_with = "temporality")]
    aggregation_temporality: i32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct JsonHistogramPoint {
    #[serde(alias = "timeUnixNano", deserialize_with = "number")]
    time_unix_nano: u64,
    #[serde(deserialize_with = "number")]
    count: u64,
    #[serde(deserialize_with = "double")]
    sum: Option<f64>,
    #[serde(alias = "bucketCounts", deserialize_with = "numbers")]
    bucket_counts: Vec<u64>,
    #[serde(alias = "explicitBounds", deserialize_with = "doubles")]
    explicit_bounds: Vec<f64>,
    #[serde(deserialize_with = "attributes")]
    attributes: Vec<KeyValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct JsonExponential {
    #[serde(alias = "dataPoints", deserialize_with = "list")]
    data_points: Vec<JsonExponentialPoint>,
    #[serde(alias = "aggregationTemporality", deserialize_with = "temporality")]
    aggregation_temporality: i32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct JsonExponentialPoint {
    #[serde(alias = "timeUnixNano", deserialize_with = "number")]
    time_unix_nano: u64,
    #[serde(deserialize_with = "number")]
    count: u64,
    #[serde(deserialize_with = "double")]
    sum: Option<f64>,
    #[serde(deserialize_with = "signed32")]
    scale: i32,
    #[serde(alias = "zeroCount", deserialize_with = "number")]
    zero_count: u64,
    #[serde(alias = "zeroThreshold", deserialize_with = "double_or_zero")]
    zero_threshold: f64,
    positive: Option<JsonBuckets>,
    negative: Option<JsonBuckets>,
    #[serde(deserialize_with = "attributes")]
    attributes: Vec<KeyValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct JsonBuckets {
    #[serde(deserialize_with = "signed32")]
    offset: i32,
    #[serde(alias = "bucketCounts", deserialize_with = "numbers")]
    bucket_counts: Vec<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct JsonSummary {
    #[serde(alias = "dataPoints", deserialize_with = "list")]
    data_points: Vec<JsonSummaryPoint>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct JsonSummaryPoint {
    #[serde(alias = "timeUnixNano", deserialize_with = "number")]
    time_unix_nano: u64,
    #[serde(deserialize_with = "number")]
    count: u64,
    #[serde(deserialize_with = "double_or_zero")]
    sum: f64,
    #[serde(alias = "quantileValues", deserialize_with = "list")]
    quantile_values: Vec<JsonQuantile>,
    #[serde(deserialize_with = "attributes")]
    attributes: Vec<KeyValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct JsonQuantile {
    #[serde(deserialize_with = "double_or_zero")]
    quantile: f64,
    #[serde(deserialize_with = "double_or_zero")]
    value: f64,
}

impl From<JsonMetric> for Metric {
    fn from(json: JsonMetric) -> Self {
        let data = if let Some(gauge) = json.gauge {
            Some(Data::Gauge(Gauge { data_points: all(gauge.data_points) }))
        } else if let Some(sum) = json.sum {
            Some(Data::Sum(Sum {
                aggregation_temporality: sum.aggregation_temporality,
                is_monotonic: sum.is_monotonic,
                data_points: all(sum.data_points),
            }))
        } else if let Some(histogram) = json.histogram {
            Some(Data::Histogram(Histogram {
                aggregation_temporality: histogram.aggregation_temporality,
                data_points: all(histogram.data_points),
            }))
        } else if let Some(histogram) = json.exponential_histogram {
            Some(Data::ExponentialHistogram(ExponentialHistogram {
                aggregation_temporality: histogram.aggregation_temporality,
                data_points: all(histogram.data_points),
            }))
        } else {
            json.summary.map(|summary| Data::Summary(Summary { data_points: all(summary.data_points) }))
        };
        Self { name: json.name, unit: json.unit, data, ..Self::default() }
    }
}

fn all<J: Into<P>, P>(points: Vec<J>) -> Vec<P> {
    points.into_iter().map(Into::into).collect()
}

impl From<JsonNumber> for NumberDataPoint {
    fn from(json: JsonNumber) -> Self {
        let value = json.as_int.map(Value::AsInt).or(json.as_double.map(Value::AsDouble));
        Self {
            time_unix_nano: json.time_unix_nano,
            flags: json.flags,
            attributes: json.attributes,
            value,
            ..Self::default()
        }
    }
}

impl From<JsonHistogramPoint> for HistogramDataPoint {
    fn from(json: JsonHistogramPoint) -> Self {
        Self {
            time_unix_nano: json.time_unix_nano,
            count: json.count,
            sum: json.sum,
            bucket_counts: json.bucket_counts,
            explicit_bounds: json.explicit_bounds,
            attributes: json.attributes,
            ..Self::default()
        }
    }
}

impl From<JsonExponentialPoint> for ExponentialHistogramDataPoint {
    fn from(json: JsonExponentialPoint) -> Self {
        let buckets = |side: JsonBuckets| Buckets { offset: side.offset, bucket_counts: side.bucket_counts };
        Self {
            time_unix_nano: json.time_unix_nano,
            count: json.count,
            sum: json.sum,
            scale: json.scale,
            zero_count: json.zero_count,
            zero_threshold: json.zero_threshold,
            positive: json.positive.map(buckets),
            negative: json.negative.map(buckets),
            attributes: json.attributes,
            ..Self::default()
        }
    }
}

impl From<JsonSummaryPoint> for SummaryDataPoint {
    fn from(json: JsonSummaryPoint) -> Self {
        let quantiles = json.quantile_values.into_iter();
        Self {
            time_unix_nano: json.time_unix_nano,
            count: json.count,
            sum: json.sum,
            quantile_values: quantiles.map(|at| ValueAtQuantile { quantile: at.quantile, value: at.value }).collect(),
            attributes: json.attributes,
            ..Self::default()
        }
    }
}
