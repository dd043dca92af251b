//! Statistics of a data file as the Delta protocol keeps them: row count, and per column least, greatest and nulls.

use chrono::{DateTime, SecondsFormat};
use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::compute::{max, max_string, min, min_string};
use datafusion::arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType};
use serde_json::{Map, Value, json};

/// Longest text that is kept as a bound; a column with a longer one has no bounds.
const TEXT_BOUND_BYTES: usize = 128;

/// Statistics of the rows of one file (Delta protocol, "Per-file Statistics").
pub(super) fn of(batch: &RecordBatch) -> String {
    let (mut least, mut greatest, mut nulls) = (Map::new(), Map::new(), Map::new());
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        if field.data_type().is_nested() {
            continue;
        }
        nulls.insert(field.name().clone(), json!(column.null_count()));
        if let Some((low, high)) = bounds(column.as_ref()) {
            least.insert(field.name().clone(), low);
            greatest.insert(field.name().clone(), high);
        }
    }
    json!({ "numRecords": batch.num_rows(), "minValues": least, "maxValues": greatest, "nullCount": nulls }).to_string()
}

fn bounds(column: &dyn Array) -> Option<(Value, Value)> {
    match column.data_type() {
        DataType::Int64 => {
            let values = column.as_primitive::<Int64Type>();
            Some((min(values)?.into(), max(values)?.into()))
        }
        DataType::Int32 => {
            let values = column.as_primitive::<Int32Type>();
            Some((min(values)?.into(), max(values)?.into()))
        }
        DataType::Float64 => {
            let values = column.as_primitive::<Float64Type>();
            let (low, high) = (min(values)?, max(values)?);
            (low.is_finite() && high.is_finite()).then(|| (low.into(), high.into()))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let values = column.as_primitive::<TimestampMicrosecondType>();
            Some((instant(min(values)?)?, instant(max(values)?)?))
        }
        DataType::Utf8 => {
            let values = column.as_string::<i32>();
            let (low, high) = (min_string(values)?, max_string(values)?);
            (low.len() <= TEXT_BOUND_BYTES && high.len() <= TEXT_BOUND_BYTES).then(|| (low.into(), high.into()))
        }
        _ => None,
    }
}

fn instant(micros: i64) -> Option<Value> {
    Some(DateTime::from_timestamp_micros(micros)?.to_rfc3339_opts(SecondsFormat::Micros, true).into())
}

/// The one value that a text column has in all rows of a file, if its statistics say so.
pub(super) fn only_value(stats: Option<&str>, column: &str) -> Bounds {
    let Some(parsed) = stats.and_then(|text| serde_json::from_str::<Value>(text).ok()) else { return Bounds::Unknown };
    let bound = |side: &str| parsed.get(side).and_then(|values| values.get(column)).and_then(Value::as_str);
    let nulls = parsed.get("nullCount").and_then(|values| values.get(column)).and_then(Value::as_u64);
    match (bound("minValues"), bound("maxValues"), nulls) {
        (Some(low), Some(high), Some(0)) => Bounds::Between(low.to_owned(), high.to_owned()),
        _ => Bounds::Unknown,
    }
}

/// What statistics say of a text column of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Bounds {
    /// No nulls, and every value between these.
    Between(String, String),
    /// Nothing.
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RowBuilder;
    use crate::model::cost::{CostBuilder, CostRow};

    #[test]
    fn statistics_bound_the_rows() {
        let mut builder = CostBuilder::default();
        for (time, export) in [(2_000_000, "a"), (1_000_000, "b")] {
            builder.append(&CostRow {
                charge_period_start: Some(time),
                export_id: Some(export.into()),
                ..CostRow::default()
            });
        }
        let stats = of(&builder.finish("focus", 0));
        let parsed: Value = serde_json::from_str(&stats).unwrap();
        assert_eq!(parsed["numRecords"], 2);
        assert_eq!(parsed["minValues"]["charge_period_start"], "1970-01-01T00:00:01.000000Z");
        assert_eq!(parsed["maxValues"]["charge_period_start"], "1970-01-01T00:00:02.000000Z");
        assert_eq!(parsed["nullCount"]["sku_id"], 2);
        assert_eq!(only_value(Some(&stats), "export_id"), Bounds::Between("a".into(), "b".into()));
        assert_eq!(only_value(Some(&stats), "sku_id"), Bounds::Unknown);
    }
}
