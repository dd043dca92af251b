//! Functions whose results may be far larger than what they are given: what would not fit is refused before memory is taken
//! for it. PostgreSQL's limits are 1 GB for a value and 134,217,727 elements for an array.

use std::sync::{Arc, OnceLock};

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::{cast, kernels::length::length};
use datafusion::arrow::datatypes::{
    DataType, FieldRef, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit, TimeUnit,
};
use datafusion::common::Result;
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

use crate::error::{UserError, sqlstate};

/// Bytes of a value, and of all that one call makes for a batch of rows.
pub(super) const BYTES: i128 = 0x3fff_ffff;

/// Elements of an array, and of all that one call makes for a batch of rows.
const ELEMENTS: i128 = 134_217_727;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Unit {
    Bytes,
    Elements,
}

/// How large a result is, from what [`measured`] says of the arguments; an absent argument is nought.
type Size = fn(&[i128]) -> i128;

/// Functions, each with what is counted of its result, and how many there are.
const FUNCTIONS: [(&str, Unit, Size); 9] = [
    ("repeat", Unit::Bytes, |of| at(of, 0) * at(of, 1)),
    // A letter has four bytes at most.
    ("lpad", Unit::Bytes, |of| at(of, 1) * 4),
    ("rpad", Unit::Bytes, |of| at(of, 1) * 4),
    ("replace", Unit::Bytes, |of| at(of, 0) + at(of, 0) / at(of, 1).max(1) * at(of, 2)),
    ("regexp_replace", Unit::Bytes, |of| at(of, 0) + (at(of, 0) + 1) * at(of, 2)),
    ("array_repeat", Unit::Elements, |of| at(of, 1)),
    ("array_resize", Unit::Elements, |of| at(of, 1)),
    ("generate_series", Unit::Elements, series),
    ("range", Unit::Elements, series),
];

/// Functions whose results are no larger than all that they are given; one constant may be there for every row.
const SUMS: [&str; 22] = [
    "array_append",
    "array_concat",
    "array_prepend",
    "array_to_string",
    "btrim",
    "concat_ws",
    "format",
    "initcap",
    "left",
    "lower",
    "ltrim",
    "make_array",
    "overlay",
    "pg_concat",
    "reverse",
    "right",
    "rtrim",
    "split_part",
    "string_to_array",
    "substr",
    "translate",
    "upper",
];

fn at(sizes: &[i128], place: usize) -> i128 {
    sizes.get(place).copied().unwrap_or(0).max(0)
}

/// Elements from the first to the second by the third; from nought if there is one, by one if there are two.
fn series(of: &[i128]) -> i128 {
    let (from, to, by) = match *of {
        [to] => (0, to, 1),
        [from, to] => (from, to, 1),
        [from, to, by, ..] => (from, to, by),
        [] => return 0,
    };
    if by == 0 { 0 } else { ((to - from) / by + 1).max(0) }
}

/// Made of the functions of the first session; those of all others are the same.
static BOUNDED: OnceLock<Vec<Arc<ScalarUDF>>> = OnceLock::new();

/// Put the functions in the place of those of the same names.
pub(super) fn register(registry: &mut dyn FunctionRegistry) -> Result<()> {
    let made = match BOUNDED.get() {
        Some(made) => made,
        None => {
            let made = make(registry)?;
            BOUNDED.get_or_init(|| made)
        }
    };
    for function in made {
        registry.register_udf(Arc::clone(function))?;
    }
    Ok(())
}

fn make(registry: &dyn FunctionRegistry) -> Result<Vec<Arc<ScalarUDF>>> {
    let sizes = FUNCTIONS.into_iter().map(|(name, unit, size)| (name, unit, Some(size)));
    let all = sizes.chain(SUMS.into_iter().map(|name| (name, Unit::Bytes, None)));
    let bounded = all.map(|(name, unit, size)| {
        let inner = registry.udf(name)?.as_ref().clone();
        Ok(Arc::new(ScalarUDF::new_from_impl(Bounded { inner, unit, size })))
    });
    bounded.collect()
}

/// A function with a limit.
#[derive(Debug)]
struct Bounded {
    inner: ScalarUDF,
    unit: Unit,
    /// None for those of [`SUMS`].
    size: Option<Size>,
}

impl PartialEq for Bounded {
    fn eq(&self, other: &Self) -> bool {
        self.inner == other.inner
    }
}

impl Eq for Bounded {}

impl std::hash::Hash for Bounded {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn simplify(&self, args: Vec<Expr>, context: &SimplifyContext) -> Result<ExprSimplifyResult> {
        self.inner.simplify(args, context)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match self.size {
            Some(size) => self.check(&args, size)?,
            None => self.check_sum(&args)?,
        }
        self.inner.invoke_with_args(args)
    }
}

impl Bounded {
    fn check_sum(&self, args: &ScalarFunctionArgs) -> Result<()> {
        let constant = args.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { i128::try_from(args.number_rows).unwrap_or(i128::MAX) };
        let mut total: i128 = 0;
        for argument in &args.args {
            total += match argument {
                ColumnarValue::Scalar(value) => i128::try_from(value.size()).unwrap_or(i128::MAX).saturating_mul(rows),
                ColumnarValue::Array(array) => i128::try_from(bytes(array)?).unwrap_or(i128::MAX),
            };
        }
        if total <= BYTES {
            return Ok(());
        }
        Err(if constant { too_wide() } else { too_much(self.inner.name()) }.into())
    }

    fn check(&self, args: &ScalarFunctionArgs, bound: Size) -> Result<()> {
        let most = if self.unit == Unit::Bytes { BYTES } else { ELEMENTS };
        let columns = args.args.iter().map(measured).collect::<Result<Vec<_>>>()?;
        let constant = args.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let widest: Vec<i128> =
            columns.iter().map(|column| column.iter().flatten().copied().max().unwrap_or(0)).collect();
        // Most calls are small whatever their rows.
        if self.unit == Unit::Bytes && bound(&widest) * i128::try_from(rows).unwrap_or(i128::MAX) <= most {
            return Ok(());
        }
        let mut total: i128 = 0;
        for row in 0..rows {
            let value = |column: &Vec<Option<i128>>| *column.get(if column.len() == 1 { 0 } else { row })?;
            let Some(values) = columns.iter().map(value).collect::<Option<Vec<i128>>>() else { continue };
            let size = bound(&values);
            if size > most {
                return Err(self.too_large().into());
            }
            total += size;
        }
        if total > most {
            return Err(too_much(self.inner.name()).into());
        }
        Ok(())
    }

    fn too_large(&self) -> UserError {
        match self.unit {
            Unit::Bytes => too_wide(),
            Unit::Elements => too_long(),
        }
    }
}

/// Refuse an array of more elements than one has.
pub(super) fn elements(count: usize) -> Result<(), UserError> {
    if i128::try_from(count).is_ok_and(|count| count <= ELEMENTS) { Ok(()) } else { Err(too_long()) }
}

fn too_long() -> UserError {
    UserError::new(TOO_LARGE, format!("array size exceeds the maximum allowed ({ELEMENTS})"))
}

/// Bytes of the values of a column.
fn bytes(array: &ArrayRef) -> Result<usize> {
    Ok(match array.data_type() {
        // What views look at may be shared by many columns. The length is in the low half of the first word.
        DataType::Utf8View => {
            let length = |view: &u128| usize::try_from(*view & u128::from(u32::MAX)).unwrap_or(0);
            array.as_string_view().views().iter().map(length).sum()
        }
        _ => array.to_data().get_slice_memory_size()?,
    })
}

/// One value is too large.
pub(super) fn too_wide() -> UserError {
    UserError::new(TOO_LARGE, "requested length too large").detail("a value has 1 GB at most")
}

/// The values of a batch of rows are too large together.
pub(super) fn too_much(function: &str) -> UserError {
    let function = function.trim_start_matches("pg_");
    let message = format!("out of memory: the results of {function} are too large together");
    UserError::new(sqlstate::OUT_OF_MEMORY, message).hint("ask for fewer rows, or smaller values")
}

/// `program_limit_exceeded`
const TOO_LARGE: &str = "54000";

/// Microseconds of a day.
const DAY: i128 = 86_400_000_000;

/// What matters of each value of an argument: the bytes of a text, a number as it is, microseconds of times and of spans.
fn measured(argument: &ColumnarValue) -> Result<Vec<Option<i128>>> {
    let array: ArrayRef = match argument {
        ColumnarValue::Scalar(value) => value.to_array()?,
        ColumnarValue::Array(array) => ArrayRef::clone(array),
    };
    let whole = |array: &ArrayRef, factor: i128| -> Result<Vec<Option<i128>>> {
        let values = cast(array, &DataType::Int64)?;
        Ok(values
            .as_primitive::<Int64Type>()
            .iter()
            .map(|value| value.map(|value| i128::from(value) * factor))
            .collect())
    };
    match array.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Binary => whole(&length(&array)?, 1),
        DataType::Dictionary(_, value) => measured(&ColumnarValue::Array(cast(&array, value)?)),
        of if of.is_integer() => whole(&array, 1),
        DataType::Date32 => whole(&cast(&array, &DataType::Int32)?, DAY),
        DataType::Timestamp(_, zone) => {
            whole(&cast(&array, &DataType::Timestamp(TimeUnit::Microsecond, zone.clone()))?, 1)
        }
        DataType::Interval(_) => {
            let spans = cast(&array, &DataType::Interval(IntervalUnit::MonthDayNano))?;
            let micros = |span: IntervalMonthDayNano| {
                (i128::from(span.months) * 30 + i128::from(span.days)) * DAY + i128::from(span.nanoseconds / 1000)
            };
            Ok(spans.as_primitive::<IntervalMonthDayNanoType>().iter().map(|span| span.map(micros)).collect())
        }
        // Of anything else the size does not matter.
        _ => Ok(vec![Some(0); array.len()]),
    }
}
