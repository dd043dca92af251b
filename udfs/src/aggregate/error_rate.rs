//! `error_rate(status_code [, weight])`.

use std::mem::size_of;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, UInt64Array};
use datafusion::arrow::datatypes::{DataType, UInt64Type};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};
use datafusion::scalar::ScalarValue;

use super::Aggregate;
use crate::about::{About, Kind, Param, STATISTICS};
use crate::args::{Texts, numbers};

pub(super) static FUNCTION: Aggregate = Aggregate {
    about: About {
        name: "error_rate",
        section: &STATISTICS,
        syntax: "error_rate(status_code [, weight])",
        description: "The share of rows whose OpenTelemetry status is `ERROR` (or `STATUS_CODE_ERROR`, in any case), 0 to 1; every other status counts as no error, and a null \
                      status not at all. With a weight, such as `adjusted_count`, the share of the weight; rows of a null weight are left out. Null if nothing counted.",
        params: &[
            Param::new("status_code", Kind::Text, "The span's status."),
            Param::new(
                "weight",
                Kind::Number,
                "How much the row counts; 1 if not given. Must be finite and not negative.",
            ),
        ],
        required: 1,
        example: "
> SELECT error_rate(status) AS of_spans, error_rate(status, spans) AS of_traffic
  FROM (VALUES ('OK', 1.0), ('ERROR', 1.0), ('UNSET', 7.0), (NULL, 5.0), ('OK', 1.0)) AS t(status, spans);
+----------+------------+
| of_spans | of_traffic |
+----------+------------+
| 0.25     | 0.1        |
+----------+------------+
",
    },
    state: |_| {
        vec![
            ("bad", DataType::Float64),
            ("all", DataType::Float64),
            ("bad_rows", DataType::UInt64),
            ("rows", DataType::UInt64),
        ]
    },
    accumulator: |_| Box::new(ErrorRate::default()),
    groups: Some(|| Box::new(ErrorRates::default())),
};

/// Weights and numbers of rows. The numbers tell an exact zero from the rest that floating point leaves when a
/// window takes rows back.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
struct Tally {
    bad: f64,
    all: f64,
    bad_rows: u64,
    rows: u64,
}

impl Tally {
    fn add(&mut self, bad: bool, weight: f64) {
        self.all += weight;
        self.rows += 1;
        if bad {
            self.bad += weight;
            self.bad_rows += 1;
        }
    }

    fn remove(&mut self, bad: bool, weight: f64) {
        self.all -= weight;
        self.rows = self.rows.saturating_sub(1);
        if bad {
            self.bad -= weight;
            self.bad_rows = self.bad_rows.saturating_sub(1);
        }
        if self.rows == 0 {
            *self = Self::default();
        }
    }

    fn merge(&mut self, other: Self) {
        self.bad += other.bad;
        self.all += other.all;
        self.bad_rows += other.bad_rows;
        self.rows += other.rows;
    }

    fn rate(&self) -> Option<f64> {
        match (self.bad_rows, self.rows) {
            (_, 0) => None,
            (0, _) => Some(0.0),
            (bad, all) if bad == all => Some(1.0),
            _ => Some((self.bad / self.all).clamp(0.0, 1.0)),
        }
    }
}

/// A batch's statuses and weights.
struct Rows<'a> {
    statuses: Texts<'a>,
    weights: Option<&'a Float64Array>,
    count: usize,
}

impl<'a> Rows<'a> {
    fn new(columns: &'a [ArrayRef]) -> Result<Self> {
        let Some(statuses) = columns.first() else { return internal_err!("expected a status") };
        let weights = columns.get(1).map(numbers).transpose()?;
        Ok(Self { statuses: Texts::new(statuses)?, weights, count: statuses.len() })
    }

    /// Whether the row is an error, and its weight. None if it does not count; without weight it could not change a share.
    fn get(&self, row: usize) -> Result<Option<(bool, f64)>> {
        let Some(status) = self.statuses.get(row) else { return Ok(None) };
        let weight = match self.weights {
            None => 1.0,
            Some(weights) if weights.is_null(row) => return Ok(None),
            Some(weights) => weights.value(row),
        };
        if !weight.is_finite() || weight < 0.0 {
            let message = format_args!("a weight is {weight}; it must be finite and not negative");
            return Err(FUNCTION.about.error(message));
        }
        let bad = status.eq_ignore_ascii_case("ERROR") || status.eq_ignore_ascii_case("STATUS_CODE_ERROR");
        Ok((weight > 0.0).then_some((bad, weight)))
    }
}

/// A partial state's row.
fn tallies(states: &[ArrayRef]) -> Result<impl Fn(usize) -> Tally> {
    let [bad, all, bad_rows, rows] = states else { return internal_err!("expected four states") };
    let (bad, all) = (numbers(bad)?, numbers(all)?);
    let (bad_rows, rows) = (bad_rows.as_primitive::<UInt64Type>(), rows.as_primitive::<UInt64Type>());
    Ok(|row| Tally { bad: bad.value(row), all: all.value(row), bad_rows: bad_rows.value(row), rows: rows.value(row) })
}

fn state_arrays(tallies: &[Tally]) -> Vec<ArrayRef> {
    let floats = |field: fn(&Tally) -> f64| Arc::new(tallies.iter().map(|t| Some(field(t))).collect::<Float64Array>());
    let counts = |field: fn(&Tally) -> u64| Arc::new(tallies.iter().map(|t| Some(field(t))).collect::<UInt64Array>());
    vec![floats(|t| t.bad), floats(|t| t.all), counts(|t| t.bad_rows), counts(|t| t.rows)]
}

#[derive(Debug, Default)]
struct ErrorRate {
    tally: Tally,
}

impl Accumulator for ErrorRate {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let rows = Rows::new(columns)?;
        for row in 0..rows.count {
            if let Some((bad, weight)) = rows.get(row)? {
                self.tally.add(bad, weight);
            }
        }
        Ok(())
    }

    fn retract_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let rows = Rows::new(columns)?;
        for row in 0..rows.count {
            if let Some((bad, weight)) = rows.get(row)? {
                self.tally.remove(bad, weight);
            }
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let t = self.tally;
        Ok(vec![t.bad.into(), t.all.into(), t.bad_rows.into(), t.rows.into()])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let tally = tallies(states)?;
        for row in 0..states[0].len() {
            self.tally.merge(tally(row));
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Float64(self.tally.rate()))
    }

    fn size(&self) -> usize {
        size_of::<Self>()
    }
}

/// All groups at once.
#[derive(Debug, Default)]
struct ErrorRates {
    tallies: Vec<Tally>,
}

/// Whether a filter keeps a row; a null does not.
fn kept(filter: Option<&BooleanArray>, row: usize) -> bool {
    filter.is_none_or(|f| f.is_valid(row) && f.value(row))
}

impl GroupsAccumulator for ErrorRates {
    fn update_batch(
        &mut self,
        columns: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        self.tallies.resize(total, Tally::default());
        let rows = Rows::new(columns)?;
        for (row, group) in groups.iter().enumerate().filter(|(row, _)| kept(filter, *row)) {
            if let Some((bad, weight)) = rows.get(row)? {
                self.tallies[*group].add(bad, weight);
            }
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.tallies.resize(total, Tally::default());
        let tally = tallies(states)?;
        for (row, group) in groups.iter().enumerate() {
            self.tallies[*group].merge(tally(row));
        }
        Ok(())
    }

    fn convert_to_state(&self, columns: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let rows = Rows::new(columns)?;
        let mut tallies = vec![Tally::default(); rows.count];
        for (row, tally) in tallies.iter_mut().enumerate().filter(|(row, _)| kept(filter, *row)) {
            if let Some((bad, weight)) = rows.get(row)? {
                tally.add(bad, weight);
            }
        }
        Ok(state_arrays(&tallies))
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let rates = emit_to.take_needed(&mut self.tallies).iter().map(Tally::rate).collect::<Float64Array>();
        Ok(Arc::new(rates))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(state_arrays(&emit_to.take_needed(&mut self.tallies)))
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.tallies.capacity() * size_of::<Tally>()
    }
}
