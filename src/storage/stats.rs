//! Statistics of a data file as the Delta protocol keeps them: row count, and per column least, greatest and nulls.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat};
use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::compute::{max, max_string, min, min_string};
use datafusion::arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType};
use serde_json::{Map, Value, json};

/// Longest text that is kept as a bound; a column with a longer one has no bounds.
const TEXT_BOUND_BYTES: usize = 128;

/// Statistics of the rows of one file (Delta protocol, "Per-file Statistics").
pub(super) fn of(batch: &RecordBatch) -> String {
    let mut statistics = Statistics::default();
    statistics.add(batch);
    statistics.json().to_string()
}

/// Statistics of rows that come batch by batch.
#[derive(Debug, Default)]
pub struct Statistics {
    rows: usize,
    nulls: Map<String, Value>,
    ranges: BTreeMap<String, Range>,
}

/// Least and greatest value of a column.
#[derive(Debug, Clone, PartialEq)]
enum Range {
    Int(i64, i64),
    Float(f64, f64),
    Instant(i64, i64),
    Text(String, String),
}

impl Statistics {
    /// Take the rows of a batch.
    pub fn add(&mut self, batch: &RecordBatch) {
        self.rows += batch.num_rows();
        for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
            if field.data_type().is_nested() {
                continue;
            }
            let known = self.nulls.get(field.name()).and_then(Value::as_u64).unwrap_or_default();
            self.nulls.insert(field.name().clone(), json!(known + column.null_count() as u64));
            let Some(found) = range(column.as_ref()) else { continue };
            match self.ranges.get_mut(field.name()) {
                Some(range) => range.widen(found),
                None => {
                    self.ranges.insert(field.name().clone(), found);
                }
            }
        }
    }

    /// Rows taken.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// As the log holds them.
    #[must_use]
    pub fn json(&self) -> Value {
        let (mut least, mut greatest) = (Map::new(), Map::new());
        for (name, range) in &self.ranges {
            if let Some((low, high)) = range.bounds() {
                least.insert(name.clone(), low);
                greatest.insert(name.clone(), high);
            }
        }
        json!({ "numRecords": self.rows, "minValues": least, "maxValues": greatest, "nullCount": self.nulls })
    }
}

impl Range {
    fn widen(&mut self, other: Self) {
        match (self, other) {
            (Self::Int(low, high), Self::Int(least, greatest))
            | (Self::Instant(low, high), Self::Instant(least, greatest)) => {
                *low = least.min(*low);
                *high = greatest.max(*high);
            }
            (Self::Float(low, high), Self::Float(least, greatest)) => {
                *low = if least.total_cmp(low).is_lt() { least } else { *low };
                *high = if greatest.total_cmp(high).is_gt() { greatest } else { *high };
            }
            (Self::Text(low, high), Self::Text(least, greatest)) => {
                if least < *low {
                    *low = least;
                }
                if greatest > *high {
                    *high = greatest;
                }
            }
            // A column has one type in all batches of a file.
            _ => {}
        }
    }

    fn bounds(&self) -> Option<(Value, Value)> {
        match self {
            Self::Int(low, high) => Some(((*low).into(), (*high).into())),
            Self::Float(low, high) => (low.is_finite() && high.is_finite()).then(|| ((*low).into(), (*high).into())),
            Self::Instant(low, high) => Some((instant(*low)?, instant(*high)?)),
            Self::Text(low, high) => {
                let short = low.len() <= TEXT_BOUND_BYTES && high.len() <= TEXT_BOUND_BYTES;
                short.then(|| (low.as_str().into(), high.as_str().into()))
            }
        }
    }
}

fn range(column: &dyn Array) -> Option<Range> {
    match column.data_type() {
        DataType::Int64 => {
            let values = column.as_primitive::<Int64Type>();
            Some(Range::Int(min(values)?, max(values)?))
        }
        DataType::Int32 => {
            let values = column.as_primitive::<Int32Type>();
            Some(Range::Int(min(values)?.into(), max(values)?.into()))
        }
        DataType::Float64 => {
            let values = column.as_primitive::<Float64Type>();
            Some(Range::Float(min(values)?, max(values)?))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let values = column.as_primitive::<TimestampMicrosecondType>();
            Some(Range::Instant(min(values)?, max(values)?))
        }
        DataType::Utf8 => {
            let values = column.as_string::<i32>();
            Some(Range::Text(min_string(values)?.to_owned(), max_string(values)?.to_owned()))
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
    fn statistics_of_batches_are_those_of_all_rows() {
        let mut builder = CostBuilder::default();
        for (at, quantity) in [0.5, f64::MAX, -3.0, 2.0].into_iter().enumerate() {
            let sku = (at > 1).then(|| format!("{}", 10 - at).into());
            let charge_period_start = Some(7 - at as i64);
            let consumed_quantity = Some(quantity);
            builder.append(&CostRow { charge_period_start, consumed_quantity, sku_id: sku, ..CostRow::default() });
        }
        let rows = builder.finish("focus", 5);
        let mut parts = Statistics::default();
        (0..4).for_each(|row| parts.add(&rows.slice(row, 1)));
        assert_eq!(parts.json().to_string(), of(&rows));
        assert_eq!(parts.json()["minValues"]["sku_id"], "7");
        assert_eq!(parts.json()["minValues"]["consumed_quantity"], -3.0);
        assert_eq!(parts.json()["nullCount"]["sku_id"], 2);
    }

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
