//! `robust_z(x) over (…)`.

use std::ops::Range;

use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::PartitionEvaluator;
use datafusion::scalar::ScalarValue;

use super::Window;
use crate::about::{About, Kind, Param, STATISTICS};
use crate::args::numbers;
use crate::stats::median_iqr;

pub(super) static FUNCTION: Window = Window {
    about: About {
        name: "robust_z",
        section: &STATISTICS,
        syntax: "robust_z(x) OVER (...)",
        description: "How far the row's value is from the median of its window frame, in robust standard deviations: (x - median) / (IQR / 1.349), which for a normal distribution \
                      is the z-score, but which outliers hardly move. A frame may leave out the row itself, as in `ROWS BETWEEN 30 PRECEDING AND 1 PRECEDING`. Nulls and NaN \
                      are left out of frames and give null, as does a frame of less than two values. Where the quartiles are equal, a value off the median is infinitely far.",
        params: &[Param::new("x", Kind::Number, "The values.")],
        required: 1,
        example: "
> SELECT day, cost, round(robust_z(cost) OVER (), 4) AS z, round(robust_z(cost) OVER (ORDER BY day ROWS BETWEEN 4 PRECEDING AND 1 PRECEDING), 4) AS z_before
  FROM (VALUES (1, 100.0), (2, 104.0), (3, 98.0), (4, 101.0), (5, 160.0), (6, 102.0)) AS t(day, cost) ORDER BY day;
+-----+-------+---------+----------+
| day | cost  | z       | z_before |
+-----+-------+---------+----------+
| 1   | 100.0 | -0.6226 |          |
| 2   | 104.0 | 1.0377  |          |
| 3   | 98.0  | -1.4528 | -2.698   |
| 4   | 101.0 | -0.2075 | 0.4497   |
| 5   | 160.0 | 24.282  | 35.6736  |
| 6   | 102.0 | 0.2075  | -0.038   |
+-----+-------+---------+----------+
",
    },
    returns: |_| DataType::Float64,
    evaluator: || Box::new(RobustZ::default()),
};

/// The interquartile range of a standard normal, to the digits that are customary.
const NORMAL_IQR: f64 = 1.349;

/// The values of the current frame, as counts over the ranks of the whole partition's values: a frame may grow and
/// shrink, and each quartile is found, in logarithmic time.
#[derive(Debug, Default)]
struct RobustZ {
    /// The next row. Every row of a partition is asked for once and in order; the frame alone does not tell which it is.
    row: usize,
    frame: Range<usize>,
    /// By row, the value's rank. None for what is left out.
    ranks: Vec<Option<usize>>,
    /// The distinct values, ascending.
    distinct: Vec<f64>,
    counts: Fenwick,
    /// Median and scale of the frame.
    known: Option<(f64, f64)>,
}

impl RobustZ {
    fn load(&mut self, values: &ArrayRef) -> Result<()> {
        let values = numbers(values)?;
        // Negative zero is zero.
        let values: Vec<_> = values.iter().map(|x| x.filter(|x| !x.is_nan()).map(|x| x + 0.0)).collect();
        self.distinct = values.iter().flatten().copied().collect();
        self.distinct.sort_unstable_by(f64::total_cmp);
        self.distinct.dedup();
        let rank = |x: Option<f64>| x.map(|x| self.distinct.partition_point(|y| *y < x));
        self.ranks = values.into_iter().map(rank).collect();
        self.counts = Fenwick::new(self.distinct.len());
        Ok(())
    }

    fn count(&mut self, rows: Range<usize>, add: bool) {
        for rank in self.ranks[rows].iter().flatten() {
            self.counts.add(*rank, add);
        }
    }

    fn slide(&mut self, to: &Range<usize>) {
        if *to == self.frame && self.known.is_some() {
            return;
        }
        let from = self.frame.clone();
        if to.start < from.start || to.end < from.end || to.start > from.end {
            self.count(from, false);
            self.count(to.clone(), true);
        } else {
            self.count(from.end..to.end, true);
            self.count(from.start..to.start, false);
        }
        self.frame = to.clone();
        self.known = (self.counts.total >= 2).then(|| {
            let (median, iqr) = median_iqr(self.counts.total, |n| self.distinct[self.counts.nth(n)]);
            (median, iqr / NORMAL_IQR)
        });
    }
}

impl PartitionEvaluator for RobustZ {
    fn evaluate(&mut self, columns: &[ArrayRef], frame: &Range<usize>) -> Result<ScalarValue> {
        let Some(values) = columns.first() else { return internal_err!("expected values") };
        if self.row == 0 {
            self.load(values)?;
        }
        let row = self.row;
        self.row += 1;
        if self.ranks.len() != values.len() || row >= values.len() || frame.end > values.len() {
            return internal_err!("robust_z: expected the rows of one partition in order");
        }
        self.slide(frame);
        let z = match (self.ranks[row], self.known) {
            (Some(rank), Some((median, scale))) => {
                let x = self.distinct[rank];
                Some(if x == median { 0.0 } else { (x - median) / scale })
            }
            _ => None,
        };
        Ok(ScalarValue::Float64(z.filter(|z| !z.is_nan())))
    }

    fn uses_window_frame(&self) -> bool {
        true
    }
}

/// A binary indexed tree of counts (Fenwick 1994).
#[derive(Debug, Default)]
struct Fenwick {
    tree: Vec<usize>,
    total: usize,
}

impl Fenwick {
    fn new(size: usize) -> Self {
        Self { tree: vec![0; size + 1], total: 0 }
    }

    fn add(&mut self, place: usize, add: bool) {
        let change = |count: &mut usize| *count = if add { *count + 1 } else { *count - 1 };
        change(&mut self.total);
        let mut i = place + 1;
        while i < self.tree.len() {
            change(&mut self.tree[i]);
            i += i & i.wrapping_neg();
        }
    }

    /// The place of the n-th item counted, from 0; `n` is below the total.
    fn nth(&self, mut n: usize) -> usize {
        let mut place = 0;
        let mut step = self.tree.len().next_power_of_two();
        while step > 0 {
            let next = place + step;
            if next < self.tree.len() && self.tree[next] <= n {
                n -= self.tree[next];
                place = next;
            }
            step /= 2;
        }
        place
    }
}
