//! `weighted_quantile(x, w, q)`.

use std::collections::VecDeque;
use std::mem::size_of;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, Float64Array};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::Accumulator;
use datafusion::scalar::ScalarValue;

use super::{Aggregate, Constant, list_state, valid_rows};
use crate::about::{About, Kind, Param, STATISTICS};
use crate::args::{lists, numbers};

pub(super) static FUNCTION: Aggregate = Aggregate {
    about: About {
        name: "weighted_quantile",
        section: &STATISTICS,
        syntax: "weighted_quantile(x, w, q)",
        description: "The smallest value at which the weights of it and all smaller ones reach the share `q` of the whole weight: exact, never interpolated. With \
                      `adjusted_count` as the weight, a latency quantile of the traffic that sampled spans stand for. Rows with a null or NaN value, or a null or zero weight, \
                      are left out; a negative or infinite weight is an error. All values are kept in memory.",
        params: &[
            Param::new("x", Kind::Number, "The values."),
            Param::new("w", Kind::Number, "Their weights."),
            Param::new("q", Kind::Number, "The share, 0 to 1; the same in every row."),
        ],
        required: 3,
        example: "
> SELECT weighted_quantile(ms, spans, 0.5) AS median, weighted_quantile(ms, spans, 0.99) AS p99
  FROM (VALUES (10, 100.0), (20, 1.0), (30, 1.0), (900, 2.0)) AS t(ms, spans);
+--------+-------+
| median | p99   |
+--------+-------+
| 10.0   | 900.0 |
+--------+-------+
",
    },
    state: |_| {
        let list = DataType::new_list(DataType::Float64, true);
        vec![("values", list.clone()), ("weights", list), ("q", DataType::Float64)]
    },
    accumulator: |_| Box::new(Quantile::default()),
    groups: None,
};

/// Values with their weights, in the order in which they came: a window that slides takes them back in that order.
#[derive(Debug, Default)]
struct Quantile {
    rows: VecDeque<(f64, f64)>,
    q: Constant<f64>,
}

impl Quantile {
    fn learn(&mut self, q: &Float64Array) -> Result<()> {
        for row in valid_rows(q) {
            let q = q.value(row);
            if !(0.0..=1.0).contains(&q) {
                return Err(FUNCTION.about.error(format_args!("q is {q}; it must be 0 to 1")));
            }
            if !self.q.learn(q) {
                return Err(FUNCTION.about.error("q must be the same in every row"));
            }
        }
        Ok(())
    }
}

/// The rows that count.
fn weighted(columns: &[ArrayRef]) -> Result<impl Iterator<Item = Result<(f64, f64)>>> {
    let [values, weights, ..] = columns else { return internal_err!("expected values and weights") };
    let (values, weights) = (numbers(values)?, numbers(weights)?);
    let rows = valid_rows(values).filter(|row| weights.is_valid(*row)).map(|row| {
        let (x, w) = (values.value(row), weights.value(row));
        if !w.is_finite() || w < 0.0 {
            return Err(FUNCTION.about.error(format_args!("a weight is {w}; it must be finite and not negative")));
        }
        Ok((x, w))
    });
    Ok(rows.filter(|row| row.as_ref().map_or(true, |(x, w)| !x.is_nan() && *w > 0.0)))
}

impl Accumulator for Quantile {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let Some(q) = columns.get(2) else { return internal_err!("expected q") };
        self.learn(numbers(q)?)?;
        for row in weighted(columns)? {
            self.rows.push_back(row?);
        }
        Ok(())
    }

    fn retract_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        for row in weighted(columns)? {
            if self.rows.pop_front() != Some(row?) {
                return internal_err!("weighted_quantile: a row left the window that is not its oldest");
            }
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let values: Float64Array = self.rows.iter().map(|(x, _)| Some(*x)).collect();
        let weights: Float64Array = self.rows.iter().map(|(_, w)| Some(*w)).collect();
        let q = ScalarValue::Float64(self.q.value);
        Ok(vec![list_state(Arc::new(values)), list_state(Arc::new(weights)), q])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [values, weights, q] = states else { return internal_err!("expected three states") };
        self.learn(numbers(q)?)?;
        let (values, weights) = (lists(values)?, lists(weights)?);
        for row in valid_rows(values) {
            for pair in weighted(&[values.value(row), weights.value(row)])? {
                self.rows.push_back(pair?);
            }
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let Some(q) = self.q.value else { return Ok(ScalarValue::Float64(None)) };
        let mut rows: Vec<(f64, f64)> = self.rows.iter().copied().collect();
        rows.sort_unstable_by(|(x, v), (y, w)| x.total_cmp(y).then(v.total_cmp(w)));
        let total: f64 = rows.iter().map(|(_, w)| w).sum();
        let mut below = 0.0;
        let reached = |(_, w): &&(f64, f64)| {
            below += w;
            below >= q * total
        };
        // Rounding may leave the last sum short of the whole.
        let found = rows.iter().find(reached).or(rows.last());
        Ok(ScalarValue::Float64(found.map(|(x, _)| *x)))
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.rows.capacity() * size_of::<(f64, f64)>()
    }
}
