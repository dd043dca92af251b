//! The accumulator of statistics that compare two samples: the rows are told apart by a cohort column of two values.

use std::collections::VecDeque;
use std::mem::size_of;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, new_empty_array};
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::Accumulator;
use datafusion::scalar::ScalarValue;

use super::{Constant, list_state, valid_rows};
use crate::about::failure;
use crate::args::{Texts, booleans, lists, numbers};
use crate::stats::Ranks;

/// The statistic that is reported. None if the name of a part is unknown.
pub(super) type Report = fn(part: Option<&str>, ranks: &Ranks) -> Option<f64>;

/// The state's fields, by the types of the arguments.
pub(super) fn state(arguments: &[DataType]) -> Vec<(&'static str, DataType)> {
    vec![
        ("values", DataType::new_list(DataType::Float64, true)),
        ("slots", DataType::new_list(DataType::Boolean, true)),
        ("cohorts", DataType::new_list(cohort_type(arguments), true)),
        ("part", DataType::Utf8),
    ]
}

fn cohort_type(arguments: &[DataType]) -> DataType {
    arguments.get(1).cloned().unwrap_or(DataType::Boolean)
}

/// A cohort's value. The lesser of the two is the baseline.
#[derive(Debug, Clone, PartialEq, PartialOrd)]
enum Cohort {
    Bool(bool),
    Int(i64),
    Text(String),
}

impl Cohort {
    fn to_scalar(&self) -> ScalarValue {
        match self {
            Self::Bool(b) => (*b).into(),
            Self::Int(i) => (*i).into(),
            Self::Text(t) => t.as_str().into(),
        }
    }
}

impl std::fmt::Display for Cohort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bool(b) => b.fmt(f),
            Self::Int(i) => i.fmt(f),
            Self::Text(t) => write!(f, "{t:?}"),
        }
    }
}

/// A cohort's value as the column has it.
#[derive(Debug, Clone, Copy)]
enum CohortRef<'a> {
    Bool(bool),
    Int(i64),
    Text(&'a str),
}

impl CohortRef<'_> {
    fn is(&self, other: &Cohort) -> bool {
        match (self, other) {
            (Self::Bool(a), Cohort::Bool(b)) => a == b,
            (Self::Int(a), Cohort::Int(b)) => a == b,
            (Self::Text(a), Cohort::Text(b)) => a == b,
            _ => false,
        }
    }

    fn to_owned(self) -> Cohort {
        match self {
            Self::Bool(b) => Cohort::Bool(b),
            Self::Int(i) => Cohort::Int(i),
            Self::Text(t) => Cohort::Text(t.to_string()),
        }
    }
}

fn cohort(array: &ArrayRef, row: usize) -> Result<Option<CohortRef<'_>>> {
    if array.is_null(row) {
        return Ok(None);
    }
    Ok(Some(match array.data_type() {
        DataType::Boolean => CohortRef::Bool(array.as_boolean().value(row)),
        DataType::Int64 => CohortRef::Int(array.as_primitive::<Int64Type>().value(row)),
        _ => match Texts::new(array)?.get(row) {
            Some(text) => CohortRef::Text(text),
            None => return Ok(None),
        },
    }))
}

/// The observations of two cohorts, in the order in which they came: a window that slides takes them back in that order.
#[derive(Debug)]
pub(super) struct TwoSamples {
    function: &'static str,
    cohort_type: DataType,
    report: Report,
    rows: VecDeque<(f64, bool)>,
    /// The cohorts' values by slot (false, true), with the number of their rows.
    slots: [Option<(Cohort, usize)>; 2],
    part: Constant<String>,
}

impl TwoSamples {
    /// An empty one, for arguments of these types.
    pub(super) fn new(function: &'static str, arguments: &[DataType], report: Report) -> Self {
        let (rows, slots, part) = (VecDeque::new(), [None, None], Constant::default());
        Self { function, cohort_type: cohort_type(arguments), report, rows, slots, part }
    }

    /// The slot of a cohort; one that has no rows any more is free for another.
    fn slot(&mut self, cohort: CohortRef) -> Result<bool> {
        for (i, slot) in self.slots.iter_mut().enumerate() {
            if let Some((known, count)) = slot
                && cohort.is(known)
            {
                *count += 1;
                return Ok(i == 1);
            }
        }
        for (i, slot) in self.slots.iter_mut().enumerate() {
            if slot.as_ref().is_none_or(|(_, count)| *count == 0) {
                *slot = Some((cohort.to_owned(), 1));
                return Ok(i == 1);
            }
        }
        let message = format!("a third cohort, {}; leave out all but two", cohort.to_owned());
        Err(failure(self.function, message))
    }

    fn push(&mut self, x: f64, cohort: CohortRef) -> Result<()> {
        let slot = self.slot(cohort)?;
        // Negative zero is zero.
        self.rows.push_back((x + 0.0, slot));
        Ok(())
    }

    /// The samples, baseline first, each ascending.
    fn samples(&self) -> [Vec<f64>; 2] {
        let mut samples = [Vec::new(), Vec::new()];
        for (x, slot) in &self.rows {
            samples[usize::from(*slot)].push(*x);
        }
        for sample in &mut samples {
            sample.sort_unstable_by(f64::total_cmp);
        }
        if let [Some((a, _)), Some((b, _))] = &self.slots
            && b < a
        {
            samples.reverse();
        }
        samples
    }

    /// The part's name is learnt once a batch, as it is the same in every row.
    fn learn_part(&mut self, column: Option<&ArrayRef>) -> Result<()> {
        let Some(column) = column else { return Ok(()) };
        let names = Texts::new(column)?;
        for row in valid_rows(column) {
            let Some(name) = names.get(row) else { continue };
            if self.part.value.as_deref() != Some(name) && !self.part.learn(name.to_string()) {
                return Err(failure(self.function, "the part must be the same in every row"));
            }
        }
        Ok(())
    }
}

/// The rows that count, by their place in the batch: a value and a cohort, neither null, the value not NaN.
fn observations(columns: &[ArrayRef]) -> Result<impl Iterator<Item = Result<(f64, CohortRef<'_>)>>> {
    let [values, cohorts, ..] = columns else { return internal_err!("expected a value and a cohort") };
    let numbers = numbers(values)?;
    Ok(valid_rows(numbers)
        .filter(|row| !numbers.value(*row).is_nan())
        .filter_map(move |row| cohort(cohorts, row).map(|c| c.map(|c| (numbers.value(row), c))).transpose()))
}

impl Accumulator for TwoSamples {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        self.learn_part(columns.get(2))?;
        for observation in observations(columns)? {
            let (x, cohort) = observation?;
            self.push(x, cohort)?;
        }
        Ok(())
    }

    fn retract_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        for observation in observations(columns)? {
            let (x, cohort) = observation?;
            let oldest = self.rows.pop_front();
            match oldest.and_then(|(y, slot)| Some((y, self.slots[usize::from(slot)].as_mut()?))) {
                Some((y, (known, count))) if y == x && cohort.is(known) => *count -= 1,
                _ => return internal_err!("{}: a row left the window that is not its oldest", self.function),
            }
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let values: Float64Array = self.rows.iter().map(|(x, _)| Some(*x)).collect();
        let slots: BooleanArray = self.rows.iter().map(|(_, slot)| Some(*slot)).collect();
        let names = self.slots.iter().flatten().map(|(cohort, _)| cohort.to_scalar());
        let mut names = names.peekable();
        // An empty state is of the declared type too.
        let names = match names.peek() {
            Some(_) => ScalarValue::iter_to_array(names)?,
            None => new_empty_array(&self.cohort_type),
        };
        Ok(vec![
            list_state(Arc::new(values)),
            list_state(Arc::new(slots)),
            list_state(names),
            ScalarValue::Utf8(self.part.value.clone()),
        ])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [values, slots, cohorts, part] = states else { return internal_err!("expected four states") };
        self.learn_part(Some(part))?;
        let (values, slots, cohorts) = (lists(values)?, lists(slots)?, lists(cohorts)?);
        for row in valid_rows(cohorts) {
            let names = cohorts.value(row);
            let (values, slots) = (values.value(row), slots.value(row));
            let (values, slots) = (numbers(&values)?, booleans(&slots)?);
            for i in 0..values.len() {
                match cohort(&names, usize::from(slots.value(i)))? {
                    Some(cohort) => self.push(values.value(i), cohort)?,
                    None => return internal_err!("{}: a state has a row of no cohort", self.function),
                }
            }
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let [baseline, other] = self.samples();
        let Some(ranks) = Ranks::new(&baseline, &other) else { return Ok(ScalarValue::Float64(None)) };
        let part = self.part.value.as_deref();
        match (self.report)(part, &ranks) {
            Some(value) => Ok(ScalarValue::Float64(Some(value))),
            None => Err(failure(self.function, format!("there is no part {:?}", part.unwrap_or_default()))),
        }
    }

    fn size(&self) -> usize {
        let text = |slot: &Option<(Cohort, usize)>| match slot {
            Some((Cohort::Text(text), _)) => text.capacity(),
            _ => 0,
        };
        size_of::<Self>()
            + self.rows.capacity() * size_of::<(f64, bool)>()
            + self.slots.iter().map(text).sum::<usize>()
            + self.part.value.as_ref().map_or(0, String::capacity)
    }
}
