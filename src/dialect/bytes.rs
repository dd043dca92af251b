//! Lengths and parts of texts, which are counted in letters, and of bytes.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, BinaryArray, Int32Array, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarUDF};
use datafusion::sql::sqlparser::ast::{DataType as SqlType, Expr, Value};

use super::function::{Call, Kind, Returns, RowFunction, int};
use super::limits::is_parameter;
use super::rewrite::digits;
use super::tree;
use crate::error::{UserError, sqlstate};

/// `substring(x from n for m)` as a call; none if it may be one that looks for a pattern.
pub(super) fn substring(of: &mut Expr, from: Option<&mut Expr>, count: Option<&mut Expr>) -> Option<Expr> {
    if count.is_none() && from.as_ref().is_none_or(|from| digits(from).is_none()) {
        return None;
    }
    let one = || tree::cast(Expr::Value(Value::Number("1".to_owned(), false).into()), SqlType::Integer(None));
    // A parameter is a number.
    let place = |expr: &mut Expr| {
        let typed = is_parameter(expr);
        let expr = tree::taken(expr);
        if typed { tree::cast(expr, SqlType::Integer(None)) } else { expr }
    };
    let mut given = vec![tree::taken(of), from.map_or_else(one, place)];
    given.extend(count.map(place));
    Some(tree::call("pg_substr", given))
}

fn is_bytes(data_type: &DataType) -> bool {
    match data_type {
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => true,
        DataType::Dictionary(_, value) => is_bytes(value),
        _ => false,
    }
}

/// Values as plain bytes, or as plain texts.
fn plain(values: &ArrayRef) -> Result<ArrayRef> {
    let to = if is_bytes(values.data_type()) { DataType::Binary } else { DataType::Utf8 };
    Ok(cast(values, &to)?)
}

fn count(length: usize) -> Option<i32> {
    i32::try_from(length).ok()
}

/// How many letters, or where `bytes` says so bytes, texts have; how many bytes bytes have.
fn lengths(values: &ArrayRef, bytes: bool) -> Result<Int32Array> {
    let values = plain(values)?;
    Ok(match values.as_string_opt::<i32>() {
        Some(texts) => texts
            .iter()
            .map(|text| text.and_then(|text| count(if bytes { text.len() } else { text.chars().count() })))
            .collect(),
        None => values.as_binary::<i32>().iter().map(|value| value.and_then(|value| count(value.len()))).collect(),
    })
}

fn length(name: &'static str, bytes: bool) -> ScalarUDF {
    RowFunction::with_columns(
        name,
        Returns::Always(DataType::Int32, None),
        true,
        if bytes { octets } else { letters },
        move |_, given| {
            let Some(value) = given.first() else { return Err(unknown("length")) };
            ScalarValue::try_from_array(&lengths(&value.to_array()?, bytes)?, 0)
        },
    )
}

fn letters(_: Call, given: &[ColumnarValue], _: &DataType) -> Result<Option<ArrayRef>> {
    column(given, false)
}

fn octets(_: Call, given: &[ColumnarValue], _: &DataType) -> Result<Option<ArrayRef>> {
    column(given, true)
}

fn column(given: &[ColumnarValue], bytes: bool) -> Result<Option<ArrayRef>> {
    let [ColumnarValue::Array(values)] = given else { return Ok(None) };
    Ok(Some(Arc::new(lengths(values, bytes)?)))
}

fn unknown(function: &str) -> datafusion::common::DataFusionError {
    UserError::new(sqlstate::UNDEFINED_FUNCTION, format!("{function} takes a text or bytes; cast what is neither"))
        .into()
}

fn same(args: &ReturnFieldArgs<'_>) -> Result<Kind> {
    match args.arg_fields.first().map(|field| field.data_type()) {
        Some(bytes) if is_bytes(bytes) => Ok((DataType::Binary, None)),
        Some(other) if other.is_string() || other.is_null() || matches!(other, DataType::Dictionary(..)) => {
            Ok((DataType::Utf8, None))
        }
        _ => Err(unknown("substring")),
    }
}

/// How many to pass over and how many to take, of a place that is counted from one and a count.
fn bounds(from: i64, count: Option<i64>) -> Result<(usize, usize)> {
    let start = from.max(1);
    let skip = usize::try_from(start - 1).unwrap_or(usize::MAX);
    let Some(count) = count else { return Ok((skip, usize::MAX)) };
    if count < 0 {
        return Err(UserError::new("22011", "negative substring length not allowed").into());
    }
    let end = from.saturating_add(count);
    Ok((skip, usize::try_from(end.saturating_sub(start)).unwrap_or(0)))
}

fn parts(values: &ArrayRef, (skip, take): (usize, usize)) -> Result<ArrayRef> {
    let values = plain(values)?;
    Ok(match values.as_string_opt::<i32>() {
        Some(texts) => {
            let part = |text: &str| text.chars().skip(skip).take(take).collect::<String>();
            Arc::new(texts.iter().map(|text| text.map(part)).collect::<StringArray>())
        }
        None => {
            let part = |bytes: &[u8]| bytes.iter().skip(skip).take(take).copied().collect::<Vec<u8>>();
            Arc::new(values.as_binary::<i32>().iter().map(|bytes| bytes.map(part)).collect::<BinaryArray>())
        }
    })
}

fn substr_columns(_: Call, given: &[ColumnarValue], _: &DataType) -> Result<Option<ArrayRef>> {
    let [ColumnarValue::Array(values), places @ ..] = given else { return Ok(None) };
    let places: Option<Vec<ScalarValue>> = places
        .iter()
        .map(|place| match place {
            ColumnarValue::Scalar(value) if !value.is_null() => Some(value.clone()),
            _ => None,
        })
        .collect();
    let Some(places) = places else { return Ok(None) };
    let Some(from) = int(&places, 0) else { return Ok(None) };
    parts(values, bounds(from, int(&places, 1))?).map(Some)
}

fn substr(_: Call, given: &[ScalarValue]) -> Result<ScalarValue> {
    let (Some(value), Some(from)) = (given.first(), int(given, 1)) else { return Err(unknown("substring")) };
    ScalarValue::try_from_array(&parts(&value.to_array()?, bounds(from, int(given, 2))?)?, 0)
}

/// The functions.
pub(super) fn functions() -> Vec<ScalarUDF> {
    vec![
        length("pg_length", false),
        length("pg_octet_length", true),
        RowFunction::with_columns("pg_substr", Returns::Of(same), true, substr_columns, substr),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_begin_before_the_first_and_end_behind_the_last() {
        let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("aé😀x"), None]));
        let bytes: ArrayRef = Arc::new(BinaryArray::from_opt_vec(vec![Some(b"\x12\x34\x56".as_slice()), None]));
        let part = |values: &ArrayRef, from, count| {
            let part = parts(values, bounds(from, count).unwrap()).unwrap();
            ScalarValue::try_from_array(&part, 0).unwrap()
        };
        assert_eq!(part(&texts, 2, Some(2)), ScalarValue::from("é😀"));
        assert_eq!(part(&texts, -1, Some(3)), ScalarValue::from("a"));
        assert_eq!(part(&texts, 9, None), ScalarValue::from(""));
        assert_eq!(part(&bytes, 2, Some(1)), ScalarValue::Binary(Some(vec![0x34])));
        assert_eq!(part(&bytes, 2, None), ScalarValue::Binary(Some(vec![0x34, 0x56])));
        assert!(bounds(1, Some(-1)).is_err());
        assert_eq!(lengths(&texts, false).unwrap(), Int32Array::from(vec![Some(4), None]));
        assert_eq!(lengths(&texts, true).unwrap(), Int32Array::from(vec![Some(8), None]));
        assert_eq!(lengths(&bytes, false).unwrap(), Int32Array::from(vec![Some(3), None]));
    }
}
