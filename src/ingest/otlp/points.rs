//! Cutting a metric into metrics of one point each, so that a malformed point does not take its neighbours with it. Only
//! done where the metric as a whole cannot be decoded.

use prost::encoding::{WireType, encode_key, encode_varint};

use super::wire::{Field, fields};
use crate::ingest::telemetry::raw_json::{elements, is_null, members};

/// Most bytes that the metrics of one point may have together; a metric with more is rejected as a whole.
const MOST_BYTES: usize = 64 << 20;

/// Fields of `Metric` that hold points: gauge, sum, histogram, exponential histogram, summary.
const DATA: [u32; 5] = [5, 7, 9, 10, 11];

/// Field of all of these that is the list of points.
const POINTS: u32 = 1;

const JSON_DATA: [&[u8]; 6] =
    [b"gauge", b"sum", b"histogram", b"exponentialHistogram", b"exponential_histogram", b"summary"];

/// The metrics of one point each that a metric in JSON is made of; none where it has no points that could be told.
pub(super) fn of_json(metric: &[u8]) -> Vec<Vec<u8>> {
    let member = |text, names: &[&[u8]]| {
        let mut found = members(text)?.filter_map(Result::ok);
        found.find(|(name, _)| names.contains(name)).map(|(_, value)| value)
    };
    let list = member(metric, &JSON_DATA).and_then(|data| member(data, &[b"dataPoints", b"data_points"]));
    let Some((list, points)) = list.and_then(|list| Some((list, elements(list)?))) else { return Vec::new() };
    let points: Vec<&[u8]> = points.filter_map(Result::ok).filter(|point| !is_null(point)).collect();
    // The list is a part of the metric's own text.
    let before = list.as_ptr().addr() - metric.as_ptr().addr();
    let (Some(head), Some(tail)) = (metric.get(..before), metric.get(before + list.len()..)) else { return Vec::new() };
    if (head.len() + tail.len()).saturating_mul(points.len()) > MOST_BYTES {
        return Vec::new();
    }
    points.into_iter().map(|point| [head, b"[", point, b"]", tail].concat()).collect()
}

/// The same of a metric in Protocol Buffers.
pub(super) fn of_protobuf(metric: &[u8]) -> Vec<Vec<u8>> {
    let (mut head, mut data) = (Vec::new(), None);
    let mut walk = fields(metric);
    while let Some(field) = walk.next_with_bytes() {
        match field {
            Ok((number, Field::Bytes(inner), _)) if DATA.contains(&number) => data = Some((number, inner)),
            Ok((_, _, written)) => head.extend_from_slice(written),
            Err(_) => return Vec::new(),
        }
    }
    let Some((number, inner)) = data else { return Vec::new() };
    let (mut rest, mut points) = (Vec::new(), Vec::new());
    let mut walk = fields(inner);
    while let Some(field) = walk.next_with_bytes() {
        match field {
            Ok((POINTS, Field::Bytes(point), _)) => points.push(point),
            Ok((_, _, written)) => rest.extend_from_slice(written),
            Err(_) => return Vec::new(),
        }
    }
    if (head.len() + rest.len()).saturating_mul(points.len()) > MOST_BYTES {
        return Vec::new();
    }
    let of_point = |point: &[u8]| {
        let mut inner = rest.clone();
        append(POINTS, point, &mut inner);
        let mut metric = head.clone();
        append(number, &inner, &mut metric);
        metric
    };
    points.into_iter().map(of_point).collect()
}

fn append(number: u32, bytes: &[u8], message: &mut Vec<u8>) {
    encode_key(number, WireType::LengthDelimited, message);
    encode_varint(bytes.len() as u64, message);
    message.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::metrics::v1::metric::Data;
    use opentelemetry_proto::tonic::metrics::v1::{Metric, NumberDataPoint, Sum};
    use prost::Message;

    use super::*;

    #[test]
    fn points_stand_alone_with_what_all_have() {
        let parts = of_json(br#"{"name":"m","sum":{"isMonotonic":true,"dataPoints":[{"asInt":1},null,7]},"unit":"s"}"#);
        let text: Vec<_> = parts.iter().map(|part| std::str::from_utf8(part).unwrap()).collect();
        assert_eq!(text[0], r#"{"name":"m","sum":{"isMonotonic":true,"dataPoints":[{"asInt":1}]},"unit":"s"}"#);
        assert_eq!(text[1], r#"{"name":"m","sum":{"isMonotonic":true,"dataPoints":[7]},"unit":"s"}"#);
        assert_eq!(text.len(), 2);
        let point = |time| NumberDataPoint { time_unix_nano: time, ..NumberDataPoint::default() };
        let metric = |points| Metric {
            name: "m".into(),
            data: Some(Data::Sum(Sum { data_points: points, is_monotonic: true, aggregation_temporality: 2 })),
            ..Metric::default()
        };
        let parts = of_protobuf(&metric(vec![point(1), point(2)]).encode_to_vec());
        let parts: Vec<Metric> = parts.iter().map(|part| Metric::decode(&**part).unwrap()).collect();
        assert_eq!(parts, [metric(vec![point(1)]), metric(vec![point(2)])]);
        assert!(of_json(b"{\"name\":1}").is_empty() && of_protobuf(b"\x0a\x01m").is_empty());
    }
}
