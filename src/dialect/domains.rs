//! Functions of one real number that are not defined for all of them. The engine gives NaN where PostgreSQL refuses, and
//! cannot sort by them: to it a column that is not known to lie in the domain has no order at all.

use std::sync::Arc;

use datafusion::arrow::array::{AsArray, Float64Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float64Type};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarUDF};

use super::function::{Columns, Kind, Returns, RowFunction, float};
use crate::error::{UserError, sqlstate};

fn square_root(of: f64) -> Result<f64> {
    if of < 0.0 {
        return Err(UserError::new("2201F", "cannot take square root of a negative number").into());
    }
    Ok(of.sqrt())
}

/// Refuse what has no logarithm.
pub(super) fn has_logarithm(of: f64) -> Result<f64> {
    let wrong = match of {
        0.0 => "cannot take logarithm of zero",
        below if below < 0.0 => "cannot take logarithm of a negative number",
        positive => return Ok(positive),
    };
    Err(UserError::new("2201E", wrong).into())
}

fn inside(of: f64, domain: bool) -> Result<f64> {
    if domain || of.is_nan() { Ok(of) } else { Err(UserError::new("22003", "input is out of range").into()) }
}

fn one_number(args: &ReturnFieldArgs<'_>) -> Result<Kind> {
    match args.arg_fields {
        [one] if one.data_type().is_numeric() || one.data_type().is_null() => Ok((DataType::Float64, None)),
        _ => Err(UserError::new(sqlstate::UNDEFINED_FUNCTION, "the function does not exist for these types")
            .hint("it takes one number; cast what is none")
            .into()),
    }
}

fn column(arguments: &[ColumnarValue], of: fn(f64) -> Result<f64>) -> Result<Option<Arc<Float64Array>>> {
    let [ColumnarValue::Array(numbers)] = arguments else { return Ok(None) };
    let numbers = cast(numbers, &DataType::Float64)?;
    Ok(Some(Arc::new(numbers.as_primitive::<Float64Type>().try_unary::<_, Float64Type, DataFusionError>(of)?)))
}

fn function(name: &'static str, columns: Columns, of: fn(f64) -> Result<f64>) -> ScalarUDF {
    RowFunction::with_columns(name, Returns::Of(one_number), true, columns, move |_, arguments| {
        Ok(ScalarValue::Float64(float(arguments, 0).map(of).transpose()?))
    })
}

/// A function with the way to compute whole columns, under its name in statements and its own.
macro_rules! function {
    ($name:literal, $of:expr) => {
        ($name, concat!("pg_", $name), |name| {
            function(name, |_, arguments, _| Ok(column(arguments, $of)?.map(|numbers| numbers as _)), $of)
        })
    };
}

/// What makes a function of a name.
type Make = fn(&'static str) -> ScalarUDF;

const FUNCTIONS: [(&str, &str, Make); 7] = [
    function!("sqrt", square_root),
    function!("ln", |of| Ok(has_logarithm(of)?.ln())),
    function!("log10", |of| Ok(has_logarithm(of)?.log10())),
    function!("acos", |of| Ok(inside(of, of.abs() <= 1.0)?.acos())),
    function!("asin", |of| Ok(inside(of, of.abs() <= 1.0)?.asin())),
    function!("acosh", |of| Ok(inside(of, of >= 1.0)?.acosh())),
    function!("atanh", |of| Ok(inside(of, of.abs() <= 1.0)?.atanh())),
];

/// The name here of a function that statements call.
pub(super) fn name_of(called: &str) -> Option<&'static str> {
    FUNCTIONS.iter().find(|(name, ..)| *name == called).map(|(_, ours, _)| *ours)
}

/// The functions.
pub(super) fn functions() -> Vec<ScalarUDF> {
    FUNCTIONS.iter().map(|(_, name, make)| make(name)).collect()
}
